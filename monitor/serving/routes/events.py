"""Alert events as they are written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import FastAPI, Header, HTTPException, Query
from fastapi.responses import StreamingResponse
from redis.asyncio import Redis
from starlette.types import Receive, Scope, Send

from monitor.serving.event_stream import event_stream
from monitor.serving.routes.parameters import NO_STORE, PROBLEM
from monitor.serving.served import Served
from monitor.serving.server import is_ending

MAX_LISTENERS = 100
"""Each holds a connection here and one to Redis."""
AGAIN_S = 10


class Listeners:
    """How many listen, and no more than there is room for. Used by the event loop's thread alone."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.count = 0

    async def left(self, client: Redis) -> None:
        """One fewer, whose connection to Redis is closed."""
        self.count -= 1
        await client.aclose()


class Listening(StreamingResponse):
    """A stream that holds a place until it ends, also where the listener left before it began."""

    def __init__(self, events: AsyncIterator[bytes], client: Redis, listeners: Listeners) -> None:
        super().__init__(events, media_type="text/event-stream", headers=NO_STORE | {"X-Accel-Buffering": "no"})
        self._client = client
        self._listeners = listeners

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._listeners.left(self._client)


def add(app: FastAPI, served: Served) -> None:
    listeners = Listeners(MAX_LISTENERS)

    @app.get(
        "/api/events",
        response_class=StreamingResponse,
        responses={
            200: {"content": {"text/event-stream": {}}},
            503: {"description": f"{MAX_LISTENERS} listen already, or Redis does not answer.", **PROBLEM},
        },
    )
    async def events(
        last_event_id: Annotated[str, Header()] = "",
        from_id: Annotated[
            str, Query(alias="last_event_id", description="The same, for a first connection; the header goes before.")
        ] = "",
    ) -> StreamingResponse:
        """Alert events as they are written, replayed after `Last-Event-ID`; without one, from the next event on. The
        event `linewatch.gap` says that not all that was missed is kept: load the list of alerts anew."""
        if listeners.count >= listeners.most:
            raise HTTPException(
                503,
                f"{listeners.most} listen already: close pages that nobody looks at, or ask /api/alerts",
                {"Retry-After": str(AGAIN_S)},
            )
        client = served.events()
        listeners.count += 1
        try:
            told = await event_stream(client, served.outbox.stream, last_event_id or from_id, lambda: is_ending(app))
        except BaseException:
            await listeners.left(client)
            raise
        return Listening(told, client, listeners)
