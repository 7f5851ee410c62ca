"""The generalised Pareto distribution, fitted by Grimshaw's reduction to one unknown.

By Pickands and Balkema-de Haan what lies above a high level follows this distribution, whatever the scores follow.
Sources: S. D. Grimshaw, "Computing maximum likelihood estimates for the generalized Pareto distribution",
Technometrics 35 (1993); the form of A. Siffer et al., "Anomaly Detection in Streams with Extreme Value Theory",
KDD 2017, section 3.4 (their x is theta = shape / scale here).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_SHAPE, GREATEST_SHAPE = -0.5, 1.0
"""Below -0.5 the likelihood is no longer regular, from 1 on there is no mean: scores of neither kind are known."""

FEWEST = 2
GRID = 48
HALVINGS = 48


@dataclass(frozen=True, slots=True)
class Gpd:
    """P(Y > y) = (1 + shape * y / scale) ** (-1 / shape) for y >= 0; exp(-y / scale) where shape is 0."""

    shape: float
    scale: float

    def survival(self, y: float) -> float:
        """P(Y > y), in [0, 1]."""
        if y <= 0:
            return 1.0
        if self.scale <= 0:
            return 0.0
        z = y / self.scale
        if abs(self.shape * z) < 1e-9:
            return math.exp(-z)
        inner = self.shape * z
        return math.exp(-math.log1p(inner) / self.shape) if inner > -1 else 0.0

    def quantile(self, survival: float) -> float:
        """The y that is exceeded with this probability, in (0, 1]; never negative."""
        log_odds = -math.log(min(1.0, max(survival, 1e-300)))
        if abs(self.shape) * log_odds < 1e-9:
            return self.scale * log_odds
        return self.scale * math.expm1(min(self.shape * log_odds, 600.0)) / self.shape


def fit(excesses: NDArray[np.float64]) -> Gpd:
    """The likeliest distribution of `excesses` [N], all above a level that was taken from them. Never NaN.

    What is not finite or below 0 is left out. With fewer than two, or all alike, it is the exponential distribution of
    their mean (scale 0 where nothing is left).
    """
    y = excesses[np.isfinite(excesses) & (excesses >= 0)]
    mean = float(y.mean()) if y.size else 0.0
    if y.size < FEWEST or mean <= 0 or float(np.ptp(y)) <= 1e-12 * mean:
        return Gpd(0.0, mean)
    unit = y / mean  # the scale of the scores must not matter to the search
    candidates = [Gpd(0.0, 1.0), *(_at(theta, unit) for theta in _roots(unit))]
    best = max(candidates, key=lambda g: log_likelihood(g, unit))
    return Gpd(best.shape, best.scale * mean)


def log_likelihood(gpd: Gpd, y: NDArray[np.float64]) -> float:
    """Of all of `y` together; minus infinity where one of them cannot be."""
    if gpd.scale <= 0:
        return -math.inf
    z = y / gpd.scale
    if abs(gpd.shape) < 1e-9:
        return float(-y.size * math.log(gpd.scale) - z.sum())
    inner = 1 + gpd.shape * z
    if float(inner.min()) <= 0:
        return -math.inf
    return float(-y.size * math.log(gpd.scale) - (1 + 1 / gpd.shape) * np.log(inner).sum())


def _at(theta: float, y: NDArray[np.float64]) -> Gpd:
    """The likeliest one with shape / scale = theta, with the shape held within its limits."""
    shape = float(np.log1p(theta * y).mean())
    if not LEAST_SHAPE <= shape <= GREATEST_SHAPE:
        return bounded(y, LEAST_SHAPE if shape < LEAST_SHAPE else GREATEST_SHAPE)
    return Gpd(shape, shape / theta) if abs(theta) > 1e-9 else Gpd(0.0, float(y.mean()))


def bounded(y: NDArray[np.float64], shape: float) -> Gpd:
    """The likeliest one of this shape: the root in the scale of mean((1 + shape) * y / (scale + shape * y)) = 1."""
    low = max(-shape * float(y.max()) * (1 + 1e-9), 1e-9 * float(y.mean()))
    high = max(float(y.mean()) * (1 + abs(shape)), low) * 4
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if float(((1 + shape) * y / (middle + shape * y)).mean()) > 1:
            low = middle
        else:
            high = middle
    return Gpd(shape, high)


def _equation(theta: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """u(theta) * v(theta) - 1, whose roots hold the maxima of the likelihood; theta [M], y [N]."""
    inner = 1 + theta[:, None] * y[None, :]
    result: NDArray[np.float64] = (1 / inner).mean(1) * (1 + np.log(inner).mean(1)) - 1
    return result


def _roots(y: NDArray[np.float64]) -> list[float]:
    """The roots other than 0, which is one always. y has mean 1."""
    least, greatest = float(y.min()), float(y.max())
    edge = 1e-6
    below = np.linspace(-1 / greatest * (1 - edge), -edge, GRID)
    # With a least excess of nearly 0 the bound of the paper has no end; a shape within its limits needs no more.
    upper = 2 * (1 - least) / max(least * least, 1e-12)
    above = np.geomspace(edge, min(max(upper, 2 * edge), 1e3), GRID)
    roots = []
    for grid in (below, above):
        value = _equation(grid, y)
        for index in np.flatnonzero(np.sign(value[:-1]) * np.sign(value[1:]) < 0):
            roots.append(_bisect(float(grid[index]), float(grid[index + 1]), y))
    return roots


def _bisect(low: float, high: float, y: NDArray[np.float64]) -> float:
    sign = math.copysign(1.0, float(_equation(np.array([low]), y)[0]))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if math.copysign(1.0, float(_equation(np.array([middle]), y)[0])) == sign:
            low = middle
        else:
            high = middle
    return (low + high) / 2
