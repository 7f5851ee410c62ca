"""An upper limit on the rate of pictures."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """Says which pictures come too soon. The schedule keeps the average rate, not the gaps between pictures."""

    def __init__(self, fps: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._period_s = None if fps is None else 1.0 / fps
        self._clock = clock
        self._next_due_s = 0.0

    def too_soon(self) -> bool:
        """Whether to let go of the picture that is there now; False spends its turn."""
        if self._period_s is None:
            return False
        now_s = self._clock()
        if now_s < self._next_due_s:
            return True
        self._next_due_s = max(self._next_due_s + self._period_s, now_s - self._period_s)
        return False
