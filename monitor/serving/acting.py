"""Under whose name an order is noted."""

from __future__ import annotations

from starlette.requests import Request


def acting(request: Request, by: str) -> str:
    """Whoever the token belongs to, where it belongs to somebody: nobody acts under another's name. `by`, what the
    order says, otherwise."""
    access = request.scope.get("state", {}).get("access")
    name = getattr(access, "name", None)
    return name if isinstance(name, str) and name else by
