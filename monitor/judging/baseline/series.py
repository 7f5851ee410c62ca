"""The scores of a baseline in the order of time, and how they are spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Frames in the order of their capture times (ms since the epoch): int64[N], float64[N], bool[N]. refused: those
    that were anomalous and are not part of the window."""

    times_ms: NDArray[np.int64]
    scores: NDArray[np.float64]
    refused: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.times_ms)


@dataclass(frozen=True, slots=True)
class Distribution:
    """A histogram of the window: counts[i] scores lie between edges[i] and edges[i + 1]. Both empty where it is."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


def series_of(
    times_ms: Sequence[int], scores: Sequence[float], out_times_ms: Sequence[int], out_scores: Sequence[float]
) -> Series:
    """The window's frames and the refused ones, put together."""
    times = np.array([*times_ms, *out_times_ms], dtype=np.int64)
    order = np.argsort(times, kind="stable")
    refused = np.arange(len(times)) >= len(times_ms)
    return Series(times[order], np.array([*scores, *out_scores], dtype=np.float64)[order], refused[order])


def distribution_of(scores: Sequence[float], bins: int) -> Distribution:
    """ValueError where bins is not positive."""
    if bins < 1:
        raise ValueError(f"bins: expected at least 1, found {bins}")
    if not scores:
        return Distribution((), ())
    low, high = min(scores), max(scores)
    if high - low <= abs(high) * 1e-9:  # all alike: numpy would draw from half below to half above, far off the scale
        margin = abs(high) / 100 or 1e-9
        low, high = low - margin, high + margin
    counts, edges = np.histogram(np.asarray(scores, dtype=np.float64), bins=bins, range=(low, high))
    return Distribution(tuple(edges.tolist()), tuple(counts.tolist()))
