"""Who is told what: subscriptions, and the channels that they name."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query, Request
from fastapi.responses import JSONResponse

from monitor.channel_settings import BUILT_IN
from monitor.delivery.book import SubscriptionRefused, SubscriptionUnknown
from monitor.delivery.listing import Listed
from monitor.serving.acting import acting
from monitor.serving.bodies import By, SubscriptionOrder, SwitchOrder, Who
from monitor.serving.routes.parameters import PROBLEM
from monitor.serving.served import Served
from monitor.serving.views import ChannelView, SubscriptionsView, SubscriptionView, TrialView, TriedView

ByName = Annotated[str, Path(pattern="^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
AWAY: dict[int | str, dict[str, Any]] = {503: {"description": "Redis does not answer; nothing was changed.", **PROBLEM}}
UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"description": "No such subscription.", **PROBLEM}, **AWAY}
REFUSED: dict[int | str, dict[str, Any]] = {
    409: {"description": "It does not fit with the others or the channels, or stands in the file.", **PROBLEM}
}
TRIALS_AT_ONCE = 4
"""Each takes up to 20 s of a thread that answers requests."""
GONE = "gone"


def add(app: FastAPI, served: Served) -> None:
    app.add_exception_handler(SubscriptionUnknown, _unknown)
    app.add_exception_handler(SubscriptionRefused, _refused)
    trials = threading.BoundedSemaphore(TRIALS_AT_ONCE)

    @app.get("/api/subscriptions", responses=AWAY)
    def subscriptions() -> SubscriptionsView:
        """Every subscription, and every channel with what waits for it."""
        return SubscriptionsView(
            subscriptions=[_view(one) for one in served.subscriptions.listed()], channels=_channels(served)
        )

    @app.post("/api/subscriptions", status_code=201, responses={**AWAY, **REFUSED})
    def create_subscription(request: Request, order: SubscriptionOrder) -> SubscriptionView:
        """A new subscription. It holds at once, for every worker."""
        return _view(served.subscriptions.create(order.subscription, acting(request, order.by)))

    @app.put("/api/subscriptions/{name}", responses={**UNKNOWN, **REFUSED})
    def change_subscription(request: Request, name: ByName, order: SubscriptionOrder) -> SubscriptionView:
        """Put another in its place, under the same name. It holds at once."""
        return _view(served.subscriptions.change(name, order.subscription, acting(request, order.by)))

    @app.delete("/api/subscriptions/{name}", responses={**UNKNOWN, **REFUSED})
    def delete_subscription(request: Request, name: ByName, by: Annotated[By, Query()] = "operator") -> dict[str, str]:
        """It is gone at once, with what was gathered for it."""
        served.subscriptions.delete(name, acting(request, by))
        return {"name": name}

    @app.post("/api/subscriptions/{name}/switch", responses={**UNKNOWN, **REFUSED})
    def switch_subscription(request: Request, name: ByName, order: SwitchOrder) -> SubscriptionView:
        """On or off, one of the configuration too. Off, nothing is told and nothing gathered."""
        return _view(served.subscriptions.switch(name, order.on, acting(request, order.by)))

    @app.post(
        "/api/subscriptions/{name}/test",
        responses={**UNKNOWN, 409: {"description": "Several others are being tried; wait a little.", **PROBLEM}},
    )
    def test_subscription(request: Request, name: ByName, who: Who | None = None) -> TrialView:
        """Send a test message to each of its channels, at once and past the queues, and say what became of it; takes up
        to 20 s. One that is off can be tested as well."""
        listed = served.subscriptions.get(name)
        if not trials.acquire(blocking=False):
            raise SubscriptionRefused(f"{TRIALS_AT_ONCE} subscriptions are being tried already; wait 20 s")
        try:
            results = served.try_out(listed.subscription, acting(request, (who or Who()).by))
        finally:
            trials.release()
        return TrialView(on=listed.on, results=[TriedView(**asdict(result)) for result in results])


def _view(listed: Listed) -> SubscriptionView:
    return SubscriptionView(**{name: getattr(listed, name) for name in SubscriptionView.model_fields})


def _channels(served: Served) -> list[ChannelView]:
    """Those of the configuration, and such as have left it with messages that could not be delivered."""
    kinds, dead = served.channel_kinds(), served.dead_letters.count()
    now_ms = time.time_ns() // 1_000_000

    def view(name: str) -> ChannelView:
        oldest_ms = served.queue.oldest_ms(name)
        return ChannelView(
            name=name,
            kind=kinds.get(name, GONE),
            built_in=name in BUILT_IN,
            queued=served.queue.depth(name),
            oldest_s=None if oldest_ms is None else max(0.0, (now_ms - oldest_ms) / 1000),
            dead=dead.get(name, 0),
        )

    return [view(name) for name in (*kinds, *sorted(dead.keys() - kinds.keys()))]


async def _unknown(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": f"no subscription {error.args[0]}"}, 404)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 409)
