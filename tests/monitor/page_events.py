"""The events that the live page listens to, told by hand: with ids, breaks, refusals and gaps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse


@dataclass
class PageEvents:
    """`refuse`: answers to the next connections, as their status. `asked`: the last event id of each connection, ""
    where it gave none."""

    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    refuse: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    age: int = 0

    def tell(self, kind: str, data: dict[str, Any]) -> str:
        """Write an event; its id, in the manner of a Redis stream."""
        self.told.append((kind, data))
        return f"{len(self.told)}-0"

    def cut(self) -> None:
        """Every connection breaks."""
        self.age += 1

    async def _stream(self, at: int, request: Request) -> AsyncIterator[str]:
        age = self.age
        yield ": here\n\n"
        while self.age == age and not await request.is_disconnected():
            for nth in range(at, len(self.told)):
                kind, data = self.told[nth]
                document = json.dumps({"type": kind, "data": data})
                yield f"event: {kind}\nid: {nth + 1}-0\ndata: {document}\n\n"
            at = len(self.told)
            await asyncio.sleep(0.02)

    def add(self, app: FastAPI) -> None:
        @app.get("/api/events")
        async def events(request: Request, last_event_id: str = "") -> Response:
            last = request.headers.get("last-event-id") or last_event_id
            self.asked.append(last)
            if self.refuse:
                return JSONResponse({"detail": "not now"}, self.refuse.pop(0))
            at = int(last.partition("-")[0]) if last else len(self.told)
            return StreamingResponse(self._stream(at, request), media_type="text/event-stream")
