"""Messages that could not be delivered: to look at, to send again, to throw away."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.responses import JSONResponse

from monitor.delivery.dead_letters import DeadLetter
from monitor.delivery.replaying import ReplayRefused, replay
from monitor.serving.acting import acting
from monitor.serving.bodies import DeadLetterOrder
from monitor.serving.routes.parameters import PROBLEM
from monitor.serving.served import Served
from monitor.serving.views import DeadLetterPage, DeadLetterView, Discarded, Replayed
from monitor.subscription_settings import Name

AWAY: dict[int | str, dict[str, Any]] = {
    503: {"description": "Redis does not answer; give the order again.", **PROBLEM}
}


def add(app: FastAPI, served: Served) -> None:
    app.add_exception_handler(ReplayRefused, _refused)

    @app.get("/api/dead-letters", responses=AWAY)
    def dead_letters(
        channel: Annotated[Name | None, Query()] = None,
        offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> DeadLetterPage:
        """Newest first, of one channel where asked."""
        found = served.dead_letters.list(channel, offset, limit + 1)
        return DeadLetterPage(
            dead_letters=[_view(letter) for letter in found[:limit]],
            next=offset + limit if len(found) > limit else None,
        )

    @app.post(
        "/api/dead-letters/replay",
        responses={**AWAY, 409: {"description": "A channel of them is not configured.", **PROBLEM}},
    )
    def replay_dead_letters(request: Request, order: DeadLetterOrder) -> Replayed:
        """Send them again, with the same id for the receiver, and with as much time as a new message has."""
        by = acting(request, order.by)
        return Replayed(replayed=replay(served.dead_letters, served.channel_kinds(), order.ids, order.channel, by))

    @app.post("/api/dead-letters/discard", responses=AWAY)
    def discard_dead_letters(request: Request, order: DeadLetterOrder) -> Discarded:
        """Throw them away."""
        return Discarded(
            discarded=served.dead_letters.discard(order.ids, order.channel, acting(request, order.by)),
        )


def _view(letter: DeadLetter) -> DeadLetterView:
    delivery = letter.delivery
    events = () if delivery is None else delivery.events
    alerts = [alert for event in events if isinstance(alert := event.get("data"), dict)]
    return DeadLetterView(
        id=letter.id,
        channel=letter.channel,
        kind="unreadable" if delivery is None else delivery.kind.value,
        cameras=_each_once(event.get("subject") for event in events),
        alert_ids=_each_once(alert.get("alert_id") for alert in alerts),
        events=len(events),
        error=letter.error,
        outcome=letter.outcome,
        tries=letter.tries,
        at_ms=letter.at_ms,
        queued_ms=None if delivery is None else delivery.queued_ms,
    )


def _each_once(names: Any) -> list[str]:
    return list(dict.fromkeys(str(name) for name in names if name))


async def _refused(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 409)
