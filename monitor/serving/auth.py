"""Who may see the service: everybody on loopback, or whoever shows the token."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

OPEN_PATHS = frozenset({"/healthz"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

Handler = Callable[[Request], Awaitable[Response]]


class Gate:
    """Middleware. With a token, all but /healthz need `Authorization: Bearer`.

    A browser cannot send that for a page, a picture or an event stream; it may show the same token as the password of
    Basic authentication, with any user name, which it asks for by itself. Requests that change something and that
    another site's page has sent are refused, since browsers add that password, or their place on this machine, to
    those as well.
    """

    def __init__(self, token: str | None) -> None:
        self._token = token

    async def __call__(self, request: Request, proceed: Handler) -> Response:
        if request.method not in SAFE_METHODS and request.headers.get("sec-fetch-site", "none") not in {
            "none",
            "same-origin",
        }:
            return JSONResponse({"detail": "requests from other sites' pages change nothing here"}, 403)
        if self._token is not None and request.url.path not in OPEN_PATHS and not self._shown(request):
            return JSONResponse(
                {"detail": "show the token: Authorization: Bearer <http.token>"},
                401,
                headers={"WWW-Authenticate": 'Basic realm="linewatch, password is the token", charset="UTF-8"'},
            )
        response = await proceed(request)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "no-referrer")
        response.headers.setdefault(
            "Content-Security-Policy",
            "default-src 'self'; img-src 'self' data: blob:; style-src 'self'; frame-ancestors 'self'; base-uri 'none'",
        )
        return response

    def _shown(self, request: Request) -> bool:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                given = base64.b64decode(given, validate=True).decode("utf-8").partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                return False
        elif scheme.lower() != "bearer":
            return False
        return secrets.compare_digest(given.strip().encode(), (self._token or "").encode())
