"""The points of the curves that a report draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.evaluation.bootstrap import CONFIDENCE, Ranking, Values

GRID = np.linspace(0, 1, 101)
BAND_RESAMPLES = 400


@dataclass(frozen=True)
class Curves:
    """fpr, recall, precision: at each threshold from the highest down, fpr and recall starting at (0, 0), precision one
    shorter since it is undefined there. grid, low, high: between which recalls 95 % of the resampled ROC curves
    run, at each false-positive rate of the grid."""

    fpr: Values
    recall: Values
    precision: Values
    grid: Values
    low: Values
    high: Values


def curves(ranking: Ranking, *, resamples: int = BAND_RESAMPLES, seed: int = 0) -> Curves:
    """The curves of a ranking; its levels are the thresholds."""
    fp, tp = (counts[0] for counts in ranking.alarms())
    fpr, recall = fp / fp[-1], tp / tp[-1]
    rows = []
    for some_fp, some_tp in ranking.resamples(resamples, seed):
        for x, y in zip(some_fp / some_fp[:, -1:], some_tp / some_tp[:, -1:], strict=True):
            rows.append(y[np.searchsorted(x, GRID, side="right") - 1])
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.stack(rows), (tail, 1 - tail), axis=0)
    return Curves(fpr, recall, tp[1:] / (fp[1:] + tp[1:]), GRID, low, high)
