"""SPOT, DSPOT and conformal thresholds keep the rate that they were asked for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from monitor.judging.thresholds import conformal
from monitor.judging.thresholds.spot import Dspot, Spot


def test_the_threshold_of_spot_is_passed_with_the_probability_that_was_asked_for() -> None:
    rng = np.random.default_rng(4)
    normal, exponential = [], []
    for _ in range(30):
        spot = Spot(q=1e-3)
        spot.start(rng.standard_normal(5_000))
        normal.append(0.5 * math.erfc(spot.threshold / math.sqrt(2)))
        spot.start(rng.exponential(2.0, 5_000))
        exponential.append(math.exp(-spot.threshold / 2.0))
    assert np.mean(normal) == pytest.approx(1e-3, rel=0.3)
    assert np.mean(exponential) == pytest.approx(1e-3, rel=0.3)


def test_spot_alarms_somewhat_oftener_as_it_runs_since_it_never_sees_what_it_refused() -> None:
    rng = np.random.default_rng(4)
    alarms = 0
    for _ in range(3):
        values = rng.standard_normal(20_000)
        spot = Spot(q=1e-3)
        spot.start(values[:5_000])
        alarms += sum(spot.step(float(v)) for v in values[5_000:])
    assert 45 * 0.7 <= alarms <= 45 * 2.5  # the measured mean is 1.8 times what was asked for


def test_spot_does_not_learn_what_it_calls_an_anomaly() -> None:
    spot = Spot(q=1e-3)
    spot.start(np.random.default_rng(1).standard_normal(2_000))
    before = (spot.threshold, spot.values, spot.peaks)
    assert all(spot.step(50.0) for _ in range(100))
    assert (spot.threshold, spot.values, spot.peaks) == before
    assert not spot.step(spot.level + 0.01)
    assert (spot.values, spot.peaks) == (before[1] + 1, before[2] + 1)


def test_dspot_follows_a_drift_that_spot_takes_for_anomalies() -> None:
    values = np.random.default_rng(2).standard_normal(12_000) + np.linspace(0, 8, 12_000)
    spot, dspot = Spot(q=1e-3), Dspot(q=1e-3, depth=200)
    spot.start(values[:2_000])
    dspot.start(values[:2_000])
    alarms = [(spot.step(float(v)), dspot.step(float(v))) for v in values[2_000:]]
    by_spot, by_dspot = map(sum, zip(*alarms, strict=True))
    assert by_dspot <= 25
    assert by_spot > 1_000
    assert dspot.threshold == pytest.approx(8 + 3.1, abs=1.0)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="q: expected"):
        Spot(q=0.05)
    with pytest.raises(ValueError, match="at least 50"):
        Spot().start(np.zeros(10))
    with pytest.raises(RuntimeError, match="start"):
        Spot().step(1.0)
    with pytest.raises(ValueError, match="depth"):
        Dspot(depth=0)


def test_a_stream_without_variance_has_its_value_as_threshold() -> None:
    spot = Spot()
    spot.start(np.full(100, 2.0))
    assert spot.threshold == 2.0 and not spot.step(2.0) and spot.step(2.1)


@pytest.mark.parametrize(("alpha", "n"), [(0.5, 1), (0.1, 9), (0.01, 99), (0.001, 999)])
def test_the_smallest_sample_that_can_tell(alpha: float, n: int) -> None:
    assert conformal.needed(alpha) == n
    sample = np.arange(n, dtype=np.float64)
    assert conformal.threshold(sample, alpha) == n - 1
    assert conformal.threshold(sample[:-1], alpha) is None


def test_the_conformal_threshold_is_where_the_p_value_becomes_small() -> None:
    rng = np.random.default_rng(6)
    for _ in range(200):
        sample = np.round(rng.standard_normal(int(rng.integers(5, 60))), 1)  # with ties
        alpha = float(rng.uniform(0.2, 0.6))
        threshold = conformal.threshold(sample, alpha)
        assert threshold is not None
        for score in np.round(rng.standard_normal(20), 1).tolist():
            assert (score > threshold) == (conformal.p_value(sample, score) <= alpha)


def test_the_conformal_promise_holds_however_small_the_sample() -> None:
    rng = np.random.default_rng(7)
    passed = [
        float(new) > (conformal.threshold(sample, 0.1) or math.inf)
        for sample, new in ((rng.gamma(1, 1, 9), rng.gamma(1, 1)) for _ in range(5_000))
    ]
    assert np.mean(passed) == pytest.approx(0.1, abs=0.015)
