"""From scores to verdicts: which baseline and which rule a frame gets, and what is said without Redis."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.judging.baseline.port import (
    BaselineKey,
    Criterion,
    Entry,
    Mode,
    Phase,
    Range,
    Rule,
    WindowUnavailable,
    normalise,
)
from monitor.judging.judge import Judge, State
from monitor.judging.rulebook import Calibrated, Rulebook
from tests.monitor.scenes import MODEL, score, window_range

CALIBRATED = Calibrated(low=1.0, high=3.0, limit=5.0)
finite = st.floats(allow_nan=False, allow_infinity=False)


class FixedWindow:
    """Answers every entry with the same range, or not at all."""

    def __init__(self, answer: Range | None = None) -> None:
        self.answer = answer or window_range(count=500)
        self.away = False
        self.entries: list[Entry] = []

    def judge(self, entries: Sequence[Entry]) -> list[Range]:
        if self.away:
            raise WindowUnavailable("Redis at somewhere does not answer")
        self.entries += entries
        return [self.answer] * len(entries)


def rulebook(
    threshold: Literal["auto"] | float = "auto",
    mode: Mode = Mode.MINMAX,
    learnt: Callable[[BaselineKey, int | None], float | None] = lambda key, epoch: None,
    product: str = "",
) -> Rulebook:
    return Rulebook(
        mode=mode,
        threshold=lambda camera: threshold,
        product=lambda frame: frame.product or product,
        calibrated=lambda model: CALIBRATED,
        learnt=learnt,
    )


@given(finite, finite, finite)
def test_normalised_is_always_a_number_between_0_and_1(s: float, low: float, high: float) -> None:
    value = normalise(s, low, high)
    assert not math.isnan(value) and 0 <= value <= 1


def test_a_range_without_width_is_no_division_by_zero() -> None:
    assert normalise(2, 2, 2) == 0 and normalise(1, 2, 2) == 0 and normalise(3, 2, 2) == 1
    assert normalise(2.5, 2, 3) == 0.5


def test_a_verdict_says_what_the_window_said() -> None:
    (got,) = Judge(FixedWindow(), rulebook()).judge([score(3.0)])
    assert (got.low, got.high, got.normalised, got.count, got.state) == (0, 4, 0.75, 500, State.READY)
    assert (got.limit, got.threshold, got.anomalous, got.p_value) == (2.0, 0.5, False, 2 / 501)
    assert got.key == BaselineKey("line-1", MODEL) and got.model == MODEL


@pytest.mark.parametrize(
    ("phase", "state"),
    [
        (Phase.COLD, State.WARMING),
        (Phase.WARMING, State.WARMING),
        (Phase.READY, State.READY),
        (Phase.STALE, State.READY),
        (Phase.DRIFTING, State.READY),
    ],
)
def test_the_states_of_the_contract(phase: Phase, state: State) -> None:
    (got,) = Judge(FixedWindow(window_range(phase=phase)), rulebook()).judge([score(1.0)])
    assert got.state is state


def test_each_model_region_and_product_has_a_baseline_of_its_own() -> None:
    window = FixedWindow()
    Judge(window, rulebook(product="bottle")).judge([replace(score(1.0), region="0a1b2c3d")])
    assert window.entries[0].key == BaselineKey("line-1", f"{MODEL}-0a1b2c3d", "bottle")


@pytest.mark.parametrize(
    ("book", "rule"),
    [
        (rulebook(), Rule(Criterion.RISING, 5.0, 1.0, 3.0)),
        (rulebook(0.8), Rule(Criterion.SHARE, 0.8, 1.0, 3.0)),
        (rulebook(learnt=lambda key, epoch: 2.5), Rule(Criterion.ABSOLUTE, 2.5, 1.0, 3.0)),
        (rulebook(mode=Mode.FROZEN, learnt=lambda key, epoch: 2.5), Rule(Criterion.ABSOLUTE, 5.0, 1.0, 3.0)),
        (rulebook(0.8, learnt=lambda key, epoch: 2.5), Rule(Criterion.SHARE, 0.8, 1.0, 3.0)),
    ],
)
def test_when_a_frame_is_anomalous(book: Rulebook, rule: Rule) -> None:
    window = FixedWindow()
    Judge(window, book).judge([score(1.0)])
    assert window.entries[0].rule == rule


def test_a_limit_that_was_learnt_before_a_reset_is_not_used_after_it() -> None:
    asked: list[int | None] = []

    def learnt(key: BaselineKey, epoch: int | None) -> float | None:
        asked.append(epoch)
        return None

    judge = Judge(FixedWindow(window_range(epoch=7)), rulebook(learnt=learnt))
    judge.judge([score(1.0)])
    judge.judge([score(1.0)])
    assert asked == [None, 7]


def test_without_redis_the_last_range_serves_and_says_so() -> None:
    window = FixedWindow()
    judge = Judge(window, rulebook())
    judge.judge([score(1.0)])
    window.away = True
    known, unknown = judge.judge([score(6.0), score(2.0, camera="line-9")])
    assert (known.state, known.low, known.high, known.limit, known.anomalous) == (State.DEGRADED, 0, 4, 5.0, True)
    assert (unknown.state, unknown.low, unknown.high, unknown.anomalous) == (State.DEGRADED, 1, 3, False)
    assert known.p_value is None and unknown.window is None
    assert judge.trouble is not None and "does not answer" in judge.trouble
    window.away = False
    assert judge.judge([score(6.0)])[0].state is State.READY and judge.trouble is None


def test_without_redis_a_record_is_no_anomaly_where_the_window_had_higher_ones() -> None:
    window = FixedWindow(replace(window_range(), limit=9.0))
    judge = Judge(window, rulebook())
    judge.judge([score(1.0)])
    window.away = True
    assert [v.anomalous for v in judge.judge([score(8.0), score(9.5)])] == [False, True]


def test_without_redis_a_number_is_held_against_the_last_range() -> None:
    window = FixedWindow()
    judge = Judge(window, rulebook(1.0))
    judge.judge([score(1.0)])
    window.away = True
    assert [v.anomalous for v in judge.judge([score(3.9), score(4.0), score(5.0)])] == [False, True, True]


def test_a_capture_time_in_the_future_cannot_empty_the_window() -> None:
    window = FixedWindow()
    Judge(window, rulebook()).judge([score(1.0, at_ns=(1 << 62))])
    assert window.entries[0].time_ms <= time.time_ns() // 1_000_000


def test_what_is_to_be_kept_out_is() -> None:
    window = FixedWindow()
    Judge(window, rulebook()).judge([score(1.0), score(1.0, 1)], keep_out={1})
    assert [entry.keep_out for entry in window.entries] == [False, True]
