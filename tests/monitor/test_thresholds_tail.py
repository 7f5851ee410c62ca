"""Alarms counted as episodes count them; and the tail, the same in whatever pieces it is extended."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from monitor.judging.baseline.series import Series
from monitor.judging.episodes import Change, EpisodeRule, Episodes
from monitor.judging.thresholds.clusters import alarms
from monitor.judging.thresholds.extending import MOST_PEAKS, START_FRAMES, extend
from monitor.judging.thresholds.statistic import AlarmRule
from monitor.judging.thresholds.tail import Tail
from tests.monitor.scenes import frame, verdict

T0_MS = 1_700_000_000_000


def series(scores: NDArray[np.float64], step_ms: int = 500, start_ms: int = T0_MS) -> Series:
    times = start_ms + step_ms * np.arange(len(scores), dtype=np.int64)
    return Series(times, scores, np.zeros(len(scores), dtype=np.bool_))


def cut(whole: Series, start: int, stop: int) -> Series:
    return Series(whole.times_ms[start:stop], whole.scores[start:stop], whole.refused[start:stop])


rules = st.builds(
    lambda k, more, seconds, resolve, resolve_s, cool: AlarmRule(
        k, k + more, seconds, k + more + resolve, resolve_s, cool
    ),
    st.integers(1, 4),
    st.integers(0, 3),
    st.sampled_from([0.0, 0.0, 1.0, 2.5]),
    st.integers(0, 6),
    st.sampled_from([0.0, 0.0, 4.0]),
    st.sampled_from([0.0, 3.0, 10.0]),
)


@given(rules, st.lists(st.tuples(st.integers(1, 1500), st.booleans(), st.booleans()), max_size=120))
def test_an_alarm_is_an_episode(rule: AlarmRule, frames: list[tuple[int, bool, bool]]) -> None:
    times = T0_MS + np.cumsum([step for step, _, _ in frames], dtype=np.int64)
    scores = np.array([float(a and b) for _, a, b in frames])
    episodes = Episodes(
        EpisodeRule(rule.frames, rule.of, rule.resolve_frames, rule.cooldown_s, rule.seconds, rule.resolve_s)
    )
    fired = []
    for seq, (at_ms, score) in enumerate(zip(times.tolist(), scores.tolist(), strict=True)):
        seen = replace(verdict(seq, score > 0.5), frame=frame(seq, at_ns=at_ms * 1_000_000))
        transition = episodes.step(seen)
        if transition is not None and transition.change is Change.FIRING:
            fired.append(at_ms)
    assert [a.from_ms for a in alarms(0.5, times, scores, rule)] == fired


@given(rules, st.integers(0, 2**32 - 1), st.lists(st.integers(START_FRAMES, 1500), max_size=6, unique=True))
def test_a_tail_is_the_same_in_whatever_pieces_it_grows(rule: AlarmRule, seed: int, cuts: list[int]) -> None:
    rng = np.random.default_rng(seed)
    whole = series(np.convolve(rng.standard_normal(1500), np.ones(5) / 2, "same"))
    whole.times_ms[700:] += 90_000  # a gap
    excluded = [(T0_MS + 400_000, T0_MS + 420_000)]
    first = extend(None, cut(whole, 0, START_FRAMES), rule, excluded)
    at_once = extend(first, whole, rule, excluded)
    tail = first
    for start, stop in zip([START_FRAMES, *sorted(cuts)], [*sorted(cuts), 1500], strict=True):
        assert tail is not None
        tail = extend(Tail.from_dict(json.loads(json.dumps(tail.to_dict()))), cut(whole, start, stop), rule, excluded)
    assert tail is not None and at_once is not None
    ours, theirs = tail.to_dict(), at_once.to_dict()
    assert [(p.value, p.at_ms, p.alarm) for p in tail.peaks] == [(p.value, p.at_ms, p.alarm) for p in at_once.peaks]
    assert ours["clock_s"] == pytest.approx(theirs["clock_s"], abs=0.02)
    for name in ("level", "until_ms", "frames", "above", "statistic", "clusters"):
        assert ours[name] == theirs[name], name


def test_too_few_frames_begin_no_tail() -> None:
    assert extend(None, series(np.zeros(START_FRAMES - 1)), AlarmRule()) is None
    assert extend(None, series(np.zeros(0)), AlarmRule()) is None
    assert extend(None, series(np.zeros(START_FRAMES)), AlarmRule()) is not None


def test_neither_a_gap_nor_an_alarm_counts_as_watched() -> None:
    whole = series(np.random.default_rng(0).standard_normal(2000))  # 1000 s
    whole.times_ms[1000:] += 61_000
    tail = extend(None, whole, AlarmRule())
    assert tail is not None and tail.watched_s == pytest.approx(999, abs=1)
    less = extend(None, whole, AlarmRule(), [(T0_MS, T0_MS + 99_999)])
    assert less is not None and less.watched_s == pytest.approx(tail.watched_s - 100, abs=1)


def test_nothing_is_taken_in_twice_nor_changed_by_what_is_old() -> None:
    whole = series(np.random.default_rng(0).standard_normal(2000))
    tail = extend(None, whole, AlarmRule())
    assert tail is not None and tail.peaks
    assert extend(tail, whole, AlarmRule()) is tail
    assert extend(tail, cut(whole, 5, 50), AlarmRule()) is tail


def test_what_is_not_finite_is_left_out() -> None:
    scores = np.random.default_rng(0).standard_normal(1000)
    scores[::50] = [np.nan, np.inf] * 10
    tail = extend(None, series(scores), AlarmRule())
    assert tail is not None and tail.frames == 980
    Tail.from_dict(json.loads(json.dumps(tail.to_dict(), allow_nan=False)))


def test_the_tail_stays_small_and_reaches_ever_further() -> None:
    rng = np.random.default_rng(1)
    tail, rule = None, AlarmRule(cooldown_s=0)
    for hour in range(48):
        tail = extend(tail, series(rng.standard_normal(7200), start_ms=T0_MS + hour * 3_600_000), rule)
        assert tail is not None and len(tail.peaks) <= MOST_PEAKS
    assert tail is not None and tail.raised > 0 and tail.watched_s == pytest.approx(48 * 3600, abs=60)
    assert len(json.dumps(tail.to_dict())) < 20_000
    assert min(p.value for p in tail.peaks) > tail.level


def test_a_week_is_remembered_and_no_more() -> None:
    rng = np.random.default_rng(1)
    tail = None
    for day in range(9):
        tail = extend(tail, series(rng.standard_normal(4320), 20_000, T0_MS + day * 86_400_000), AlarmRule())
    assert tail is not None and 6 * 86_400 < tail.watched_s <= 7 * 86_400
    assert all(p.clock_s > tail.clock_from_s for p in tail.peaks)


def test_a_level_that_nothing_reaches_is_taken_anew() -> None:
    rng = np.random.default_rng(2)
    tail = extend(None, series(rng.standard_normal(400) + 50), AlarmRule())
    assert tail is not None and tail.level > 40
    for hour in range(3):
        tail = extend(tail, series(rng.standard_normal(7200), start_ms=T0_MS + (hour + 1) * 3_600_000), AlarmRule())
    assert tail is not None and tail.level < 5 and tail.peaks


def test_another_rule_begins_a_new_tail() -> None:
    whole = series(np.random.default_rng(0).standard_normal(3000))
    tail = extend(None, cut(whole, 0, 2000), AlarmRule())
    other = extend(tail, cut(whole, 2000, 3000), AlarmRule(frames=1, of=1))
    assert other is not None and other.rule.of == 1 and other.frames == 1000


def test_peaks_lie_in_alarms_or_not_as_is_known_now() -> None:
    tail = extend(None, series(np.random.default_rng(0).standard_normal(4000)), AlarmRule())
    assert tail is not None and len(tail.peaks) > 3 and not any(p.alarm for p in tail.peaks)
    at = tail.peaks[1].at_ms
    marked = tail.marked([(at - 10, at)])
    assert [p.alarm for p in marked.peaks] == [i == 1 for i in range(len(tail.peaks))]
    assert marked.marked([]) == tail


@pytest.mark.parametrize("change", [{"version": 9}, {"peaks": 3}, {"level": None}, {"rule": []}, {"statistic": {}}])
def test_what_is_no_tail_is_refused(change: dict[str, object]) -> None:
    tail = extend(None, series(np.random.default_rng(0).standard_normal(400)), AlarmRule())
    assert tail is not None
    with pytest.raises(ValueError, match="tail"):
        Tail.from_dict({**tail.to_dict(), **change})


def test_scores_around_a_moving_mean_have_the_tail_of_their_distances() -> None:
    rng = np.random.default_rng(3)
    scores = 0.1 * rng.standard_normal(20_000) + np.linspace(0, 10, 20_000)
    tail = extend(None, series(scores), AlarmRule(), around="mean")
    assert tail is not None
    assert tail.mean == pytest.approx(9.7, abs=0.3)  # as far behind as 300 s of the drift
    assert all(0 < p.value < 1.5 for p in tail.peaks)
