"""How fast files are played."""

from __future__ import annotations

import threading
import time
from typing import Literal

LONGEST_DEBT_S = 1.0
"""A longer stall is not made up for by a burst."""


class Pace:
    """`fps`: a number of frames a second, `native` for each frame at its own time, None as fast as there is room."""

    def __init__(self, fps: float | Literal["native"] | None) -> None:
        self._fps = fps
        self._due_s: float | None = None

    def wait(self, own_gap_s: float | None, stop: threading.Event) -> bool:
        """Wait until the next frame is due; False where stopped meanwhile.

        own_gap_s: how long after the frame before it should come at its own pace; None for a picture, which has none.
        """
        gap_s = own_gap_s if self._fps == "native" else None if self._fps is None else 1.0 / self._fps
        if gap_s is None:
            return not stop.is_set()
        now_s = time.monotonic()
        due_s = now_s if self._due_s is None else self._due_s + gap_s
        if due_s < now_s - LONGEST_DEBT_S:
            due_s = now_s
        self._due_s = due_s
        return not stop.wait(max(0.0, due_s - now_s))
