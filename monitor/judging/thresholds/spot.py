"""SPOT and DSPOT for a stream of values, as in the paper: A. Siffer, P.-A. Fouque, A. Termier and C. Largouet, "Anomaly
Detection in Streams with Extreme Value Theory", KDD 2017, algorithms 1 and 2.

They hold the probability per value. An alarm of a line is no single value, so what the service goes by is wished.py,
which is built on the same tail; these are for comparing with, and for series whose values are independent.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from monitor.judging.thresholds.gpd import Gpd, fit

LEAST_VALUES = 50


class Spot:
    """A threshold that a value passes with probability `q`, kept up to date with what does not pass it."""

    def __init__(self, q: float = 1e-4, level: float = 0.98) -> None:
        """level: the share of the first values below the start level. ValueError unless q < 1 - level."""
        if not (0 < level < 1 and 0 < q < 1 - level):
            raise ValueError(f"q: expected a number above 0 and below 1 - level = {1 - level:g}, found {q}")
        self.q, self._share = q, level
        self.level = self.threshold = float("nan")
        self.values = 0
        self._peaks: list[float] = []
        self._gpd = Gpd(0.0, 0.0)

    @property
    def peaks(self) -> int:
        """Values above the start level that were no anomaly."""
        return len(self._peaks)

    def start(self, values: NDArray[np.float64]) -> None:
        """Take the first values [N], all of them normal. ValueError for fewer than 50, or where one is not finite."""
        if values.size < LEAST_VALUES or not bool(np.isfinite(values).all()):
            raise ValueError(f"expected at least {LEAST_VALUES} finite values to start from, found {values.size}")
        self.level = float(np.quantile(values, self._share))
        self._peaks = (values[values > self.level] - self.level).tolist()
        self.values = values.size
        self._update()

    def step(self, value: float) -> bool:
        """Whether the value is an anomaly; where it is not, it is learnt. RuntimeError before `start`."""
        if not self.values:
            raise RuntimeError("start() has to come first")
        if value > self.threshold:
            return True
        self.values += 1
        if value > self.level:
            self._peaks.append(value - self.level)
            self._update()
        return False

    def _update(self) -> None:
        peaks = np.array(self._peaks)
        self._gpd = fit(peaks)
        share = self.q * self.values / peaks.size if peaks.size else 1.0
        self.threshold = self.level + self._gpd.quantile(min(1.0, share))


class Dspot:
    """SPOT on the distance of each value to the mean of the last `depth` normal ones before it."""

    def __init__(self, q: float = 1e-4, depth: int = 450, level: float = 0.98) -> None:
        if depth < 1:
            raise ValueError(f"depth: expected at least 1, found {depth}")
        self._spot = Spot(q, level)
        self._last: deque[float] = deque(maxlen=depth)
        self._sum = 0.0

    @property
    def threshold(self) -> float:
        """For the next value."""
        return self._spot.threshold + self._mean

    @property
    def _mean(self) -> float:
        return self._sum / len(self._last)

    def start(self, values: NDArray[np.float64]) -> None:
        """Take the first values [N]: the first `depth` for the mean, at least 50 more for the tail. ValueError else."""
        depth = self._last.maxlen or 1
        for value in values[:depth].tolist():
            self._learn(value)
        distances = []
        for value in values[depth:].tolist():
            distances.append(value - self._mean)
            self._learn(value)
        self._spot.start(np.array(distances))

    def step(self, value: float) -> bool:
        """Whether the value is an anomaly; where it is not, it is learnt."""
        if self._spot.step(value - self._mean):
            return True
        self._learn(value)
        return False

    def _learn(self, value: float) -> None:
        if len(self._last) == self._last.maxlen:
            self._sum -= self._last[0]
        self._last.append(value)
        self._sum += value
