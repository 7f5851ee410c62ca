"""Scores in order, drawn again and again: how far a measure would move with other pictures of the same kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]

CONFIDENCE = 0.95
CHUNK = 500_000
"""Counts that are held at once: 1000 resamples of 10,000 scores take some dozen chunks that fit the cache."""


@dataclass(frozen=True)
class Estimate:
    """value: as measured. low, high: the 95 % bootstrap interval, which always holds the value."""

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        return {"value": self.value, "low": self.low, "high": self.high}

    @classmethod
    def of(cls, value: float, draws: Values, share_of: int | None = None) -> Estimate:
        """The percentile interval of what the resamples gave, widened to hold the value: a maximum such as the best
        F1 is higher in most resamples than in the sample. Draws that are NaN, undefined there, do not count.

        share_of: for a share, of how many pictures it is. No resample of 20 pictures without an error has one, and an
        interval of no width would promise too much: a share of 0 or 1 has the exact binomial bound there instead.
        """
        tail = (1 - CONFIDENCE) / 2
        known = draws[~np.isnan(draws)]
        low, high = np.quantile(known, (tail, 1 - tail)) if known.size else (value, value)
        if share_of and value in (0.0, 1.0):
            unseen = 1 - tail ** (1 / share_of)
            low, high = (low, max(high, unseen)) if value == 0.0 else (min(low, 1 - unseen), high)
        return cls(float(value), float(min(low, value)), float(max(high, value)))


@dataclass(frozen=True)
class Ranking:
    """Labelled scores from the highest to the lowest, equal ones together.

    levels [U]: the distinct scores, falling. normal, anomalous: the level of each picture of that kind, as index
    into levels, [N] and [P]; neither is empty.
    """

    levels: Values
    normal: npt.NDArray[np.intp]
    anomalous: npt.NDArray[np.intp]

    @classmethod
    def of(cls, scores: Values, anomalous: npt.NDArray[np.bool_]) -> Ranking:
        """scores [N] raw, anomalous [N] their labels. ValueError where the lengths differ, a score is no number (a
        broken model must not look like a bad one), or one of the two kinds is absent."""
        scores, anomalous = np.asarray(scores, np.float64), np.asarray(anomalous, np.bool_)
        if scores.ndim != 1 or scores.shape != anomalous.shape:
            raise ValueError(f"{list(scores.shape)} scores for {list(anomalous.shape)} labels")
        bad = int(np.count_nonzero(~np.isfinite(scores)))
        if bad:
            raise ValueError(f"{bad} of {scores.size} scores are no numbers: the model is broken")
        found = int(anomalous.sum())
        if found in (0, scores.size):
            raise ValueError(f"{found} of {scores.size} pictures are anomalous: both kinds are needed to compare")
        rising, level = np.unique(scores, return_inverse=True)
        level = rising.size - 1 - level
        return cls(rising[::-1].copy(), level[~anomalous], level[anomalous])

    def above(self, threshold: float) -> int:
        """How many levels raise an alarm: those above the threshold, as a judge compares."""
        return int(np.count_nonzero(self.levels > threshold))

    def alarms(self) -> tuple[Counts, Counts]:
        """Normal and anomalous pictures among those of the k highest levels, k = 0 to U: two rows [1, U + 1]."""
        return _alarms(self.normal[None], self.levels.size), _alarms(self.anomalous[None], self.levels.size)

    def resamples(self, count: int, seed: int) -> Iterator[tuple[Counts, Counts]]:
        """The same of `count` resamples, in chunks of rows [c, U + 1]. Each draws as many normal and as many anomalous
        pictures as there are, with replacement: how the two kinds mix is a choice of who made the data set, not
        chance. The same seed draws the same."""
        rng = np.random.default_rng(seed)
        rows = max(1, CHUNK // (self.levels.size + self.normal.size + self.anomalous.size))
        for start in range(0, count, rows):
            chunk = min(rows, count - start)
            drawn = [
                _alarms(kind[rng.integers(0, kind.size, (chunk, kind.size))], self.levels.size)
                for kind in (self.normal, self.anomalous)
            ]
            yield drawn[0], drawn[1]


def _alarms(level: npt.NDArray[np.intp], levels: int) -> Counts:
    """level [c, n] -> [c, levels + 1]: in each row, how many pictures the k highest levels hold."""
    rows = level.shape[0]
    own = level + np.arange(rows)[:, None] * levels
    each = np.bincount(own.ravel(), minlength=rows * levels).reshape(rows, levels)
    made = np.zeros((rows, levels + 1), np.int64)
    np.cumsum(each, axis=1, out=made[:, 1:])
    return made
