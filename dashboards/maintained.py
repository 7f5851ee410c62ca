"""The port over `grafana-client`, the maintained library."""

import importlib

from dashboards.adapter import LibraryGrafana
from dashboards.address import Address
from dashboards.grafana import GrafanaError


class MaintainedGrafana(LibraryGrafana):
    """Raises ImportError if grafana-client is not installed.

    The library's own exceptions carry the status; what it lets through unchanged are niquests'
    connection errors, and its JSON error on an answer that is cut off.
    """

    def __init__(self, address: Address, token: str, timeout_s: float) -> None:
        library = importlib.import_module("grafana_client")
        self._errors = importlib.import_module("grafana_client.client")
        self._http_errors = importlib.import_module("niquests.exceptions")
        resources = library.GrafanaApi(
            auth=token,
            host=address.host,
            port=address.port,
            protocol=address.protocol,
            url_path_prefix=address.path_prefix,
            timeout=timeout_s,
        )
        super().__init__(address, token, resources, resources.client)

    def _translate(self, what: str, error: Exception) -> GrafanaError:
        if isinstance(error, self._errors.GrafanaException):
            # Status 0: the library's mark for a time-out or a broken transfer.
            if not error.status_code:
                return self._unavailable(what, error)
            body = error.response
            said = body.get("message", "") if isinstance(body, dict) else ""
            return self._for_status(what, int(error.status_code), str(said))
        # An answer that is no JSON is a RequestException too, and also a ValueError, as are
        # niquests' errors about the URL: neither is helped by trying again.
        if isinstance(error, self._http_errors.RequestException) and not isinstance(error, ValueError):
            return self._unavailable(what, error)
        return self._final(what, error)
