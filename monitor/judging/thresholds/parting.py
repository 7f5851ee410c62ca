"""How many alarms a peak of the tail stands for.

A score that wanders slowly stays above the start level for minutes, which is one cluster with one peak, and passes a
threshold far above several times in that time, which is several alarms. So alarms are counted at a higher level as
well, beside the peaks above it in the same frames: where a process has no memory both are the same, to the alarm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.judging.thresholds.clusters import Cluster, Clusters
from monitor.judging.thresholds.statistic import AlarmRule

FROM_PEAKS = 20
UPPER_SHARE = 0.12
"""Of the peaks lie above the higher level."""

ENOUGH_PEAKS = 60
WEIGHT = 2.0
"""What was known before counts like so many peaks."""


@dataclass(frozen=True)
class Parting:
    """level: the higher one, None as long as there are too few peaks to set it. peaks, alarms: above it since it was
    set. before: alarms a peak as known when it was set. clusters: where the series was left."""

    level: float | None = None
    peaks: int = 0
    alarms: int = 0
    before: float = 1.0
    clusters: dict[str, Any] = field(default_factory=dict)

    @property
    def alarms_per_peak(self) -> float:
        """At least 1."""
        return max(1.0, (self.alarms + WEIGHT * self.before) / (self.peaks + WEIGHT))

    def take(
        self,
        rule: AlarmRule,
        times_ms: NDArray[np.int64],
        scores: NDArray[np.float64],
        values: NDArray[np.float64],
        ended: Sequence[Cluster],
    ) -> Parting:
        """With these frames; `ended`: the clusters above the start level that ended in them."""
        if self.level is None:
            return self
        clusters = Clusters.from_dict(rule, self.clusters) if self.clusters else Clusters(rule)
        clusters.take(self.level, times_ms, scores, values)
        return replace(
            self,
            peaks=self.peaks + sum(c.peak > self.level for c in ended),
            alarms=self.alarms + len(clusters.closed),
            clusters=clusters.to_dict(),
        )

    def settled(self, peaks: NDArray[np.float64]) -> Parting:
        """With its level set, or set anew once enough was counted at it. peaks [N]: all those of the tail."""
        if peaks.size < FROM_PEAKS or (self.level is not None and self.peaks < ENOUGH_PEAKS):
            return self
        return Parting(float(np.quantile(peaks, 1 - UPPER_SHARE)), before=self.alarms_per_peak)

    def to_dict(self) -> dict[str, Any]:
        return {
            "level": self.level,
            "peaks": self.peaks,
            "alarms": self.alarms,
            "before": self.before,
            "clusters": self.clusters,
        }

    @classmethod
    def from_dict(cls, rule: AlarmRule, doc: dict[str, Any]) -> Parting:
        """What to_dict gave, for the same rule."""
        level, clusters = doc["level"], dict(doc["clusters"])
        if clusters:
            Clusters.from_dict(rule, clusters)
        numbers = int(doc["peaks"]), int(doc["alarms"]), float(doc["before"])
        return cls(None if level is None else float(level), *numbers, clusters)
