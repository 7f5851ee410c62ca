"""Alarms a peak: one where scores have no memory, more where they wander about."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.judging.thresholds.extending import extend
from monitor.judging.thresholds.parting import FROM_PEAKS, Parting
from monitor.judging.thresholds.statistic import AlarmRule
from monitor.judging.thresholds.tail import Tail
from scripts.false_alarms import series_of
from scripts.score_processes import correlated

HOURS = 30


def grown(scores: np.ndarray) -> Tail:
    tail = None
    for hour in range(HOURS):
        piece = series_of(scores[hour * 7200 : (hour + 1) * 7200])
        piece.times_ms[:] += hour * 3_600_000
        tail = extend(tail, piece, AlarmRule())
    assert tail is not None
    return tail


def test_without_memory_every_peak_is_one_alarm() -> None:
    parting = grown(np.random.default_rng(1).standard_normal(HOURS * 7200)).parting
    assert parting.level is not None and parting.before == pytest.approx(1, abs=0.1)
    assert parting.alarms_per_peak == pytest.approx(1, abs=0.1)


def test_scores_that_wander_for_minutes_raise_several() -> None:
    tail = grown(correlated(np.random.default_rng(1), HOURS * 7200, 0.999))
    assert 1.3 < tail.parting.alarms_per_peak < 4
    assert Tail.from_dict(tail.to_dict()) == tail


def test_it_waits_for_peaks_and_is_never_below_one() -> None:
    empty = Parting()
    assert empty.settled(np.arange(FROM_PEAKS - 1.0)) is empty and empty.alarms_per_peak == 1
    level = empty.settled(np.arange(100.0)).level
    assert level is not None and 80 < level < 99
    assert Parting(1.0, peaks=50, alarms=10).alarms_per_peak == 1
