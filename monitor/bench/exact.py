"""Exact values where the service keeps a histogram."""

from __future__ import annotations

import time
from array import array
from typing import Protocol


class Observer(Protocol):
    """What is used of a histogram."""

    def observe(self, amount: float) -> None: ...


class Exact:
    """Stands in a histogram's place, passes on what it is told, and remembers it and when. Belongs to one thread;
    others may look at its length."""

    def __init__(self, histogram: Observer) -> None:
        self._histogram = histogram
        self.values = array("d")
        self.at_s = array("d")
        """Monotonic, of each value."""

    def __len__(self) -> int:
        return len(self.at_s)

    def observe(self, amount: float) -> None:
        self._histogram.observe(amount)
        self.values.append(amount)
        self.at_s.append(time.monotonic())
