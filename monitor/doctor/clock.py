"""The time of one examination."""

from __future__ import annotations

import threading
import time


class Clock(threading.Event):
    """Set when the examination's time is over. Waiting for a turn costs nothing of it, but the wait has its own end."""

    def __init__(self, limit_s: float, longest_wait_s: float) -> None:
        super().__init__()
        self._limit_s = limit_s
        began_s = time.monotonic()
        self._end_s = began_s + limit_s
        self._wait_end_s = max(self._end_s, began_s + longest_wait_s)
        self.waiting = False
        """For its turn; stays so where the turn did not come."""

    @property
    def end_s(self) -> float:
        """When its time is over, as time.monotonic() counts."""
        return self._wait_end_s if self.waiting else self._end_s

    def wait_turn(self, turns: threading.Semaphore) -> bool:
        """Take one of the turns, which the caller gives back; the time begins anew then. False: time was over first."""
        self.waiting = True
        while not turns.acquire(timeout=0.1):
            if self.is_set():
                return False
        self._end_s = time.monotonic() + self._limit_s
        self.waiting = False
        return True
