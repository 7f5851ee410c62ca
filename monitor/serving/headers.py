"""What every answer tells the browser: who may show it, who may keep it, and that nothing else is allowed."""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; style-src 'self'; "
    "frame-ancestors 'self'; base-uri 'none'; form-action 'self'; object-src 'none'",
    "X-Frame-Options": "SAMEORIGIN",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=(), midi=()",
}
MAY_BE_KEPT = re.compile(r"/|/static/.*")
"""Paths of the page itself, which say by themselves how long a browser may keep them."""
PICTURE = re.compile(r"/api/(cameras/.+/latest|alerts/[^/]+/(evidence|heatmap))\.jpg")
"""Grafana shows these from another port of the same host, so that another origin of the same site may; signed links
are for all others."""


_RAW = tuple((name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items())


class SecurityHeaders:
    """Middleware. A header that the answer has already stays as it is. Answers of the API are kept by nobody unless
    they say otherwise; pictures by the browser alone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _completed(list(message.get("headers", ())), scope["path"])
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _completed(headers: list[tuple[bytes, bytes]], path: str) -> list[tuple[bytes, bytes]]:
    there = dict(headers)
    for name, value in _RAW:
        if name not in there:
            shared = name == b"cross-origin-resource-policy" and PICTURE.fullmatch(path)
            headers.append((name, b"same-site" if shared else value))
    if b"cache-control" not in there and not MAY_BE_KEPT.fullmatch(path):
        shown = there.get(b"content-type", b"").startswith((b"image/", b"video/"))
        headers.append((b"cache-control", b"private" if shown else b"no-store"))
    return headers
