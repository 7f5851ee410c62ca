"""How well scores tell normal pictures from others, given labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from models.evaluation.bootstrap import Counts, Estimate, Ranking, Values

RESAMPLES = 1000
RECALL = 0.95

Measure = Callable[[Counts, Counts], Values]
"""Normal and anomalous alarms, [c, U + 1] as Ranking.alarms gives them -> [c]."""


@dataclass(frozen=True)
class Measures:
    """What labelled scores say of a model. Every Estimate is in [0, 1].

    auroc: chance that an anomalous picture scores above a normal one, 0.5 is guessing. average_precision: area under
    precision over recall. best_f1: at the best of all thresholds, chosen with the labels in sight, best_threshold:
    one that gives it. fpr_at_95_recall: the share of normal pictures that raise an alarm at the highest threshold
    that finds 95 % of the anomalous ones.
    The rest is at `threshold`, the model's own, an alarm being a score above it, and None where there is none.
    precision: also None where no picture raises an alarm.
    """

    normal: int
    anomalous: int
    auroc: Estimate
    average_precision: Estimate
    best_f1: Estimate
    best_threshold: float
    fpr_at_95_recall: Estimate
    threshold: float | None = None
    f1: Estimate | None = None
    recall: Estimate | None = None
    precision: Estimate | None = None
    false_positive_rate: Estimate | None = None

    def to_dict(self) -> dict[str, Any]:
        """Numbers, None, and {"value", "low", "high"} of the estimates, by field name: fit for strict JSON."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


@dataclass(frozen=True)
class KindMeasures:
    """One kind of picture ("broken_large"). above: the share above the threshold, which is recall of an anomalous kind
    and false-positive rate of a normal one; None without a threshold. auroc: of this kind against all normal
    pictures, None of a normal kind."""

    kind: str
    anomalous: bool
    pictures: int
    median: float
    above: Estimate | None
    auroc: Estimate | None

    def to_dict(self) -> dict[str, Any]:
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


def measure(
    scores: npt.NDArray[np.float64],
    anomalous: npt.NDArray[np.bool_],
    threshold: float | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Measures:
    """scores [N] raw, anomalous [N] their labels; threshold: the model's own.

    The intervals come from resamples stratified by class; a class of one picture is not varied by that, and the
    interval then tells of the other class only. ValueError where the lengths differ, a score or the threshold is no
    number, or one of the two kinds is absent.
    """
    _check(threshold, resamples)
    ranking = Ranking.of(scores, anomalous)
    normal, found = ranking.normal.size, ranking.anomalous.size
    at: dict[str, Measure] = {
        "auroc": auroc,
        "average_precision": average_precision,
        "best_f1": lambda fp, tp: _f1(fp, tp).max(axis=1),
        "fpr_at_95_recall": _fpr_at_95_recall,
    }
    shares = {"fpr_at_95_recall": normal}
    fp, tp = ranking.alarms()
    if threshold is not None:
        k = ranking.above(threshold)
        at["f1"] = lambda fp, tp: _f1(fp, tp)[:, k]
        at["recall"] = lambda fp, tp: tp[:, k] / found
        at["false_positive_rate"] = lambda fp, tp: fp[:, k] / normal
        shares |= {"recall": found, "false_positive_rate": normal}
        if k:
            at["precision"] = lambda fp, tp: np.where(fp[:, k] + tp[:, k] > 0, _precision(fp, tp)[:, k], np.nan)
            shares["precision"] = int(fp[0, k] + tp[0, k])
    drawn: dict[str, list[Values]] = {name: [] for name in at}
    for some in ranking.resamples(resamples, seed):
        for name, value in at.items():
            drawn[name].append(value(*some))
    made = {
        name: Estimate.of(value(fp, tp)[0], np.concatenate(drawn[name]), shares.get(name)) for name, value in at.items()
    }
    best = _between(ranking.levels, int(_f1(fp, tp)[0].argmax()))
    return Measures(normal, found, best_threshold=best, threshold=threshold, **made)


def measure_kinds(
    scores: npt.NDArray[np.float64],
    anomalous: npt.NDArray[np.bool_],
    kinds: Sequence[str],
    threshold: float | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[KindMeasures, ...]:
    """Each kind for itself, normal ones first, then by name. scores, anomalous as for measure, kinds [N].
    ValueError as there."""
    _check(threshold, resamples)
    scores, anomalous = np.asarray(scores, np.float64), np.asarray(anomalous, np.bool_)
    Ranking.of(scores, anomalous)  # the same refusals
    if len(kinds) != scores.size:
        raise ValueError(f"{scores.size} scores for {len(kinds)} kinds")
    names = np.array(kinds, dtype=object)
    made = []
    for faulty, kind in sorted({(bool(label), str(kind)) for label, kind in zip(anomalous, kinds, strict=True)}):
        own = (names == kind) & (anomalous == faulty)
        against = None
        if faulty:
            both = own | ~anomalous
            against = measure(scores[both], anomalous[both], resamples=resamples, seed=seed).auroc
        above = None if threshold is None else _share(scores[own] > threshold, resamples, seed)
        made.append(KindMeasures(kind, faulty, int(own.sum()), float(np.median(scores[own])), above, against))
    return tuple(made)


def auroc(fp: Counts, tp: Counts) -> Values:
    """The share of pairs of a normal and an anomalous picture that are in order, ties counting half: the area under
    the ROC curve, without its corners."""
    normal, anomalous = fp[:, -1:], tp[:, -1:]
    below = normal - (fp[:, 1:] + fp[:, :-1]) / 2
    ordered = np.einsum("cu,cu->c", np.diff(tp, axis=1), below)
    return np.asarray(ordered / (normal * anomalous)[:, 0], np.float64)


def average_precision(fp: Counts, tp: Counts) -> Values:
    """The mean precision over the anomalous pictures, each at the threshold that just finds it."""
    gained = np.einsum("cu,cu->c", np.diff(tp, axis=1), _precision(fp, tp)[:, 1:])
    return np.asarray(gained / tp[:, -1], np.float64)


def _precision(fp: Counts, tp: Counts) -> Values:
    """0 where nothing is above the threshold."""
    return np.asarray(tp / np.maximum(fp + tp, 1), np.float64)


def _f1(fp: Counts, tp: Counts) -> Values:
    return np.asarray(2 * tp / (fp + tp + tp[:, -1:]), np.float64)


def _fpr_at_95_recall(fp: Counts, tp: Counts) -> Values:
    wanted = math.ceil(RECALL * int(tp[0, -1]) - 1e-9)
    first = (tp >= wanted).argmax(axis=1)
    return np.asarray(np.take_along_axis(fp, first[:, None], 1)[:, 0] / fp[:, -1], np.float64)


def _between(levels: Values, k: int) -> float:
    """A threshold that only the k highest levels exceed, k >= 1: half-way to the next, where there is one."""
    lowest = float(levels[k - 1])
    if k == levels.size:
        return math.nextafter(lowest, -math.inf)
    under = float(levels[k])
    middle = under / 2 + lowest / 2
    return middle if under <= middle < lowest else under


def _share(hits: npt.NDArray[np.bool_], resamples: int, seed: int) -> Estimate:
    """Of so many pictures, how many: a resample of hits is a binomial draw."""
    share = float(hits.mean())
    draws = np.random.default_rng(seed).binomial(hits.size, share, resamples) / hits.size
    return Estimate.of(share, draws, hits.size)


def _check(threshold: float | None, resamples: int) -> None:
    if threshold is not None and not math.isfinite(threshold):
        raise ValueError(f"the threshold is {threshold}: expected a number, or none")
    if resamples < 1:
        raise ValueError(f"{resamples} resamples: at least 1 is needed")


def _plain(value: Any) -> Any:
    if isinstance(value, Estimate):
        return value.to_dict()
    return None if isinstance(value, float) and not math.isfinite(value) else value
