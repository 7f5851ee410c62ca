"""Conformal p-values and thresholds: what can be said of the next score without any assumption but that it comes from
the same as the sample (V. Vovk et al., "Algorithmic Learning in a Random World", 2005; inductive, with a held-out
sample)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def needed(alpha: float) -> int:
    """The smallest sample that can tell anything at the level alpha: n >= 1 / alpha - 1. ValueError outside (0, 1)."""
    if not 0 < alpha < 1:
        raise ValueError(f"alpha: expected a number between 0 and 1, found {alpha}")
    return math.ceil(1 / alpha - 1 - 1e-9)


def p_value(sample: NDArray[np.float64], score: float) -> float:
    """(1 + how many of the sample are not below the score) / (1 + n), in (0, 1]."""
    return (1 + int((sample >= score).sum())) / (1 + sample.size)


def threshold(sample: NDArray[np.float64], alpha: float) -> float | None:
    """The least value above which p_value is at most alpha; None where the sample is too small for that.

    A further score of the same distribution lies above it with a probability of at most alpha.
    """
    if sample.size < needed(alpha):
        return None
    rank = math.floor(alpha * (sample.size + 1) + 1e-9)
    return float(np.sort(sample)[::-1][rank - 1])
