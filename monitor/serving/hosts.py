"""Under which names the service answers.

Another site's page may let its own name point at this machine (DNS rebinding) and is then, for the browser, of the same
origin as this service. What it cannot do is to send another name than its own.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

ANYWHERE = frozenset({"/healthz"})
"""Says nothing but that the process lives, and whoever checks that asks by any address."""


class Hosts:
    """Middleware. Names of this machine's loopback and of `public_url` are always served, and those of `allowed`; `*`
    stands for any, `*.plant.example` for all below it. Where nothing is allowed by name, any is with tokens, which
    another site's page does not have, and none else without.

    Others get 421, which says what to set.
    """

    def __init__(self, app: ASGIApp, *, allowed: Iterable[str], public_url: str | None, has_tokens: bool) -> None:
        self._app = app
        names = {name_of(host) for host in allowed}
        self._any = "*" in names or (not names and has_tokens)
        self._below = tuple(name[1:] for name in names if name.startswith("*."))
        self._names = {name for name in names if "*" not in name}
        if public_url is not None:
            self._names.add(name_of(urlsplit(public_url).netloc))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._any or scope["path"] in ANYWHERE:
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("host", "")
        name = name_of(given)
        if name in self._names or name.endswith(self._below) or is_loopback(name):
            await self._app(scope, receive, send)
            return
        detail = (
            f"this service does not answer as {given[:100] or '(no Host header)'}; expected localhost, or a name of "
            "http.allowed_hosts or http.public_url: add it there, where it is yours"
        )
        await JSONResponse({"detail": detail}, 421)(scope, receive, send)


def name_of(host: str) -> str:
    """The name of a `Host` header, or of a part of the configuration: lower case, without port, brackets, user and the
    final dot of the root. "" for what is none."""
    host = host.strip().lower().rpartition("@")[2]
    if bracketed := re.fullmatch(r"\[([0-9a-f:.]+)\](:\d*)?", host):
        return bracketed[1]
    if host.count(":") > 1:  # a bare IPv6 address, as people write it into a configuration
        return host
    return host.partition(":")[0].rstrip(".")


def is_loopback(name: str) -> bool:
    """Whether no name server was asked for it: browsers know these by themselves."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
