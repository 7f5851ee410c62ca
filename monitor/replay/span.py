"""For how long a camera was watched, and its scores over time in little room."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.replay.rows import Rows

GAP_NS = 60 * 10**9
"""Where no score came for longer, nobody watched (as in the thresholds from a wished rate)."""
RATED_FROM_S = 3600.0
DAY_NS = 86_400 * 10**9
BINS = 1500


@dataclass
class Span:
    """What was counted of one camera. watched_s: the time between its frames, without gaps of over a minute."""

    frames: int = 0
    held: int = 0
    watched_s: float = 0.0
    first_ns: int = 0
    last_ns: int = 0
    days: set[str] = field(default_factory=set)

    def add(self, rows: Rows) -> None:
        """Rows by time, later than those before."""
        times = rows["time_ns"]
        if not len(times):
            return
        steps = np.diff(times, prepend=self.last_ns if self.frames else times[0])
        self.watched_s += float(steps[steps <= GAP_NS].sum()) / 1e9
        self.first_ns = self.first_ns if self.frames else int(times[0])
        self.frames += len(times)
        self.held += int(np.count_nonzero(rows["hold"]))
        self.last_ns = int(times[-1])
        for day in np.unique(times // DAY_NS):
            self.days.add(datetime.fromtimestamp(int(day) * 86_400, UTC).date().isoformat())

    def a_day(self, alerts: int) -> float | None:
        """So many alerts a day of watching; None where too little was watched to tell."""
        return alerts * 86_400 / self.watched_s if self.watched_s >= RATED_FROM_S else None

    def to_dict(self) -> dict[str, Any]:
        return {
            "frames": self.frames,
            "frames_held": self.held,
            "watched_s": round(self.watched_s, 3),
            "first_ns": self.first_ns,
            "last_ns": self.last_ns,
        }


class Trace:
    """The least and the greatest value in each of BINS slices of time: no peak is lost, however many there are."""

    def __init__(self, from_ns: int, until_ns: int, bins: int = BINS) -> None:
        self._from_ns = from_ns
        self._width_ns = max(1, -(-(until_ns - from_ns) // bins))
        self.least = np.full(bins, np.inf)
        self.greatest = np.full(bins, -np.inf)

    def add(self, times_ns: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Values that are no numbers are left out."""
        fits = np.isfinite(values)
        slices = ((times_ns - self._from_ns) // self._width_ns)[fits]
        inside = (slices >= 0) & (slices < len(self.least))
        np.minimum.at(self.least, slices[inside], values[fits][inside])
        np.maximum.at(self.greatest, slices[inside], values[fits][inside])

    def between(self, from_ns: int, until_ns: int) -> bool:
        """Whether there is something in one of the slices that this time touches."""
        first, last = ((at_ns - self._from_ns) // self._width_ns for at_ns in (from_ns, until_ns))
        return bool(self.filled[max(0, first) : max(0, last + 1)].any())

    @property
    def filled(self) -> NDArray[np.bool_]:
        """[bins], where there is something."""
        return self.greatest >= self.least

    @property
    def middles_ns(self) -> NDArray[np.int64]:
        """[bins]"""
        return self._from_ns + self._width_ns * np.arange(len(self.least), dtype=np.int64) + self._width_ns // 2
