"""From the peaks of a tail to the level that is passed as often as somebody wishes.

Two ways. `extrapolated`: the generalised Pareto distribution of the peaks, every one that could be weighed by how
likely it makes them, so that the expected number of alarms is the wished one; a likeliest one alone would be passed too
often, since it errs to both sides and errors downwards cost more. `counted`: the peak that has been passed as often as
is wished, which needs a sample in which that happened.

Peaks in alarms that nobody has called false may be normal or not. To leave them out would cut the sample off at the
threshold: what is learnt from it is a lower one, then a lower one yet. So the distribution is fitted as one of which
nothing beyond them is seen, and with at most so many normal peaks there as there were alarms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.judging.thresholds.gpd import GREATEST_SHAPE, LEAST_SHAPE

SHAPE_MEAN, SHAPE_SPREAD = 0.0, 0.15
"""What is taken for likely before any peak was seen: peaks of scores have tails near the exponential one. Chosen by
measurement (docs/thresholds.md)."""

SHAPES, SCALES = 25, 31
WIDE = 2.5
"""The scale is first looked for within a factor of e to this, around the mean excess."""

WORTH = 12.0
"""What is less likely by a factor of e to this is left out."""


@dataclass(frozen=True)
class Belief:
    """Distributions that could be, on a grid: shape, scale and weight [M] each, the weights together 1; `total`: how
    many normal peaks there were above the level, those hidden in alarms included, [M]."""

    shape: NDArray[np.float64]
    scale: NDArray[np.float64]
    weight: NDArray[np.float64]
    total: NDArray[np.float64]

    def expected(self, y: float) -> float:
        """How many of the peaks are expected to lie more than y above the level, in so long a time as was watched."""
        return float((self.weight * self.total * _survival(self.shape, self.scale, y)).sum())


def extrapolated(seen: NDArray[np.float64], alarms: NDArray[np.float64], level: float, wished: float) -> float | None:
    """The level that `wished` normal peaks pass in so long a time as the sample took.

    seen [N]: peaks that are normal; alarms [K]: those in alarms. All above `level`. None where nothing can be said.
    """
    belief = believe(seen - level, alarms - level)
    if belief is None or wished <= 0:
        return None
    if belief.expected(0.0) <= wished:
        return level
    low, high = 0.0, float(max(seen.max() - level, 1e-12))
    for _ in range(60):
        if belief.expected(high) <= wished:
            break
        low, high = high, high * 2
    for _ in range(60):
        middle = (low + high) / 2
        if belief.expected(middle) > wished:
            low = middle
        else:
            high = middle
    return level + high


def believe(seen: NDArray[np.float64], alarms: NDArray[np.float64]) -> Belief | None:
    """What the excesses say about their distribution; None where there are fewer than two different ones."""
    cut = _cut(seen, alarms)
    y = seen[seen <= cut]
    if y.size < 2 or float(y.mean()) <= 0:
        return None
    fewest = int((seen > cut).sum())
    most = fewest + int((alarms >= cut).sum())
    unit = float(y.mean())
    shapes = np.linspace(LEAST_SHAPE * 0.9, min(0.8, GREATEST_SHAPE), SHAPES)
    logs = np.linspace(-WIDE, WIDE, SCALES)
    for _ in range(3):
        grid = np.meshgrid(shapes, logs, indexing="ij")
        # scale * (1 + shape) is nearly independent of the shape
        shape, scale = grid[0].ravel(), (np.exp(grid[1]) / (1 + grid[0])).ravel()
        likely, total = _log_posterior(shape, scale, y / unit, cut / unit, (fewest, most))
        worth = likely > likely.max() - WORTH
        shapes = _around(shapes, shape[worth])
        logs = _around(logs, grid[1].ravel()[worth])
    weight = np.exp(likely - likely.max())
    return Belief(shape, scale * unit, weight / weight.sum(), total)


def _cut(seen: NDArray[np.float64], alarms: NDArray[np.float64]) -> float:
    """Where the sample is cut off: at the alarm that parts best what raised one from what did not.

    The threshold has moved, and alarms may be older than it, so the lowest of them need not be at it. Infinity where
    alarms lie among what raised none: they are left out then.
    """
    if not alarms.size:
        return math.inf
    ordered = np.sort(alarms)
    above = seen.size - np.searchsorted(np.sort(seen), ordered, side="right")
    misplaced = above + np.arange(ordered.size)
    best = int(misplaced.argmin())
    return float(ordered[best]) if misplaced[best] <= ordered.size else math.inf


def _around(axis: NDArray[np.float64], worth: NDArray[np.float64]) -> NDArray[np.float64]:
    step = float(axis[1] - axis[0])
    return np.linspace(float(worth.min()) - step, float(worth.max()) + step, axis.size)


def _log_posterior(
    shape: NDArray[np.float64], scale: NDArray[np.float64], y: NDArray[np.float64], cut: float, hidden: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each grid point [M]; and how many normal peaks there were, had it been so. hidden: the fewest and the most
    that there can have been above the cut."""
    bent = np.where(np.abs(shape) < 1e-6, 1e-6, shape)
    logs = np.empty(shape.size)
    for part in range(0, shape.size, 64):
        inner = bent[part : part + 64, None] * y[None, :] / scale[part : part + 64, None]
        logs[part : part + 64] = np.log1p(np.maximum(inner, -1 + 1e-12)).sum(1)
    likely = -y.size * np.log(scale) - (1 + 1 / bent) * logs
    likely = np.where(1 + bent * y.max() / scale > 0, likely, -np.inf)
    likely = likely - 0.5 * ((shape - SHAPE_MEAN) / SHAPE_SPREAD) ** 2
    if not math.isfinite(cut):
        return likely, np.full(shape.size, float(y.size))
    beyond = _survival(shape, scale, cut)
    below = np.maximum(1 - beyond, 1e-300)
    total = y.size / below
    return likely - y.size * np.log(below) + _log_between(*hidden, total * beyond), total


def _survival(shape: NDArray[np.float64], scale: NDArray[np.float64], y: float) -> NDArray[np.float64]:
    bent = np.where(np.abs(shape) < 1e-6, 1e-6, shape)
    with np.errstate(over="ignore"):  # infinitely far above the level is right as well
        inner = 1 + bent * y / scale
    result: NDArray[np.float64] = np.where(inner > 0, np.exp(-np.log(np.maximum(inner, 1e-300)) / bent), 0.0)
    return result


def _log_between(fewest: int, most: int, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """log P(fewest <= N <= most), N Poisson with these means [M]."""
    counts = range(fewest, most + 1)
    log_mean = np.log(np.maximum(mean, 1e-300))
    terms = np.stack([count * log_mean - math.lgamma(count + 1) for count in counts])
    top = terms.max(0)
    result: NDArray[np.float64] = top + np.log(np.exp(terms - top).sum(0)) - mean
    return result


def counted(seen: NDArray[np.float64], alarms: int, wished: float) -> float | None:
    """The level that `wished` normal peaks passed in the time of the sample: the k-th greatest of them.

    Of the alarms so many are taken for normal as are wished, and stand above all that are `seen`; so a threshold never
    rises for what may be faults, and sinks no further than to the greatest peak that raised none. None where not one
    is wished, or seen. For exchangeable peaks the expected number above the k-th greatest of N is k / (N + 1) of them.
    """
    size = seen.size + alarms
    rank = math.floor(wished * (size + 1) / max(size, 1) + 1e-9)
    if rank < 1 or not seen.size:
        return None
    rank -= min(alarms, rank - 1)
    return float(np.sort(seen)[::-1][min(rank, seen.size) - 1])
