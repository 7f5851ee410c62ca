"""Whether Grafana answers, takes the token, and would take annotations."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from dashboards.clients import connect
from dashboards.grafana import GrafanaClient, GrafanaRejected, GrafanaUnavailable
from monitor.channel_settings import Grafana
from monitor.doctor.finding import Finding, failed, ok

NOT_ALLOWED = frozenset({401, 403})
BAD_REQUEST = 400


def examine_grafana(settings: Grafana, key: str, over: threading.Event) -> Iterator[Finding]:
    """key: where it is set."""
    client: GrafanaClient | None = None
    try:
        client = connect(
            settings.url, settings.token.get_secret_value(), timeout_s=settings.timeout_s, library=settings.library
        )
        yield ok(f"{settings.url}: Grafana {client.health()}")
        try:
            client.find_annotation("linewatch-doctor")
        except GrafanaRejected as error:
            if error.status not in NOT_ALLOWED:
                raise
            yield failed(
                "it refuses the token" if error.status == 401 else "the token may not read annotations",
                f"make a service account token with the role Editor, and give it as {key}.token_file",
            )
            return
        yield ok("the token is valid")
        yield _writing(client)
    except GrafanaUnavailable as error:
        yield failed(str(error), f"start Grafana, or correct {key}.url; alerts wait until it answers")
    except GrafanaRejected as error:
        yield failed(str(error), f"correct {key}.url and {key}.token_file")
    finally:
        if client is not None:
            client.close()


def _writing(client: GrafanaClient) -> Finding:
    """Grafana looks at the right to write first and then refuses an annotation without a text, so this leaves none."""
    try:
        client.open_region(round(time.time() * 1000), (), "")
    except GrafanaRejected as error:
        if error.status == BAD_REQUEST:
            return ok("the token may write annotations")
        if error.status in NOT_ALLOWED:
            return failed(
                "the token may not write annotations", "give its service account the role Editor instead of Viewer"
            )
        raise
    return ok("the token may write annotations", "hint: an empty annotation was left; other Grafanas refuse it")
