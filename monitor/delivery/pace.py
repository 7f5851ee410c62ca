"""How fast a channel may be used: a storm shall neither flood its receivers nor take the machine from the scoring."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

BURST_S: Final = 3.0
"""What was not used of the last so many seconds may be used at once: alerts that come now and then never wait."""


class Pace:
    """A token bucket. Thread-safe."""

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """per_s: above 0; math.inf for no limit."""
        self._per_s = per_s
        self._clock = clock
        self._lock = threading.Lock()
        self._lifted = threading.Event()
        self._next_s = float("-inf")

    def wait(self) -> None:
        """Until it is one's turn; at once where the pace was lifted."""
        with self._lock:
            now_s = self._clock()
            mine_s = max(self._next_s, now_s - BURST_S)
            self._next_s = mine_s + 1 / self._per_s
        if mine_s > now_s:
            self._lifted.wait(mine_s - now_s)

    def lift(self) -> None:
        """From now on nobody waits, nor those who do."""
        self._lifted.set()
        self._per_s = float("inf")
