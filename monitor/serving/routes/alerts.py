"""Alerts, their pictures, and what people say of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import FastAPI, HTTPException, Query
from fastapi.responses import FileResponse

from monitor.alerting.alert import Alert
from monitor.serving.bodies import Who
from monitor.serving.routes.parameters import PROBLEM, AlertId
from monitor.serving.served import Served
from monitor.serving.views import AlertPage

UNKNOWN: dict[int | str, dict[str, Any]] = {
    404: {"description": "No such alert is kept.", **PROBLEM},
    503: {"description": "Redis does not answer.", **PROBLEM},
}


def add(app: FastAPI, served: Served) -> None:
    @app.get("/api/alerts")
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
    def acknowledge(alert_id: AlertId, who: Who | None = None) -> Alert:
        """Somebody has seen it. Again changes nothing."""
        return served.outbox.acknowledge(alert_id, (who or Who()).by)

    @app.post("/api/alerts/{alert_id}/false-alarm", responses=UNKNOWN)
    def false_alarm(alert_id: AlertId, who: Who | None = None) -> Alert:
        """Nothing was wrong, somebody says: the frames of that time leave the baseline. Again changes nothing."""
        return served.marks.false_alarm(alert_id, (who or Who()).by)

    @app.post(
        "/api/alerts/{alert_id}/withdraw-mark",
        responses={**UNKNOWN, 409: {"description": "It carries no mark that can be withdrawn.", **PROBLEM}},
    )
    def withdraw_mark(alert_id: AlertId, who: Who | None = None) -> Alert:
        """Marking it was a mistake. A false alarm is none any more; a missed defect is gone from the list."""
        return served.marks.withdraw(alert_id, (who or Who()).by)

    @app.get(
        "/api/alerts/{alert_id}/{kind}.jpg",
        response_class=FileResponse,
        responses={404: PROBLEM | {"description": "It is not kept."}},
    )
    def picture(alert_id: AlertId, kind: Literal["evidence", "heatmap"]) -> FileResponse:
        """The frame that triggered the alert, or its heat map laid over it."""
        found = served.evidence.find(alert_id, kind)
        if found is None:
            raise HTTPException(404, f"no {kind} of alert {alert_id} is kept")
        return FileResponse(found, media_type="image/jpeg")
