"""The HTTP surface: the page, the API, health and metrics. The contract is in docs/http.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated, Any, Literal

import redis
import redis.asyncio
from fastapi import FastAPI, Header, HTTPException, Path, Query, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from monitor.alerting.alert import Alert
from monitor.alerting.evidence import EvidenceStore
from monitor.alerting.outbox import AlertUnknown, Outbox
from monitor.serving.auth import Gate
from monitor.serving.board import Board, Status
from monitor.serving.event_stream import event_stream
from monitor.serving.ledger import Account, Ledger
from monitor.serving.metrics import Metrics
from monitor.serving.views import (
    AlertPage,
    CameraView,
    Readiness,
    ScoresView,
    Who,
    camera_view,
    scores_view,
)
from streams.codec import jpeg_of

Camera = Annotated[str, Path(max_length=128)]
AlertId = Annotated[str, Path(pattern="^[0-9a-f]{1,64}$")]
NO_STORE = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Served:
    """What the HTTP surface shows. `events` opens a connection of its own for each listener; `held_back` tells how many
    alerts of a camera were held back, by reason; `accept_view` takes what a camera shows now for how it shall be."""

    version: str
    board: Board
    ledger: Ledger
    metrics: Metrics
    outbox: Outbox
    evidence: EvidenceStore
    events: Callable[[], redis.asyncio.Redis]
    token: str | None
    warm_up_frames: int
    held_back: Callable[[str], Mapping[str, int]]
    accept_view: Callable[[str], bool]


class Modules(StaticFiles):
    """The page's files, asked after at every use: after an upgrade no browser may mix old modules with new ones."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def build_app(served: Served) -> FastAPI:
    """The application; it starts nothing by itself."""
    app = FastAPI(
        title="linewatch",
        version=served.version,
        description="Cameras, scores and alerts.",
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(Gate, token=served.token)
    app.add_exception_handler(redis.RedisError, _redis_away)
    app.add_exception_handler(AlertUnknown, _unknown_alert)
    _health(app, served)
    _cameras(app, served)
    _alerts(app, served)
    _events(app, served)
    _page(app)
    return app


def _health(app: FastAPI, served: Served) -> None:
    @app.get("/healthz", response_class=PlainTextResponse)
    def healthz() -> str:
        """The process lives."""
        return "ok"

    @app.get("/readyz", responses={503: {"model": Readiness}})
    def readyz(response: Response) -> Readiness:
        """It can score; 503 with reasons otherwise."""
        reasons = served.board.all_troubles()
        response.status_code = 503 if reasons else 200
        return Readiness(ready=not reasons, reasons=reasons)

    @app.get("/metrics", response_class=PlainTextResponse)
    def metrics() -> Response:
        """Prometheus exposition."""
        return Response(generate_latest(served.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _cameras(app: FastAPI, served: Served) -> None:
    @app.get("/api/cameras")
    def cameras() -> list[CameraView]:
        """Every camera that delivered a frame or is configured."""
        accounts = served.ledger.accounts()

        def view(status: Status) -> CameraView:
            account = accounts.get(status.camera, Account())
            return camera_view(status, account, served.warm_up_frames, served.held_back(status.camera))

        seen = {found.camera: found for found in served.board.read_all(view)}
        never_judged = {
            camera: view(Status(camera))
            for camera in accounts
            if camera not in seen and not served.board.has_left(camera)
        }
        return [found for _, found in sorted((seen | never_judged).items())]

    @app.get("/api/cameras/{camera:path}/scores")
    def scores(camera: Camera, since_ms: Annotated[int, Query(ge=0)] = 0) -> ScoresView:
        """The last five minutes of a camera's scores, newer than `since_ms`."""
        found = served.board.read(camera, lambda s: scores_view(s, since_ms))
        if found is None:
            raise HTTPException(404, f"no camera {camera}")
        return found

    @app.get("/api/cameras/{camera:path}/latest.jpg", response_class=Response)
    def latest(camera: Camera) -> Response:
        """The newest picture that was judged, its capture time in X-Captured-At (ns)."""
        frame = served.board.read(camera, lambda s: s.frame)
        if frame is None:
            raise HTTPException(404, f"no picture of camera {camera} yet")
        return Response(
            jpeg_of(frame), media_type="image/jpeg", headers=NO_STORE | {"X-Captured-At": str(frame.captured_at_ns)}
        )

    @app.post("/api/cameras/{camera:path}/accept-view", status_code=202)
    def accept_view(camera: Camera) -> dict[str, str]:
        """What this camera shows now is how it shall be (it was moved or lit anew on purpose): it is learnt anew."""
        if served.board.read(camera, lambda s: s.camera) is None:
            raise HTTPException(404, f"no camera {camera}")
        if not served.accept_view(camera):
            raise HTTPException(409, "health.enabled is false: no view is learnt")
        return {"camera": camera}


def _alerts(app: FastAPI, served: Served) -> None:
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

    @app.get("/api/alerts/{alert_id}")
    def alert(alert_id: AlertId) -> Alert:
        return served.outbox.get(alert_id)

    @app.post("/api/alerts/{alert_id}/acknowledge")
    def acknowledge(alert_id: AlertId, who: Who | None = None) -> Alert:
        """Somebody has seen it. Again changes nothing."""
        return served.outbox.acknowledge(alert_id, (who or Who()).by)

    @app.post("/api/alerts/{alert_id}/false-alarm")
    def false_alarm(alert_id: AlertId, who: Who | None = None) -> Alert:
        """Nothing was wrong, somebody says. Again changes nothing."""
        return served.outbox.false_alarm(alert_id, (who or Who()).by)

    @app.get("/api/alerts/{alert_id}/{kind}.jpg", response_class=FileResponse)
    def picture(alert_id: AlertId, kind: Literal["evidence", "heatmap"]) -> FileResponse:
        """The frame that triggered the alert, or its heat map laid over it."""
        found = served.evidence.find(alert_id, kind)
        if found is None:
            raise HTTPException(404, f"no {kind} of alert {alert_id} is kept")
        return FileResponse(found, media_type="image/jpeg")


def _events(app: FastAPI, served: Served) -> None:
    @app.get("/api/events", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
    async def events(last_event_id: Annotated[str, Header(max_length=64)] = "") -> StreamingResponse:
        """Alert events as they are written, replayed after `Last-Event-ID`; without one, from the next event on."""
        return StreamingResponse(
            event_stream(served.events(), served.outbox.stream, last_event_id),
            media_type="text/event-stream",
            headers=NO_STORE | {"X-Accel-Buffering": "no"},
        )


def _page(app: FastAPI) -> None:
    static = files("monitor.serving").joinpath("static")
    index = static.joinpath("index.html").read_text(encoding="utf-8")
    app.mount("/static", Modules(packages=[("monitor.serving", "static")]), name="static")

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def page() -> str:
        """The live page."""
        return index


async def _redis_away(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": f"Redis does not answer ({type(error).__name__}); alerts cannot be read now"}, 503)


async def _unknown_alert(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": f"no alert {error.args[0]}"}, 404)
