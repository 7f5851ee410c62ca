from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, precision_score, roc_auc_score

from models.evaluation.bootstrap import Estimate, Ranking
from models.evaluation.curves import curves
from models.evaluation.measures import Measures, measure, measure_kinds

Sample = tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]
FEW = 40  # resamples, where their number does not matter


def _sample(rows: list[tuple[float, bool]]) -> Sample:
    return np.array([score for score, _ in rows], np.float64), np.array([label for _, label in rows], np.bool_)


def _both(sample: Sample) -> bool:
    return bool(sample[1].any() and not sample[1].all())


def samples(scores: st.SearchStrategy[float]) -> st.SearchStrategy[Sample]:
    return st.lists(st.tuples(scores, st.booleans()), min_size=2, max_size=40).map(_sample).filter(_both)


# Few different values, so that scores tie; and any at all.
SAMPLES = samples(st.integers(0, 12).map(float)) | samples(st.floats(allow_nan=False, allow_infinity=False))


def estimates(made: Measures) -> dict[str, Estimate]:
    return {name: value for name, value in vars(made).items() if isinstance(value, Estimate)}


def test_by_hand() -> None:
    made = measure(np.array([1.0, 2.0, 3.0, 4.0]), np.array([False, True, False, True]), 2.5)
    assert (made.normal, made.anomalous, made.threshold) == (2, 2, 2.5)
    assert made.auroc.value == 0.75  # three of the four pairs are in order
    assert made.average_precision.value == pytest.approx((1 + 2 / 3) / 2)
    assert {made.recall and made.recall.value, made.precision and made.precision.value} == {0.5}
    assert made.false_positive_rate is not None and made.false_positive_rate.value == 0.5
    assert made.best_f1.value == 0.8 and made.best_threshold == 1.5
    assert made.fpr_at_95_recall.value == 0.5


@given(SAMPLES)
def test_agrees_with_scikit_learn(sample: Sample) -> None:
    scores, labels = sample
    threshold = float(np.sort(scores)[len(scores) // 2])
    made = measure(scores, labels, threshold, resamples=1)
    assert made.auroc.value == pytest.approx(roc_auc_score(labels, scores))
    assert made.average_precision.value == pytest.approx(average_precision_score(labels, scores))
    assert made.f1 is not None and made.f1.value == pytest.approx(f1_score(labels, scores > threshold))
    if (scores > threshold).any():
        assert made.precision is not None
        assert made.precision.value == pytest.approx(precision_score(labels, scores > threshold))
    else:
        assert made.precision is None


@settings(max_examples=30)
@given(SAMPLES)
def test_best_threshold_gives_the_best_f1(sample: Sample) -> None:
    scores, labels = sample
    made = measure(scores, labels, resamples=1)
    assert f1_score(labels, scores > made.best_threshold) == pytest.approx(made.best_f1.value)
    every = [f1_score(labels, scores >= level) for level in np.unique(scores)]
    assert made.best_f1.value == pytest.approx(max(every))


@given(SAMPLES)
def test_false_positives_at_95_percent_recall(sample: Sample) -> None:
    scores, labels = sample
    rates = [
        float((scores[~labels] >= level).mean())
        for level in np.unique(scores)
        if (scores[labels] >= level).mean() >= 0.95
    ]
    assert measure(scores, labels, resamples=1).fpr_at_95_recall.value == pytest.approx(min(rates))


@given(samples(st.integers(-20, 20).map(float)), st.integers(-21, 21), st.integers(0, 3))
def test_only_the_order_of_scores_counts(sample: Sample, threshold: float, seed: int) -> None:
    scores, labels = sample
    made = measure(scores, labels, threshold, resamples=FEW, seed=seed)
    bent = measure(np.exp(scores / 3), labels, float(np.exp(threshold / 3)), resamples=FEW, seed=seed)
    assert estimates(made) == estimates(bent)


@given(SAMPLES, st.integers(0, 3))
def test_interval_holds_the_estimate(sample: Sample, seed: int) -> None:
    scores, labels = sample
    made = measure(scores, labels, float(scores.mean()) if abs(scores).max() < 1e9 else 0.0, resamples=FEW, seed=seed)
    for name, estimate in estimates(made).items():
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1 + 1e-12, name
    json.dumps(made.to_dict(), allow_nan=False)


def test_the_same_seed_gives_the_same_interval() -> None:
    rng = np.random.default_rng(3)
    labels = rng.random(200) < 0.3
    scores = rng.normal(labels * 1.0, 1.0)
    assert measure(scores, labels, 0.5, seed=4) == measure(scores, labels, 0.5, seed=4)
    assert measure(scores, labels, seed=4).auroc != measure(scores, labels, seed=5).auroc


def test_intervals_cover_the_truth() -> None:
    """Of scores whose AUROC is known, about 95 of 100 samples have it in their interval."""
    rng = np.random.default_rng(0)
    labels = np.repeat([False, True], [60, 40])
    held = 0
    for _ in range(100):
        auroc = measure(rng.normal(labels * 1.0, 1.0), labels, resamples=300).auroc
        held += auroc.low <= 0.7602499 <= auroc.high  # Phi(1 / sqrt 2)
    assert 87 <= held <= 99


def test_intervals_narrow_with_more_pictures() -> None:
    rng = np.random.default_rng(1)
    widths = []
    for count in (50, 5000):
        labels = np.arange(count) % 4 == 0
        auroc = measure(rng.normal(labels * 1.0, 1.0), labels, resamples=200).auroc
        widths.append(auroc.high - auroc.low)
    assert widths[1] < widths[0] / 4


def test_no_error_among_few_is_no_promise() -> None:
    """Twenty pictures without a false alarm leave room for a rate of 17 % (exact binomial)."""
    scores = np.concatenate([np.linspace(0, 1, 20), np.linspace(2, 3, 10)])
    made = measure(scores, np.arange(30) >= 20, 1.5)
    assert made.false_positive_rate is not None and made.recall is not None and made.precision is not None
    rate = made.false_positive_rate
    assert (rate.value, rate.low) == (0.0, 0.0) and rate.high == pytest.approx(1 - 0.025 ** (1 / 20))
    assert (made.recall.value, made.recall.high) == (1.0, 1.0)
    assert made.recall.low == pytest.approx(0.025 ** (1 / 10))
    assert made.precision.low == pytest.approx(0.025 ** (1 / 10))
    assert made.auroc == Estimate(1.0, 1.0, 1.0)


def test_one_picture_of_a_kind_and_equal_scores() -> None:
    made = measure(np.zeros(5), np.arange(5) == 2, 0.0)
    assert made.auroc == Estimate(0.5, 0.5, 0.5) and made.precision is None
    assert made.recall is not None and made.recall.value == 0.0 and made.recall.high == pytest.approx(0.975)
    assert made.to_dict()["precision"] is None
    # One resample may hold none of the alarms: precision is then undefined in all of them.
    rare = np.arange(200.0)
    assert measure(rare, rare < 100, 198.5, resamples=1, seed=1).precision is not None


@pytest.mark.parametrize("threshold", [None, 0.5])
def test_refuses_what_cannot_be_compared(threshold: float | None) -> None:
    with pytest.raises(ValueError, match="1 of 2 scores are no numbers"):
        measure(np.array([np.nan, 1.0]), np.array([True, False]), threshold)
    with pytest.raises(ValueError, match=r"\[2\] scores for \[3\] labels"):
        measure(np.zeros(2), np.zeros(3, bool), threshold)
    for labels in (np.zeros(3, bool), np.ones(3, bool)):
        with pytest.raises(ValueError, match="both kinds"):
            measure(np.zeros(3), labels, threshold)
    with pytest.raises(ValueError, match="both kinds"):
        measure(np.zeros(0), np.zeros(0, bool), threshold)
    with pytest.raises(ValueError, match="threshold is nan"):
        measure(np.arange(2.0), np.array([True, False]), float("nan"))


def test_without_a_threshold() -> None:
    made = measure(np.array([1.0, 2.0]), np.array([False, True]))
    assert (made.threshold, made.recall, made.false_positive_rate, made.f1, made.precision) == (None,) * 5
    assert json.loads(json.dumps(made.to_dict()))["auroc"] == {"value": 1.0, "low": 1.0, "high": 1.0}


def test_kinds() -> None:
    scores = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 0.5])
    anomalous = np.array([False, False, False, True, True, True])
    made = measure_kinds(scores, anomalous, ["good", "good", "wet", "hole", "hole", "scratch"], 2.5)
    assert [(row.kind, row.anomalous, row.pictures, row.median) for row in made] == [
        ("good", False, 2, 1.5),
        ("wet", False, 1, 3.0),
        ("hole", True, 2, 4.5),
        ("scratch", True, 1, 0.5),
    ]
    assert [row.above and row.above.value for row in made] == [0.0, 1.0, 1.0, 0.0]
    assert [row.auroc and row.auroc.value for row in made] == [None, None, 1.0, 0.0]
    assert all(row.above is None for row in measure_kinds(scores, anomalous, ["a"] * 6))
    json.dumps([row.to_dict() for row in made], allow_nan=False)
    with pytest.raises(ValueError, match="6 scores for 5 kinds"):
        measure_kinds(scores, anomalous, ["a"] * 5)


@settings(max_examples=40)
@given(SAMPLES)
def test_curves_hold_the_areas(sample: Sample) -> None:
    ranking = Ranking.of(*sample)
    drawn = curves(ranking, resamples=20)
    made = measure(*sample, resamples=1)
    assert np.trapezoid(drawn.recall, drawn.fpr) == pytest.approx(made.auroc.value)
    assert np.diff(drawn.recall) @ drawn.precision == pytest.approx(made.average_precision.value)
    assert (drawn.fpr[0], drawn.recall[0], drawn.fpr[-1], drawn.recall[-1]) == (0, 0, 1, 1)
    assert ((drawn.low >= 0) & (drawn.low <= drawn.high) & (drawn.high <= 1)).all()


@given(SAMPLES)
def test_turned_around_the_area_is_the_rest(sample: Sample) -> None:
    scores, labels = sample
    assume(np.abs(scores).max() < 1e300)
    made, turned = (measure(s, labels, resamples=1).auroc.value for s in (scores, -scores))
    assert made + turned == pytest.approx(1.0)


def test_a_thousand_resamples_of_ten_thousand_scores() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random(10_000) < 0.2
    scores = rng.normal(labels * 1.0, 1.0)
    began_s = time.process_time()
    measure(scores, labels, 1.0)
    assert time.process_time() - began_s < 10  # half a second on a quiet core


def test_measuring_does_not_pay_for_drawing() -> None:
    script = (
        "import sys; import models.evaluation.measures, models.evaluation.pixels; "
        "print([name for name in ('sklearn', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
