"""What is known of each camera right now, for the page and the API."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from monitor.judging.judge import Verdict
from streams.frame import Frame

T = TypeVar("T")

HISTORY_S = 300.0
"""How far back the score chart of the page reaches."""
MAX_POINTS = 30_000
"""A hundred frames a second; more only where a clock was set back."""
SILENT_AFTER_S = 10.0
"""A camera that only messages name is taken for down after so long without one."""
STALE_AFTER_S = 3.0
"""A picture older than this is marked stale."""


@dataclass(frozen=True, slots=True)
class Point:
    """One frame in a camera's chart; time in ns since the epoch, raw scores, `normalised` and `threshold` in 0..1."""

    time_ns: int
    score: float
    limit: float
    low: float
    high: float
    normalised: float
    threshold: float


@dataclass
class Status:
    """One camera. `reported_up` is None where nobody but its frames tells; `troubles`: what is wrong with itself."""

    camera: str
    reported_up: bool | None = None
    seen_s: float | None = None
    frame: Frame | None = None
    verdict: Verdict | None = None
    firing: str | None = None
    troubles: tuple[str, ...] = ()
    points: deque[Point] = field(default_factory=lambda: deque(maxlen=MAX_POINTS))

    @property
    def age_s(self) -> float | None:
        """Seconds since its newest frame was judged; None before the first."""
        return None if self.seen_s is None else time.monotonic() - self.seen_s

    @property
    def up(self) -> bool:
        age_s = self.age_s
        fresh = age_s is not None and age_s < SILENT_AFTER_S
        return fresh if self.reported_up is None else self.reported_up

    @property
    def stale(self) -> bool:
        """Whether the newest picture no longer shows what the camera sees."""
        age_s = self.age_s
        return age_s is None or age_s > STALE_AFTER_S


class Board:
    """The newest of every camera. Thread-safe; `change` and `read` run under the lock and must be quick."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # what is read of one camera may ask about it again
        self._cameras: dict[str, Status] = {}
        self._left: set[str] = set()
        self.troubles: dict[str, str] = {}
        """Why a part cannot work at present, by part; told by /readyz and the page."""
        self._notes: dict[str, str] = {}

    def reported(self, camera: str, up: bool) -> None:
        """A source says whether it can see this camera."""
        with self._lock:
            self._status(camera).reported_up = up

    def gone(self, camera: str) -> None:
        """Another worker reads this camera now."""
        with self._lock:
            self._cameras.pop(camera, None)
            self._left.add(camera)

    def has_left(self, camera: str) -> bool:
        """Whether another worker reads this camera now, as far as is known here."""
        with self._lock:
            return camera in self._left

    def in_trouble(self, camera: str, conditions: tuple[str, ...]) -> None:
        """What is wrong with the camera itself now."""
        with self._lock:
            self._status(camera).troubles = conditions

    def trouble(self, part: str, message: str | None) -> None:
        """Note or clear what keeps a part from working."""
        with self._lock:
            if message is None:
                self.troubles.pop(part, None)
            else:
                self.troubles[part] = message

    def note(self, part: str, message: str | None) -> None:
        """Note or clear something worth knowing that keeps nothing from working."""
        with self._lock:
            if message is None:
                self._notes.pop(part, None)
            else:
                self._notes[part] = message

    def all_notes(self) -> dict[str, str]:
        """What is worth knowing, by part."""
        with self._lock:
            return dict(self._notes)

    def judged(self, verdict: Verdict, firing: str | None) -> None:
        """A frame was judged; `firing` is the id of the camera's alert, if one is open."""
        frame = verdict.frame
        point = Point(
            frame.captured_at_ns,
            verdict.score,
            verdict.limit,
            verdict.low,
            verdict.high,
            verdict.normalised,
            verdict.threshold,
        )
        with self._lock:
            status = self._status(frame.camera)
            status.seen_s, status.frame, status.verdict, status.firing = time.monotonic(), frame, verdict, firing
            status.points.append(point)
            if len(status.points) > 1 and point.time_ns < status.points[-2].time_ns - HISTORY_S * 1e9:
                status.points.clear()  # its clock was set back: what was before is not on this scale
                status.points.append(point)
            while status.points[0].time_ns < point.time_ns - HISTORY_S * 1e9:
                status.points.popleft()

    def read(self, camera: str, what: Callable[[Status], T]) -> T | None:
        """`what` of a camera's status, or None for a camera that is not known."""
        with self._lock:
            status = self._cameras.get(camera)
            return None if status is None else what(status)

    def read_all(self, what: Callable[[Status], T]) -> list[T]:
        """`what` of every camera's status, by camera id in order."""
        with self._lock:
            return [what(self._cameras[camera]) for camera in sorted(self._cameras)]

    def all_troubles(self) -> dict[str, str]:
        with self._lock:
            return dict(self.troubles)

    def _status(self, camera: str) -> Status:
        self._left.discard(camera)
        return self._cameras.setdefault(camera, Status(camera))
