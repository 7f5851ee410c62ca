"""What is kept of a baseline's scores to take a threshold from: its highest peaks, and how long it took to see them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from monitor.judging.thresholds.clusters import Cluster, Clusters
from monitor.judging.thresholds.parting import Parting
from monitor.judging.thresholds.statistic import AlarmRule, Statistic

VERSION = 1
Stretches = Sequence[tuple[int, int]]
"""From and to, both included, ms since the epoch."""

Around = Literal["zero", "mean"]


@dataclass(frozen=True, slots=True)
class Peak:
    """The greatest value of a cluster. clock_s: how long had been watched by then. alarm: it lies in an alarm that
    nobody has called false, so it may or may not be a normal one."""

    value: float
    at_ms: int
    clock_s: float
    alarm: bool = False


@dataclass(frozen=True)
class Tail:
    """level: the start level, above which clusters are looked for. peaks: of the clusters that ended, by time.

    clock_s: how long was watched since the tail began, clock_from_s of that no longer counts, since its peaks were let
    go. until_ms: the newest frame taken in; from_ms: the first one. share: of the frames above the level at the start.
    frames, above: since the level was set. around: whether scores or their distance to a moving mean, `mean`, are
    meant; the level and the peaks are such distances then. rule, statistic, clusters: where the series was left.
    """

    rule: AlarmRule
    around: Around
    level: float
    share: float
    from_ms: int
    until_ms: int
    clock_s: float = 0.0
    clock_from_s: float = 0.0
    frames: int = 0
    above: int = 0
    raised: int = 0
    mean: float = 0.0
    peaks: tuple[Peak, ...] = ()
    parting: Parting = field(default_factory=Parting)
    statistic: dict[str, Any] = field(default_factory=dict)
    clusters: dict[str, Any] = field(default_factory=dict)

    @property
    def watched_s(self) -> float:
        """How long was watched for these peaks."""
        return max(0.0, self.clock_s - self.clock_from_s)

    def values(self, alarm: bool) -> NDArray[np.float64]:
        """The peaks [N] that lie in alarms, or those that do not."""
        return np.array([p.value for p in self.peaks if p.alarm is alarm], dtype=np.float64)

    def marked(self, alarms: Stretches, since_ms: int | None = None) -> Tail:
        """The same, with what lies in an alarm told anew: alarms end, and people find them false. since_ms: of what was
        before, `alarms` does not know all; peaks from then stay marked as they are."""
        spans = np.array(sorted(alarms), dtype=np.int64).reshape(-1, 2)
        inside = within(np.array([p.at_ms for p in self.peaks], dtype=np.int64), spans)
        peaks = tuple(
            p if p.alarm == bool(now) or (since_ms is not None and p.at_ms < since_ms) else replace(p, alarm=bool(now))
            for p, now in zip(self.peaks, inside, strict=True)
        )
        return self if peaks == self.peaks else replace(self, peaks=peaks)

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        rule = self.rule
        return {
            "version": VERSION,
            "rule": [rule.frames, rule.of, rule.seconds, rule.resolve_frames, rule.resolve_s, rule.cooldown_s],
            "around": self.around,
            "level": self.level,
            "share": self.share,
            "from_ms": self.from_ms,
            "until_ms": self.until_ms,
            "clock_s": round(self.clock_s, 3),
            "clock_from_s": round(self.clock_from_s, 3),
            "frames": self.frames,
            "above": self.above,
            "raised": self.raised,
            "mean": self.mean,
            "peaks": [[p.value, p.at_ms, round(p.clock_s, 3), int(p.alarm)] for p in self.peaks],
            "parting": self.parting.to_dict(),
            "statistic": self.statistic,
            "clusters": self.clusters,
        }

    @classmethod
    def from_dict(cls, doc: dict[str, Any]) -> Tail:
        """What to_dict gave. Raises ValueError, saying what is wrong, for anything else."""
        if not isinstance(doc, dict) or doc.get("version") != VERSION:
            found = doc.get("version") if isinstance(doc, dict) else type(doc).__name__
            raise ValueError(f"not a tail of version {VERSION}, which this service reads: found {found!r}")
        try:
            frames, of, seconds, resolve_frames, resolve_s, cooldown_s = doc["rule"]
            rule = AlarmRule(int(frames), int(of), float(seconds), int(resolve_frames), float(resolve_s), cooldown_s)
            around: Around = "mean" if doc["around"] == "mean" else "zero"
            numbers = {n: float(doc[n]) for n in ("level", "share", "clock_s", "clock_from_s", "mean")}
            counts = {n: int(doc[n]) for n in ("from_ms", "until_ms", "frames", "above", "raised")}
            peaks = tuple(Peak(float(v), int(a), float(c), bool(alarm)) for v, a, c, alarm in doc["peaks"])
            if not all(math.isfinite(n) for n in [*numbers.values(), *(p.value for p in peaks)]):
                raise ValueError("numbers that are not finite")
            Statistic.from_dict(rule, doc["statistic"])
            Clusters.from_dict(rule, doc["clusters"])
            return cls(
                rule,
                around,
                peaks=peaks,
                parting=Parting.from_dict(rule, doc["parting"]),
                statistic=doc["statistic"],
                clusters=doc["clusters"],
                **numbers,  # type: ignore[arg-type]
                **counts,
            )
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise ValueError(f"not a tail: {type(error).__name__}: {error}") from None


def within(times_ms: NDArray[np.int64], spans: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the times [N] lie in one of the spans [M, 2], sorted by their start."""
    if not spans.size:
        return np.zeros(times_ms.size, dtype=np.bool_)
    reach = np.maximum.accumulate(spans[:, 1])
    at = np.searchsorted(spans[:, 0], times_ms, side="right") - 1
    result: NDArray[np.bool_] = (at >= 0) & (times_ms <= reach[np.maximum(at, 0)])
    return result


def peak_of(cluster: Cluster, times_ms: NDArray[np.int64], clock_s: NDArray[np.float64], latest_s: float) -> Peak:
    """clock_s [N]: what had been watched at the frames of `times_ms`; latest_s: for a peak before them all."""
    at = int(np.searchsorted(times_ms, cluster.at_ms))
    found = at < times_ms.size and times_ms[at] == cluster.at_ms
    return Peak(cluster.peak, cluster.at_ms, float(clock_s[at]) if found else latest_s)
