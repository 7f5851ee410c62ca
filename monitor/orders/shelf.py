"""What people order for a camera, for a time: a shelf, or a product."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

KEEP_ENDED_MS = 86_400_000
"""What is over is kept for a day: frames that come late are judged as they would have been."""
MAX_KEPT = 50


class OrderRefused(ValueError):
    """The order makes no sense at present; the message says why."""


class Shelf(BaseModel):
    """A camera whose alerts nobody wants to be called for, from one time to another, ms since the epoch. Held for
    frames by when they were captured. by: who ordered it; `schedule` for the maintenance of the configuration."""

    model_config = ConfigDict(frozen=True)

    camera: str
    from_ms: int = Field(ge=0)
    until_ms: int = Field(ge=0)
    by: str
    why: str

    def holds(self, at_ms: int) -> bool:
        return self.from_ms <= at_ms < self.until_ms


class ProductOrder(BaseModel):
    """What a camera is said to see, from a time on, ms since the epoch; None: what the schedule says."""

    model_config = ConfigDict(frozen=True)

    product: str | None
    from_ms: int = Field(ge=0)
    by: str
