"""What every request passes before a route sees it."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI

from monitor.http_settings import Access, Http
from monitor.serving.auth import Gate
from monitor.serving.body_limit import BodyLimit
from monitor.serving.described import describe
from monitor.serving.headers import SecurityHeaders
from monitor.serving.hosts import Hosts
from monitor.serving.rates import Rate
from monitor.serving.throttle import Throttle


def add_fence(app: FastAPI, http: Http, *, token: str | None = None, access: Sequence[Access] = ()) -> None:
    """token, access: who is let in; nobody is asked where there are none."""
    describe(app)
    # Added last, asked first.
    app.add_middleware(BodyLimit)
    app.add_middleware(Gate, token=token, access=access)
    app.add_middleware(
        Hosts, allowed=http.allowed_hosts, public_url=http.public_url, has_tokens=token is not None or bool(access)
    )
    app.add_middleware(Throttle, orders=Rate(http.orders_per_minute), reads=Rate(http.reads_per_minute))
    app.add_middleware(SecurityHeaders)
