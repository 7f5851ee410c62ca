"""Whether the service lives and works, and its metrics."""

from __future__ import annotations

from fastapi import FastAPI, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from monitor.serving.served import Served
from monitor.serving.views import Readiness


def add(app: FastAPI, served: Served) -> None:
    @app.get("/healthz", response_class=PlainTextResponse)
    def healthz() -> str:
        """The process lives."""
        return "ok"

    @app.get("/readyz", responses={503: {"model": Readiness}})
    def readyz(response: Response) -> Readiness:
        """It can score; 503 with reasons otherwise."""
        reasons = served.board.all_troubles()
        response.status_code = 503 if reasons else 200
        return Readiness(ready=not reasons, reasons=reasons, notes=dict(served.notes()))

    @app.get("/metrics", response_class=PlainTextResponse)
    def metrics() -> Response:
        """Prometheus exposition."""
        return Response(generate_latest(served.metrics.registry), media_type=CONTENT_TYPE_LATEST)
