"""The port behind which an alert leaves the house."""

from __future__ import annotations

from typing import Any, Protocol


class DeliveryFailed(RuntimeError):
    """Not delivered; trying again later may help. The message holds no secrets."""


class DeliveryRefused(RuntimeError):
    """Not delivered, and trying again will not help: the other side has understood and said no."""


class Channel(Protocol):
    """Delivers events, one at a time and in order, from a thread of its own.

    Idempotent: an event may come again after a crash, with the same `id`, and must not show twice where the other
    side can tell. Blocks up to the channel's own time-out. Raises DeliveryFailed or DeliveryRefused.
    """

    @property
    def name(self) -> str:
        """For metrics and logs; also the name of its consumer group, so it must stay the same."""
        ...

    def deliver(self, event: dict[str, Any]) -> None:
        """Deliver one CloudEvent (a mapping as `Event.document` makes it)."""
        ...

    def close(self) -> None: ...
