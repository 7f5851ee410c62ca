"""How well scores tell normal pictures from others, given labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, roc_auc_score


@dataclass(frozen=True)
class Evaluation:
    """auroc: chance that an anomalous picture scores above a normal one, 0.5 is guessing.
    average_precision: area under precision over recall. recall, false_positive_rate: shares of
    the anomalous and of the normal pictures above the threshold; None where none was given."""

    normal: int
    anomalous: int
    auroc: float
    average_precision: float
    recall: float | None = None
    false_positive_rate: float | None = None


def evaluate(
    scores: npt.NDArray[np.float64],
    anomalous: npt.NDArray[np.bool_],
    threshold: float | None = None,
) -> Evaluation:
    """scores [N] raw, anomalous [N] their labels. ValueError where the lengths differ, a score is
    no number (a broken model must not look like a bad one), or one of the two kinds is absent."""
    scores, anomalous = np.asarray(scores, np.float64), np.asarray(anomalous, np.bool_)
    if scores.ndim != 1 or scores.shape != anomalous.shape:
        raise ValueError(f"{list(scores.shape)} scores for {list(anomalous.shape)} labels")
    bad = int(np.count_nonzero(~np.isfinite(scores)))
    if bad:
        raise ValueError(f"{bad} of {scores.size} scores are no numbers: the model is broken")
    found = int(anomalous.sum())
    if found in (0, scores.size):
        raise ValueError(f"{found} of {scores.size} pictures are anomalous: both kinds are needed to compare")
    above = None if threshold is None else scores > threshold
    return Evaluation(
        normal=scores.size - found,
        anomalous=found,
        auroc=float(roc_auc_score(anomalous, scores)),
        average_precision=float(average_precision_score(anomalous, scores)),
        recall=None if above is None else float(above[anomalous].mean()),
        false_positive_rate=None if above is None else float(above[~anomalous].mean()),
    )
