"""From scores to verdicts: the paper's normalisation without its traps."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.judging.judge import Baseline, Judge, State, normalise
from monitor.judging.window import Entry, Fate, Range, WindowUnavailable
from tests.monitor.scenes import score

BASELINE = Baseline(low=1.0, high=3.0, limit=5.0)
finite = st.floats(allow_nan=False, allow_infinity=False)


class FixedWindow:
    """Answers every entry with the same range, or not at all."""

    def __init__(self, count: int = 500, low: float | None = 0.0, high: float | None = 10.0) -> None:
        self.range = Range(count, low, high, Fate.ENTERED)
        self.away = False
        self.entries: list[Entry] = []

    def judge(self, entries: Sequence[Entry]) -> list[Range]:
        if self.away:
            raise WindowUnavailable("Redis at somewhere does not answer")
        self.entries += entries
        return [self.range] * len(entries)


@given(finite, finite, finite)
def test_normalised_is_always_a_number_between_0_and_1(s: float, low: float, high: float) -> None:
    value = normalise(s, low, high)
    assert not math.isnan(value) and 0 <= value <= 1


def test_a_range_without_width_is_no_division_by_zero() -> None:
    assert normalise(2, 2, 2) == 0 and normalise(1, 2, 2) == 0 and normalise(3, 2, 2) == 1
    assert normalise(2.5, 2, 3) == 0.5


def test_a_ready_window_is_the_range() -> None:
    (got,) = Judge(FixedWindow(), BASELINE, 0.8, 100).judge([score(6.0)])
    assert (got.low, got.high, got.normalised, got.count, got.state) == (0, 10, 0.6, 500, State.READY)
    assert (got.threshold, got.limit, got.anomalous) == (0.8, 8.0, False)


def test_while_it_warms_up_the_checkpoints_calibration_is() -> None:
    (got,) = Judge(FixedWindow(count=99), BASELINE, "auto", 100).judge([score(2.0)])
    assert (got.low, got.high, got.normalised, got.state) == (1, 3, 0.5, State.WARMING)
    (empty,) = Judge(FixedWindow(0, None, None), BASELINE, "auto", 100).judge([score(2.0)])
    assert (empty.low, empty.high, empty.count) == (1, 3, 0)


@pytest.mark.parametrize(("value", "anomalous"), [(7.9, False), (8.0, True), (12.0, True)])
def test_a_number_is_a_threshold_on_the_normalised_score(value: float, anomalous: bool) -> None:
    assert Judge(FixedWindow(), BASELINE, 0.8, 100).judge([score(value)])[0].anomalous is anomalous


def test_threshold_one_still_finds_what_is_above_everything() -> None:
    judge = Judge(FixedWindow(), BASELINE, 1.0, 100)
    assert [v.anomalous for v in judge.judge([score(9.9), score(10.0), score(11.0)])] == [False, True, True]


@pytest.mark.parametrize(
    ("high", "value", "anomalous"),
    [(2.0, 4.9, False), (2.0, 5.1, True), (8.0, 7.9, False), (8.0, 8.1, True)],
)
def test_auto_asks_for_more_than_the_calibration_and_more_than_the_window(
    high: float, value: float, anomalous: bool
) -> None:
    """A record of a steady camera is no alarm, nor is what the window has learnt."""
    (got,) = Judge(FixedWindow(high=high), BASELINE, "auto", 100).judge([score(value)])
    assert got.anomalous is anomalous and got.limit == max(5.0, high)


def test_without_redis_the_last_range_serves_and_says_so() -> None:
    window = FixedWindow()
    judge = Judge(window, BASELINE, 0.8, 100)
    judge.judge([score(6.0)])
    window.away = True
    known, unknown = judge.judge([score(6.0), score(2.0, camera="line-9")])
    assert (known.state, known.low, known.high) == (State.DEGRADED, 0, 10)
    assert (unknown.state, unknown.low, unknown.high) == (State.DEGRADED, 1, 3)
    assert judge.trouble is not None and "does not answer" in judge.trouble
    window.away = False
    assert judge.judge([score(6.0)])[0].state is State.READY and judge.trouble is None


def test_a_capture_time_in_the_future_cannot_empty_the_window() -> None:
    window = FixedWindow()
    Judge(window, BASELINE, "auto", 100).judge([score(1.0, at_ns=(1 << 62))])
    assert window.entries[0].time_ms <= time.time_ns() // 1_000_000
