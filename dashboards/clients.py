"""Makes a Grafana client over whichever of the two libraries is installed."""

import importlib.util
from typing import Literal

from dashboards.address import parse_address, parse_token
from dashboards.archived import ArchivedGrafana
from dashboards.grafana import GrafanaClient, GrafanaRejected
from dashboards.maintained import MaintainedGrafana

Library = Literal["auto", "grafana-client", "grafana-api"]


def connect(url: str, token: str, timeout_s: float = 5.0, library: Library = "auto") -> GrafanaClient:
    """A client for the Grafana at `url` (a path such as https://host/grafana is kept).

    No request is made yet. `auto` prefers grafana-client. Raises GrafanaRejected if the URL or
    the token cannot be right, or if the library is not installed.
    """
    address, secret = parse_address(url), parse_token(token)
    if timeout_s <= 0:
        raise GrafanaRejected(f"the Grafana time-out must be above 0 s, found {timeout_s}")
    if library == "auto":
        library = "grafana-client" if _installed("grafana_client") else "grafana-api"
    try:
        if library == "grafana-client":
            return MaintainedGrafana(address, secret, timeout_s)
        if library == "grafana-api":
            return ArchivedGrafana(address, secret, timeout_s)
    except ImportError as error:
        raise GrafanaRejected(
            f"the Grafana library {library} cannot be imported ({error}); install it: pip install grafana-client"
        ) from error
    raise GrafanaRejected(f"unknown Grafana library {library!r}; expected auto, grafana-client or grafana-api")


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
