"""What an alarm hangs on: it fires where this value passes the threshold, and nowhere else.

An alarm needs `frames` anomalous frames of the last `of`, so the value is the frames-th greatest of the last `of`
scores; where that must hold for `seconds`, it is the least of those values over that time.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_HELD = 512
"""The least over a time is kept as the values that may still become it: a handful, but for a score that only rises."""

CHUNK = 4096


@dataclass(frozen=True, slots=True)
class AlarmRule:
    """`frames` anomalous frames of `of` in a row, for `seconds`, raise an alarm; `resolve_frames` normal ones in a row
    that span `resolve_s` end it; for `cooldown_s` after that there is no new one."""

    frames: int = 3
    of: int = 5
    seconds: float = 0.0
    resolve_frames: int = 10
    resolve_s: float = 0.0
    cooldown_s: float = 30.0


@dataclass
class Statistic:
    """Goes along a series, in any pieces, with the same result as in one."""

    rule: AlarmRule
    recent: list[float] = field(default_factory=list)
    held: deque[tuple[float, float]] = field(default_factory=deque)
    """(time of the next frame, value), both rising."""
    first_ms: float | None = None

    def take(self, times_ms: NDArray[np.int64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """The value at each frame [N]; minus infinity where an alarm is impossible so far."""
        rule = self.rule
        if not scores.size:
            return scores
        before = np.full(rule.of - 1, -np.inf)
        if self.recent:
            before[-len(self.recent) :] = self.recent
        whole = np.concatenate([before, scores])
        self.recent = [float(s) for s in whole[whole.size - (rule.of - 1) :] if np.isfinite(s)]
        values = np.empty(scores.size)
        views = np.lib.stride_tricks.sliding_window_view(whole, rule.of)
        for start in range(0, scores.size, CHUNK):
            part = views[start : start + CHUNK]
            values[start : start + CHUNK] = np.partition(part, rule.of - rule.frames, axis=1)[:, rule.of - rule.frames]
        return self._held(times_ms, values) if rule.seconds > 0 else values

    def _held(self, times_ms: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
        hold_ms = self.rule.seconds * 1000
        result = np.full(values.size, -np.inf)
        for index, (now, value) in enumerate(zip(times_ms.tolist(), values.tolist(), strict=True)):
            if self.first_ms is None:
                self.first_ms = now
            if self.held:
                self.held[-1] = (now, self.held[-1][1])
            while len(self.held) and self.held[0][0] <= now - hold_ms:
                self.held.popleft()
            while self.held and self.held[-1][1] >= value:
                self.held.pop()
            self.held.append((np.inf, value))
            if len(self.held) > MOST_HELD:
                self.held = deque([*list(self.held)[1::2], self.held[-1]][-MOST_HELD:])
            if now - self.first_ms >= hold_ms:
                result[index] = self.held[0][1]
        return result

    def to_dict(self) -> dict[str, Any]:
        held = [[None if np.isinf(t) else t, v if np.isfinite(v) else None] for t, v in self.held]
        return {"recent": self.recent, "held": held, "first_ms": self.first_ms}

    @classmethod
    def from_dict(cls, rule: AlarmRule, doc: dict[str, Any]) -> Statistic:
        """What to_dict gave, for the same rule."""
        held = ((np.inf if t is None else float(t), -np.inf if v is None else float(v)) for t, v in doc["held"])
        first = doc["first_ms"]
        return cls(rule, [float(s) for s in doc["recent"]], deque(held), None if first is None else float(first))
