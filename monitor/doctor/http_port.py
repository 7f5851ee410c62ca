"""Whether the page's port is free, and whether it is a linewatch that has it."""

from __future__ import annotations

import errno
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

from monitor.doctor.finding import Finding, failed, ok, warning
from monitor.http_settings import Http
from monitor.serving.auth import SECURITY_HEADERS
from monitor.serving.server import HttpServer

ASK_S = 3.0


def examine_port(settings: Http, over: threading.Event) -> Iterator[Finding]:
    yield _asked_of_callers(settings)
    where = f"{settings.host}:{settings.port}"
    try:
        server = HttpServer(settings.host, settings.port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            yield _taken(settings, where)
        else:
            yield failed(
                f"cannot listen on {where} ({(error.strerror or type(error).__name__).lower()})",
                "correct http.host and http.port; ports below 1024 need a privilege",
            )
        return
    server.stop()
    yield ok(f"{where} is free" if settings.port else "a free port will be taken")


def _asked_of_callers(settings: Http) -> Finding:
    """How many tokens there are; nothing of them."""
    count = len(settings.access) + (settings.token is not None)
    if not count:
        return ok("no token is asked for: whoever reaches this machine's loopback is admin")
    roles = [one.role for one in settings.access] + ["admin"] * (settings.token is not None)
    told = ", ".join(f"{roles.count(role)} {role}" for role in ("admin", "operator", "viewer") if role in roles)
    return ok(f"a token is asked for; there {'is' if count == 1 else 'are'} {count} ({told})")


def _taken(settings: Http, where: str) -> Finding:
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never by way of a proxy
    try:
        with opener.open(f"http://{host}:{settings.port}/healthz", timeout=ASK_S) as answer:
            policy = SECURITY_HEADERS["Content-Security-Policy"]
            ours = answer.read(16) == b"ok" and answer.headers.get("Content-Security-Policy") == policy
    except (OSError, ValueError):
        ours = False
    if ours:
        return warning(
            f"{where} is taken by a linewatch that is running",
            "nothing to do if that is the one; a second one beside it needs another http.port",
        )
    return failed(
        f"{where} is taken by another program",
        f"end it, or set another http.port; `ss -ltnp 'sport = :{settings.port}'` tells which it is",
    )
