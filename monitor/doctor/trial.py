"""A source tried for a moment, through its own port."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass

from monitor.doctor.clock import Clock
from streams.frame import Frame
from streams.source import Keep, Source

MEASURE_S = 2.5
SETTLE_S = 0.5
"""What a camera held back until somebody looked comes at once, and says nothing of its rate."""
LEAVE_S = 2.0

AT_ONCE = max(2, os.cpu_count() or 1)
_SLOTS = threading.BoundedSemaphore(AT_ONCE)
"""Every camera is read in a process of its own; too many that start at once would slow each other down."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What came: the first frame, how many frames a second (0 where there were too few), what the source told."""

    frame: Frame | None
    fps: float
    trouble: str | None


class _Noting:
    """An outlet (streams.source.Outlet) that keeps the first frame and counts the rest."""

    def __init__(self) -> None:
        self.change = threading.Condition()
        self.first: Frame | None = None
        self.times_s: list[float] = []
        self.message: str | None = None

    def offer(self, frame: Frame, keep: Keep) -> bool:
        with self.change:
            self.first = self.first or frame
            self.times_s.append(time.monotonic())
            self.change.notify_all()
        return True

    def refuse(self, camera: str, reason: str) -> None:
        """Told through `trouble` where it matters."""

    def skip(self, camera: str, reason: str) -> None:
        with self.change:
            self.times_s.append(time.monotonic())

    def camera_up(self, camera: str, up: bool) -> None:
        """Frames say more."""

    def camera_gone(self, camera: str) -> None:
        """Only topics lose cameras."""

    def lag(self, topic: str, partition: int, messages: int) -> None:
        """No camera has one."""

    def trouble(self, source: str, message: str | None) -> None:
        self.message = message or self.message


def try_out(source: Source, first_within_s: float, over: Clock) -> Trial:
    """Run the source, in its turn, until its first frame or the end of the time, and a little longer for its rate."""
    outlet, stop = _Noting(), threading.Event()
    if not over.wait_turn(_SLOTS):
        return Trial(None, 0.0, None)
    try:
        reader = threading.Thread(target=source.run, args=(outlet, stop), name=f"trial {source.name}", daemon=True)
        reader.start()
        end_s = time.monotonic() + first_within_s
        with outlet.change:
            while outlet.first is None and time.monotonic() < end_s and not over.is_set():
                outlet.change.wait(0.1)
        if outlet.first is not None:
            over.wait(MEASURE_S)
        stop.set()
        reader.join(LEAVE_S)
    finally:
        _SLOTS.release()
    if not reader.is_alive():
        source.close()
    with outlet.change:
        times_s = [at_s for at_s in outlet.times_s if at_s - outlet.times_s[0] > SETTLE_S]
    fps = (len(times_s) - 1) / (times_s[-1] - times_s[0]) if len(times_s) > 1 and times_s[-1] > times_s[0] else 0.0
    return Trial(outlet.first, fps, outlet.message)
