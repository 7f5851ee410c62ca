"""Subscriptions and dead letters as the live page sees them: the routes of the service before plain dictionaries."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError

from monitor.subscription_settings import Subscription

Document = dict[str, Any]


def channel(name: str, kind: str = "webhook", **more: Any) -> Document:
    return {"name": name, "kind": kind, "built_in": False, "queued": 0, "oldest_s": None, "dead": 0} | more


def letter(letter_id: str, channel_name: str, error: str, **more: Any) -> Document:
    """A message of one event that a channel refused a minute ago."""
    at = time.time_ns() // 1_000_000 - 60_000
    told: Document = {
        "id": letter_id,
        "channel": channel_name,
        "kind": "event",
        "cameras": ["line-1"],
        "alert_ids": ["beef"],
        "events": 1,
        "error": error,
        "outcome": "refused",
        "tries": 1,
        "at_ms": at,
        "queued_ms": at - 2000,
    }
    return told | more


@dataclass
class PageDelivery:
    """`refuse` maps "METHOD path" to (status, detail). `results`: what tests of subscriptions answer. `me`: whom the
    service knows; None where it is one from before. `sent` notes orders as (method, path, body). With `old` none of
    the routes is there."""

    subscriptions: dict[str, Document] = field(default_factory=dict)
    channels: list[Document] = field(default_factory=list)
    letters: list[Document] = field(default_factory=list)
    results: list[Document] = field(default_factory=list)
    refuse: dict[str, tuple[int, Any]] = field(default_factory=dict)
    sent: list[tuple[str, str, Document]] = field(default_factory=list)
    me: Document | None = None
    old: bool = True

    def put(self, name: str, *, origin: str = "api", on: bool = True, **more: Any) -> Document:
        """A subscription as it is listed; `more` are values of the subscription itself."""
        made = Subscription.model_validate({"name": name, "to": ["shift-mail"]} | more)
        return self._keep(made, origin=origin, on=on)

    def _keep(self, made: Subscription, **more: Any) -> Document:
        listed: Document = {
            "subscription": made.model_dump(mode="json"),
            "origin": "api",
            "on": made.enabled,
            "switched_by": None,
            "switched_at_ms": None,
            "changed_by": None,
            "changed_at_ms": None,
        }
        self.subscriptions[made.name] = listed | more
        return self.subscriptions[made.name]

    def _take(self, body: Document) -> Document | JSONResponse:
        try:
            made = Subscription.model_validate(body["subscription"])
        except ValidationError as error:
            faults = [
                {"type": fault["type"], "loc": ["body", "subscription", *fault["loc"]], "msg": fault["msg"]}
                for fault in error.errors()
            ]
            return JSONResponse({"detail": faults}, 422)
        return self._keep(made, changed_by=body["by"], changed_at_ms=time.time_ns() // 1_000_000)

    def _gone(self, what: str, body: Document) -> Document:
        gone = [
            one
            for one in self.letters
            if (body["ids"] is None or one["id"] in body["ids"])
            and (body["channel"] is None or one["channel"] == body["channel"])
        ]
        self.letters = [one for one in self.letters if one not in gone]
        return {"replayed" if what == "replay" else "discarded": len(gone)}

    def _listed(self) -> Document:
        dead = [one["channel"] for one in self.letters]
        return {
            "subscriptions": [self.subscriptions[name] for name in sorted(self.subscriptions)],
            "channels": [one | {"dead": dead.count(one["name"])} for one in self.channels],
        }

    async def _noted(self, request: Request) -> tuple[Document, JSONResponse | None]:
        """The body, which is noted, and the refusal, if that is wanted."""
        body = await request.json() if await request.body() else {}
        self.sent.append((request.method, request.url.path, body))
        refusal = self.refuse.get(f"{request.method} {request.url.path}")
        return body, None if refusal is None else JSONResponse({"detail": refusal[1]}, refusal[0])

    def add(self, app: FastAPI) -> None:
        @app.get("/api/me")
        def me() -> JSONResponse:
            return JSONResponse({"detail": "Not Found"}, 404) if self.me is None else JSONResponse(self.me)

        @app.get("/api/subscriptions")
        def listed() -> JSONResponse:
            return JSONResponse({"detail": "Not Found"}, 404) if self.old else JSONResponse(self._listed())

        @app.post("/api/subscriptions")
        async def create(request: Request) -> Response:
            body, refusal = await self._noted(request)
            made = refusal or self._take(body)
            return made if isinstance(made, Response) else JSONResponse(made, 201)

        @app.put("/api/subscriptions/{name}")
        async def change(request: Request, name: str) -> Response:
            body, refusal = await self._noted(request)
            made = refusal or self._take(body)
            return made if isinstance(made, Response) else JSONResponse(made)

        @app.delete("/api/subscriptions/{name}")
        async def delete(request: Request, name: str) -> Response:
            _, refusal = await self._noted(request)
            return refusal or JSONResponse(self.subscriptions.pop(name))

        @app.post("/api/subscriptions/{name}/{what}")
        async def act(request: Request, name: str, what: str) -> Response:
            body, refusal = await self._noted(request)
            if what == "test":
                return refusal or JSONResponse({"results": self.results})
            self.subscriptions[name] |= {"on": body["on"], "switched_by": body["by"], "switched_at_ms": 1}
            return refusal or JSONResponse(self.subscriptions[name])

        @app.get("/api/dead-letters")
        def letters(channel: str | None = None, offset: int = 0, limit: int = 50) -> JSONResponse:
            found = [one for one in self.letters if channel in {None, one["channel"]}]
            more = offset + limit if len(found) > offset + limit else None
            return JSONResponse({"dead_letters": found[offset : offset + limit], "next": more})

        @app.post("/api/dead-letters/{what}")
        async def answer(request: Request, what: str) -> Response:
            body, refusal = await self._noted(request)
            return refusal or JSONResponse(self._gone(what, body))
