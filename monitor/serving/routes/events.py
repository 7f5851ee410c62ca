"""Alert events as they are written."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Header
from fastapi.responses import StreamingResponse

from monitor.serving.event_stream import event_stream
from monitor.serving.routes.parameters import NO_STORE
from monitor.serving.served import Served


def add(app: FastAPI, served: Served) -> None:
    @app.get("/api/events", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
    async def events(last_event_id: Annotated[str, Header(max_length=64)] = "") -> StreamingResponse:
        """Alert events as they are written, replayed after `Last-Event-ID`; without one, from the next event on."""
        return StreamingResponse(
            event_stream(served.events(), served.outbox.stream, last_event_id),
            media_type="text/event-stream",
            headers=NO_STORE | {"X-Accel-Buffering": "no"},
        )
