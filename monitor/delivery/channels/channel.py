"""The port to whatever takes messages outside the house."""

from __future__ import annotations

from typing import Protocol

from monitor.delivery.delivery import Delivery


class DeliveryFailed(RuntimeError):
    """Not delivered; trying again later may help. The message holds no secrets.

    retry_after_s: the other side asks to be left alone for so long.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeliveryRefused(RuntimeError):
    """Not delivered, and trying again will not help: the other side has understood and said no. Holds no secrets."""


class Channel(Protocol):
    """Delivers messages, from up to `parallel` threads at once, none of the same lane (`Delivery.lane`) side by side.

    Idempotent: a message may come again after a crash, with the same `delivery_id` and the same event ids, and must not
    show twice where the other side can tell. Blocks up to the channel's own time-out. Raises DeliveryFailed or
    DeliveryRefused; anything else counts as refused. Connects when first used, never in its constructor.
    """

    @property
    def name(self) -> str:
        """For metrics, logs, and its queue: it must stay the same."""
        ...

    @property
    def parallel(self) -> int:
        """So many deliveries at once, 1 or more."""
        ...

    def deliver(self, delivery: Delivery) -> None: ...

    def close(self) -> None:
        """Let go of connections. May be repeated; a delivery after it connects anew."""
        ...
