"""Thresholds from a wished rate: the rate that comes of them, what they need, and that they do not sink."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from monitor.judging.thresholds.alarm_level import believe, counted, extrapolated
from monitor.judging.thresholds.extending import extend
from monitor.judging.thresholds.statistic import AlarmRule
from monitor.judging.thresholds.wished import NEEDED_PEAKS, Method, around_of, threshold_of
from scripts.false_alarms import measure, poisson_interval, read, series_of
from scripts.score_processes import STATIONARY

DAY_FRAMES = 172_800
EMPTY = np.empty(0)


@pytest.mark.slow
@pytest.mark.parametrize("name", STATIONARY)
@pytest.mark.parametrize("mode", ["held", "marked", "running"])
def test_the_measured_rate_is_within_a_factor_of_two_of_the_wished_one(name: str, mode: str) -> None:
    found = expected = 0.0
    for seed in range(3):
        whole = series_of(STATIONARY[name](np.random.default_rng([77, seed]), 3 * DAY_FRAMES))
        alarms, wished = measure(whole, 24, "spot", mode, 86_400)
        found, expected = found + alarms, expected + wished
    assert expected > 100
    assert 0.5 <= found / expected <= 2.0


@pytest.mark.parametrize("method", ["spot", "dspot", "conformal"])
def test_nothing_is_said_before_the_sample_is_there(method: Method) -> None:
    assert threshold_of(None, 24, method).value is None
    rng = np.random.default_rng(1)
    tail = None
    for hour in range(6):
        piece = series_of(rng.standard_normal(7200))
        piece.times_ms[:] += hour * 3_600_000
        tail = extend(tail, piece, AlarmRule(), around=around_of(method))
        found = threshold_of(tail, 24, method)
        enough = found.peaks >= found.needed_peaks and found.watched_s >= found.needed_s
        assert (found.value is not None) == enough
        assert found.watched_s == pytest.approx((hour + 1) * 3600, abs=5)
    assert found.value is not None and 0 < found.value < 5
    assert threshold_of(tail, 0.5, method).value is None  # one in two days, out of six hours


def test_fewer_wished_alarms_are_a_higher_threshold() -> None:
    tail = extend(None, series_of(np.random.default_rng(1).standard_normal(DAY_FRAMES)), AlarmRule())
    values = [threshold_of(tail, wished, "spot").value or 0.0 for wished in (200, 50, 12, 3, 1.1)]
    assert values[0] > 0 and values == sorted(set(values))


def test_a_method_takes_no_tail_of_another_one_and_nobody_wishes_nothing() -> None:
    tail = extend(None, series_of(np.random.default_rng(1).standard_normal(2000)), AlarmRule())
    with pytest.raises(ValueError, match="dspot"):
        threshold_of(tail, 3, "dspot")
    with pytest.raises(ValueError, match="wished_per_day"):
        threshold_of(tail, 0, "spot")


def test_a_sample_cut_off_at_the_threshold_is_known_as_one() -> None:
    """The spiral: a threshold learnt from what it let pass."""
    rng = np.random.default_rng(5)
    peaks = rng.exponential(1.0, 300)
    cut = float(np.quantile(peaks, 0.95))
    whole = extrapolated(peaks, EMPTY, 0.0, 3)
    known = extrapolated(peaks[peaks <= cut], peaks[peaks > cut], 0.0, 3)
    naive = extrapolated(peaks[peaks <= cut], EMPTY, 0.0, 3)
    assert whole is not None and known is not None and naive is not None
    assert naive < cut + 0.4 < known
    assert known == pytest.approx(whole, rel=0.25)


def test_an_alarm_from_before_there_was_a_threshold_cuts_nothing_off() -> None:
    peaks = np.random.default_rng(5).exponential(1.0, 200)
    without = extrapolated(peaks, EMPTY, 0.0, 3)
    with_early = extrapolated(peaks, np.array([0.5, 0.7]), 0.0, 3)
    assert without is not None and with_early == pytest.approx(without, rel=0.01)


def test_faults_far_up_raise_no_threshold() -> None:
    peaks = np.random.default_rng(5).exponential(1.0, 300)
    without = extrapolated(peaks, EMPTY, 0.0, 3)
    with_faults = extrapolated(peaks, np.linspace(50, 90, 100), 0.0, 3)
    assert without is not None and with_faults == pytest.approx(without, rel=0.02)
    assert counted(peaks, 100, 3) == peaks.max()


@given(
    arrays(np.float64, st.integers(0, 60), elements=st.floats(0, 1e6)),
    arrays(np.float64, st.integers(0, 20), elements=st.floats(0, 1e6)),
    st.floats(1e-3, 100),
)
def test_whatever_the_peaks_a_threshold_is_a_number_above_the_level(
    seen: np.ndarray, alarms: np.ndarray, wished: float
) -> None:
    for value in (extrapolated(seen, alarms, 0.0, wished), counted(seen, len(alarms), wished)):
        assert value is None or (math.isfinite(value) and value >= 0)
    belief = believe(seen, alarms)
    if belief is not None:
        assert float(belief.weight.sum()) == pytest.approx(1)


def test_counting_takes_the_peak_that_was_passed_as_often_as_is_wished() -> None:
    peaks = np.arange(1.0, 101.0)
    assert counted(peaks, 0, 1) == 100
    assert counted(peaks, 0, 4.2) == 97
    assert counted(peaks, 2, 4.2) == 99  # two of the four that are wished lie in alarms
    assert counted(peaks, 0, 0.5) is None


def test_constant_scores_have_no_tail_and_hence_no_threshold() -> None:
    tail = extend(None, series_of(np.full(20_000, 3.0)), AlarmRule())
    found = threshold_of(tail, 96, "spot")
    assert (found.value, found.peaks, found.needed_peaks) == (None, 0, NEEDED_PEAKS["spot"])


@pytest.mark.parametrize("count", [0, 1, 10, 100])
def test_the_interval_of_a_count_is_the_exact_one_nearly(count: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    low, high = poisson_interval(count)
    assert low == pytest.approx(stats.chi2.ppf(0.025, 2 * count) / 2 if count else 0, abs=0.1)
    assert high == pytest.approx(stats.chi2.ppf(0.975, 2 * count + 2) / 2, abs=0.1)


def test_recorded_scores_are_read_and_what_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    path.write_text(
        '{"camera": "b", "captured_at": 2000000, "score": 0.5, "seq": 1}\n\n'
        '{"camera": "b", "captured_at": 1000000, "score": 1.5}\n{"camera": "a", "captured_at": 0, "score": 2}\n'
    )
    found = read([path])
    assert list(found) == ["a", "b"]
    assert found["b"].times_ms.tolist() == [1, 2] and found["b"].scores.tolist() == [1.5, 0.5]
    path.write_text('{"camera": "b", "captured_at": 1, "score": 1}\n{"camera": "b", "score": 1}\n')
    with pytest.raises(ValueError, match=r"scores\.jsonl:2: expected .* captured_at"):
        read([path])
