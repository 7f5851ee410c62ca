"""How much a request may send: an address and an order are short, and only a baseline's document is long."""

from __future__ import annotations

import re

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ORDER_BYTES = 64 << 10
DOCUMENT_BYTES = 8 << 20
ADDRESS_BYTES = 8 << 10
"""Of path and query. Headers are bounded by uvicorn: 64 kB all together."""
DOCUMENT = re.compile(r"/api/cameras/.+/baseline/import")


class BodyLimit:
    """Middleware. What says that it is too long is refused unread; what says nothing, where it has become too long."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if len(scope.get("raw_path") or scope["path"]) + len(scope["query_string"]) > ADDRESS_BYTES:
            detail = f"path and query are longer than {ADDRESS_BYTES:,} bytes"
            await JSONResponse({"detail": detail}, 414)(scope, receive, send)
            return
        limit = DOCUMENT_BYTES if DOCUMENT.fullmatch(scope["path"]) else ORDER_BYTES
        told = Headers(scope=scope).get("content-length", "0")
        if not told.isdecimal() or int(told) > limit:
            await JSONResponse({"detail": _too_long(limit)}, 413)(scope, receive, send)
            return
        came = 0

        async def receive_counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > limit:
                raise HTTPException(413, _too_long(limit))
            return message

        await self._app(scope, receive_counted, send)


def _too_long(limit: int) -> str:
    return f"the body is longer than {limit:,} bytes"
