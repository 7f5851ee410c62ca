"""Which exceedances of a level are one alarm: the rule of the episodes, held against a level.

A cluster reaches from the frame at which an alarm at this level fires until the next one can: while it fires, and over
the cool-down after it. Its peak is the greatest value of the statistic in it. An alarm at a higher threshold is then
a cluster whose peak lies above that, as long as clusters are rare against their own length.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.judging.thresholds.statistic import AlarmRule, Statistic


@dataclass(slots=True)
class Cluster:
    """peak: of the statistic; at_ms: when; from_ms: when the alarm would have fired."""

    peak: float
    at_ms: int
    from_ms: int


@dataclass
class Clusters:
    """Goes along a series, in any pieces, with the same result as in one."""

    rule: AlarmRule
    firing: bool = False
    normal_frames: int = 0
    """In a row, up to the last frame; 0 where nothing fires."""
    normal_since_ms: int = 0
    cool_until_ms: int = 0
    open: Cluster | None = None
    """Its alarm or the cool-down after it goes on, or nothing above the level came after."""
    closed: list[Cluster] = field(default_factory=list)
    """Those that ended, for the caller to take away."""

    def take(
        self,
        level: float,
        times_ms: NDArray[np.int64],
        scores: NDArray[np.float64],
        values: NDArray[np.float64],
    ) -> None:
        """scores: of the frames; values: of the statistic at them, [N] each; times rise."""
        if not times_ms.size:
            return
        piece = _Piece(self.rule, times_ms, np.flatnonzero(scores > level))
        over = np.flatnonzero(values > level)
        above = values[over]
        fired, at = -1 - self.normal_frames, 0  # `at`: the first of `over` that is not accounted for
        resolved = piece.resolved_after(fired, self.normal_since_ms) if self.firing else None
        while True:
            if self.firing:
                if resolved is None:
                    self._grow(times_ms, over[at:], above[at:])
                    break
                self.firing = False
                self.cool_until_ms = int(times_ms[resolved]) + round(self.rule.cooldown_s * 1000)
                earliest = resolved + 1
            else:
                earliest = 0
            cool = int(np.searchsorted(times_ms, self.cool_until_ms))
            following = int(np.searchsorted(over, max(earliest, cool)))
            self._grow(times_ms, over[at:following], above[at:following])
            if following == over.size:
                break
            self.finish()
            fired = int(over[following])
            self.firing, self.open = True, Cluster(float(above[following]), int(times_ms[fired]), int(times_ms[fired]))
            at, resolved = following + 1, piece.resolved_after(fired)
        self._note_end(times_ms, max(fired, piece.last_hot))

    def _grow(self, times_ms: NDArray[np.int64], over: NDArray[np.intp], above: NDArray[np.float64]) -> None:
        if self.open is not None and over.size:
            best = int(above.argmax())
            if float(above[best]) > self.open.peak:
                self.open.peak, self.open.at_ms = float(above[best]), int(times_ms[over[best]])

    def _note_end(self, times_ms: NDArray[np.int64], last_hot: int) -> None:
        if not self.firing:
            self.normal_frames = self.normal_since_ms = 0
            return
        if -1 <= last_hot < times_ms.size - 1:
            self.normal_since_ms = int(times_ms[last_hot + 1])
        self.normal_frames = times_ms.size - 1 - last_hot

    def finish(self) -> None:
        """Close the open cluster."""
        if self.open is not None:
            self.closed.append(self.open)
            self.open = None

    def to_dict(self) -> dict[str, Any]:
        now = self.open
        return {
            "firing": self.firing,
            "normal_frames": self.normal_frames,
            "normal_since_ms": self.normal_since_ms,
            "cool_until_ms": self.cool_until_ms,
            "open": None if now is None else [now.peak, now.at_ms, now.from_ms],
        }

    @classmethod
    def from_dict(cls, rule: AlarmRule, doc: dict[str, Any]) -> Clusters:
        """What to_dict gave, for the same rule."""
        now = doc["open"]
        return cls(
            rule,
            bool(doc["firing"]),
            int(doc["normal_frames"]),
            int(doc["normal_since_ms"]),
            int(doc["cool_until_ms"]),
            None if now is None else Cluster(float(now[0]), int(now[1]), int(now[2])),
        )


class _Piece:
    """Where in a piece of a series alarms end."""

    def __init__(self, rule: AlarmRule, times_ms: NDArray[np.int64], hot: NDArray[np.intp]) -> None:
        """hot: the frames above the level."""
        self._rule, self._times_ms, self._hot = rule, times_ms, hot
        self.last_hot = int(hot[-1]) if hot.size else -times_ms.size - 10**9
        self._following = np.append(hot[1:], times_ms.size)
        ends = hot + rule.resolve_frames
        if rule.resolve_s > 0:
            first_normal = times_ms[np.minimum(hot + 1, times_ms.size - 1)]
            ends = np.maximum(ends, np.searchsorted(times_ms, first_normal + rule.resolve_s * 1000))
        enough = ends < self._following
        self._last_hots, self._ends = hot[enough], ends[enough]

    def resolved_after(self, frame: int, since_ms: int | None = None) -> int | None:
        """The frame at which an alarm ends whose last abnormal one so far is `frame`; None: not in this piece.

        frame: below -1 in an earlier piece; `since_ms` is then the time of the first normal one after it.
        """
        position = int(np.searchsorted(self._hot, frame, side="right"))
        next_hot = int(self._hot[position]) if position < self._hot.size else self._times_ms.size
        if frame + 1 < next_hot or frame < -1:
            since = int(self._times_ms[frame + 1]) if frame >= -1 else since_ms or 0
            by_time = int(np.searchsorted(self._times_ms, since + self._rule.resolve_s * 1000))
            end = max(frame + self._rule.resolve_frames, by_time, 0)
            if end < next_hot:
                return end
        position = int(np.searchsorted(self._last_hots, frame, side="right"))
        return int(self._ends[position]) if position < self._ends.size else None


def alarms(level: float, times_ms: NDArray[np.int64], scores: NDArray[np.float64], rule: AlarmRule) -> list[Cluster]:
    """The alarms that this level raises on a series: what a threshold is held to."""
    clusters = Clusters(rule)
    clusters.take(level, times_ms, scores, Statistic(rule).take(times_ms, scores))
    clusters.finish()
    return clusters.closed
