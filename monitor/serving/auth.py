"""Who may see the service: everybody on loopback, or whoever shows the token."""

from __future__ import annotations

import base64
import binascii
import secrets
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPEN_PATHS = frozenset({"/healthz"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; style-src 'self'; "
    "frame-ancestors 'self'; base-uri 'none'",
}


class Gate:
    """Middleware. With a token, all but /healthz need `Authorization: Bearer`.

    A browser cannot send that for a page, a picture or an event stream; it may show the same token as the password of
    Basic authentication, with any user name, which it asks for by itself. Requests that change something and that
    another site's page has sent are refused, since browsers add that password, or their place on this machine, to
    those as well. Plain ASGI, so that an event stream ends quietly when its listener leaves.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = Headers(scope=scope)
        if scope["method"] not in SAFE_METHODS and _foreign(headers):
            return JSONResponse({"detail": "requests from other sites' pages change nothing here"}, 403)
        if self._token is None or scope["path"] in OPEN_PATHS or self._shown(headers):
            return None
        return JSONResponse(
            {"detail": "show the token: Authorization: Bearer <http.token>"},
            401,
            headers={"WWW-Authenticate": 'Basic realm="linewatch, password is the token", charset="UTF-8"'},
        )

    def _shown(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                given = base64.b64decode(given, validate=True).decode("utf-8").partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                return False
        elif scheme.lower() != "bearer":
            return False
        return secrets.compare_digest(given.strip().encode(), (self._token or "").encode())


def _foreign(headers: Headers) -> bool:
    """Whether another site's page has sent this. Browsers say so in Sec-Fetch-Site where the address is https or this
    machine's own, and in Origin everywhere; what is no browser says neither."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"none", "same-origin"}
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")
