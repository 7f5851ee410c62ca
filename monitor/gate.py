"""Whether somebody may be called about a camera now, and what is held back otherwise."""

from __future__ import annotations

import time
from collections.abc import Callable

from monitor.alerting.storm import StormGuard
from monitor.judging.episodes import Reason
from monitor.orders.orders import SCHEDULE, Orders


class Gate:
    """Asked when an episode would begin. Belongs to the thread that judges; `shelved` to any."""

    def __init__(self, orders: Orders, storm: StormGuard, unsettled: Callable[[str], bool]) -> None:
        """`unsettled`: whether what the network sees of a camera may yet change."""
        self._orders = orders
        self._storm = storm
        self._unsettled = unsettled

    def reason(self, camera: str, at_ns: int) -> Reason | None:
        """Why an episode of this camera may not begin at this time (ns since the epoch); None where it may."""
        if self.shelved(camera, at_ns):
            return Reason.MAINTENANCE
        if self._unsettled(camera):
            return Reason.UNSETTLED
        return None if self._storm.admit(camera, _now_ms()) else Reason.STORM

    def held(self, camera: str, reason: Reason) -> None:
        """An episode was held back: a storm counts its own."""
        if reason is Reason.STORM:
            self._storm.held(camera, _now_ms())

    def shelved(self, camera: str, at_ns: int) -> bool:
        """Whether the camera was shelved at that time, by somebody or by the schedule."""
        return self._orders.shelved(camera, at_ns) is not None

    def shelved_by_hand(self, camera: str, at_ns: int) -> bool:
        """Whether by somebody."""
        shelf = self._orders.shelved(camera, at_ns)
        return shelf is not None and shelf.by != SCHEDULE


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
