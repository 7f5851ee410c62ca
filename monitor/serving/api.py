"""The HTTP surface: the page, the API, health and metrics. The contract is in docs/http.md."""

from __future__ import annotations

import redis
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from monitor.alerting.outbox import AlertUnknown
from monitor.orders.shelf import OrderRefused
from monitor.serving.fence import add_fence
from monitor.serving.routes import (
    alerts,
    baselines,
    cameras,
    dead_letters,
    events,
    health,
    links,
    me,
    orders,
    page,
    subscriptions,
)
from monitor.serving.served import Served

__all__ = ["Served", "build_app"]


def build_app(served: Served) -> FastAPI:
    """The application; it starts nothing by itself."""
    app = FastAPI(
        title="linewatch",
        version=served.version,
        description="Cameras, scores and alerts.",
        docs_url=None,
        redoc_url=None,
    )
    http = served.http
    add_fence(app, http, token=http.token.get_secret_value() if http.token else None, access=http.access)
    app.add_exception_handler(redis.RedisError, _redis_away)
    app.add_exception_handler(AlertUnknown, _unknown_alert)
    app.add_exception_handler(OrderRefused, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    health.add(app, served)
    cameras.add(app, served)
    baselines.add(app, served)
    orders.add(app, served)
    alerts.add(app, served)
    subscriptions.add(app, served)
    dead_letters.add(app, served)
    links.add(app, served)
    me.add(app)
    events.add(app, served)
    page.add(app)
    return app


async def _redis_away(request: Request, error: Exception) -> JSONResponse:
    undone = "" if request.method == "GET" else "; the order was not carried out: give it again when Redis answers"
    return JSONResponse({"detail": f"Redis does not answer ({type(error).__name__}){undone}"}, 503)


async def _unknown_alert(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": f"no alert {error.args[0]}"}, 404)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 409)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """What is wrong, without what was sent: that may be long, or NaN, which JSON does not have."""
    assert isinstance(error, RequestValidationError)
    return JSONResponse(
        {"detail": [{key: fault[key] for key in ("type", "loc", "msg")} for fault in error.errors()]}, 422
    )
