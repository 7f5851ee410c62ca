"""Alerts, their pictures, and what people say of them."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse

from monitor.alerting.alert import Alert
from monitor.alerting.outbox import AlertUnknown
from monitor.delivery.escalating import EscalationRefused
from monitor.serving.acting import acting
from monitor.serving.bodies import EscalateOrder, Who
from monitor.serving.evidence_answer import evidence_answer
from monitor.serving.routes.parameters import PROBLEM, AlertId
from monitor.serving.served import Served
from monitor.serving.views import AlertPage

UNKNOWN: dict[int | str, dict[str, Any]] = {
    404: {"description": "No such alert is kept.", **PROBLEM},
    503: {"description": "Redis does not answer.", **PROBLEM},
}
MAKING_S = 180
"""A clip ends up to 60 s after the frame that triggered, and then it is made."""


def add(app: FastAPI, served: Served) -> None:
    app.add_exception_handler(EscalationRefused, _refused)

    @app.get("/api/alerts", responses={503: UNKNOWN[503]})
    def alerts(
        camera: Annotated[str | None, Query(max_length=128)] = None,
        state: Literal["firing", "resolved"] | None = None,
        offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> AlertPage:
        """Alerts, newest first, of one camera or in one state where asked."""
        if state is None:
            found = served.outbox.newest(offset=offset, limit=limit + 1, camera=camera)
        else:
            every = served.outbox.newest(offset=0, limit=10_000, camera=camera)
            found = [a for a in every if (a.ended_at is None) == (state == "firing")][offset : offset + limit + 1]
        return AlertPage(alerts=found[:limit], next=offset + limit if len(found) > limit else None)

    @app.get("/api/alerts/{alert_id}", responses=UNKNOWN)
    def alert(alert_id: AlertId) -> Alert:
        return served.outbox.get(alert_id)

    @app.post("/api/alerts/{alert_id}/acknowledge", responses=UNKNOWN)
    def acknowledge(request: Request, alert_id: AlertId, who: Who | None = None) -> Alert:
        """Somebody has seen it. Again changes nothing."""
        return served.outbox.acknowledge(alert_id, acting(request, (who or Who()).by))

    @app.post("/api/alerts/{alert_id}/false-alarm", responses=UNKNOWN)
    def false_alarm(request: Request, alert_id: AlertId, who: Who | None = None) -> Alert:
        """Nothing was wrong, somebody says: the frames of that time leave the baseline. Again changes nothing."""
        return served.marks.false_alarm(alert_id, acting(request, (who or Who()).by))

    @app.post(
        "/api/alerts/{alert_id}/withdraw-mark",
        responses={**UNKNOWN, 409: {"description": "It carries no mark that can be withdrawn.", **PROBLEM}},
    )
    def withdraw_mark(request: Request, alert_id: AlertId, who: Who | None = None) -> Alert:
        """Marking it was a mistake. A false alarm is none any more; a missed defect is gone from the list."""
        return served.marks.withdraw(alert_id, acting(request, (who or Who()).by))

    @app.post(
        "/api/alerts/{alert_id}/escalate",
        responses={
            404: {"description": "No such alert is kept, or no such subscription.", **PROBLEM},
            409: {"description": "The subscription is off, or none says to whom: name one.", **PROBLEM},
            503: UNKNOWN[503],
        },
    )
    def escalate(request: Request, alert_id: AlertId, order: EscalateOrder | None = None) -> Alert:
        """Call in others: a subscription, or those to whom the alert would go if nobody acknowledged it in time. Again
        changes nothing."""
        order = order or EscalateOrder()
        return served.escalate(alert_id, acting(request, order.by), order.to)

    @app.get(
        "/api/alerts/{alert_id}/{kind}.jpg",
        response_class=Response,
        responses={
            200: {"content": {"image/jpeg": {}}},
            404: PROBLEM | {"description": "It is not kept."},
        },
    )
    def picture(alert_id: AlertId, kind: Literal["evidence", "heatmap"]) -> Response:
        """The frame that triggered the alert, or its heat map laid over it."""
        found = evidence_answer(served.evidence, alert_id, kind, None)
        if found is None:
            raise HTTPException(404, f"no {kind} of alert {alert_id} is kept")
        return found

    @app.get(
        "/api/alerts/{alert_id}/clip.mp4",
        response_class=Response,
        responses={
            200: {"content": {"video/mp4": {}}},
            206: {"description": "The range that was asked for.", "content": {"video/mp4": {}}},
            404: PROBLEM | {"description": "It is being made, or not kept; which of both is told."},
            416: {"description": "The range lies behind its end."},
            503: UNKNOWN[503],
        },
    )
    def clip(request: Request, alert_id: AlertId) -> Response:
        """The frames shortly before and after the one that triggered the alert, as a film; `Range` is honoured."""
        asked = request.headers
        found = evidence_answer(served.evidence, alert_id, "clip", asked.get("range"), asked.get("if-range"))
        if found is None:
            raise HTTPException(404, _why_no_clip(served, alert_id))
        return found


def _why_no_clip(served: Served, alert_id: str) -> str:
    try:
        alert = served.outbox.get(alert_id)
    except AlertUnknown:
        return f"no alert {alert_id} is kept"
    if alert.clip_url is None:
        return f"no clip of alert {alert_id} was made: see evidence.clip.enabled, and whether a frame shows it"
    if time.time_ns() - alert.started_at < MAKING_S * 1_000_000_000:
        return f"the clip of alert {alert_id} is being made; ask again in some seconds"
    return f"no clip of alert {alert_id} is kept (any more)"


async def _refused(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 409)
