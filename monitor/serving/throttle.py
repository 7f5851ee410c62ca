"""How often one address may ask, so that a program gone wild leaves the service to others."""

from __future__ import annotations

from functools import lru_cache

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from monitor.serving.rates import Rate, network_of
from monitor.serving.roles import SAFE_METHODS

NOT_COUNTED = frozenset({"/healthz"})
"""A service that answers too many others is alive all the same."""


class Throttle:
    """Middleware. So many requests a minute that change something, and so many others, from one address; then 429 with
    Retry-After. The address is that of the connection: what X-Forwarded-For says, anybody can write."""

    def __init__(self, app: ASGIApp, *, orders: Rate, reads: Rate) -> None:
        self._app = app
        self._orders = orders
        self._reads = reads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in NOT_COUNTED:
            safe = scope["method"] in SAFE_METHODS
            rate = self._reads if safe else self._orders
            wait_s = rate.exceeded_s(caller_network(scope))
            if wait_s is not None:
                key = "http.reads_per_minute" if safe else "http.orders_per_minute"
                detail = (
                    f"more than {rate.per_minute} requests a minute from one address; again in {wait_s} s. Where many "
                    f"people come from that address, raise {key}"
                )
                await JSONResponse({"detail": detail}, 429, headers={"Retry-After": str(wait_s)})(scope, receive, send)
                return
        await self._app(scope, receive, send)


def caller_network(scope: Scope) -> str:
    """What the caller of a request counts as."""
    client = scope.get("client")
    return _network_of(client[0] if client else None)


_network_of = lru_cache(maxsize=1024)(network_of)
