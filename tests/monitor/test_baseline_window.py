"""The rolling window on real servers, in memory, and as one would write it down: the three must agree."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.embedded import EmbeddedValkey
from monitor.judging.baseline.keys import key_of, name_of, places_of
from monitor.judging.baseline.life import Life
from monitor.judging.baseline.memory_window import MemoryWindow
from monitor.judging.baseline.port import (
    BaselineKey,
    Criterion,
    Entry,
    Fate,
    Mode,
    Phase,
    RollingWindow,
    Rule,
    WindowRules,
    WindowUnavailable,
)
from monitor.judging.baseline.redis_window import RedisWindow
from monitor.judging.baseline.store import BaselineStore
from tests.monitor.baselines import (
    CAMERA,
    KEYS,
    RISING,
    STEPS,
    T0_MS,
    WINDOW_RULES,
    Plain,
    RedisServer,
    entry,
    redis_program,
)

ABSOLUTE = Rule(Criterion.ABSOLUTE, 100.0, 0.0, 10.0)
RULES = WindowRules(max_frames=5, max_age_s=10.0, warm_up_frames=3, relearn_after=1000)


@pytest.fixture(scope="module", params=["valkey", "redis"])
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of each kind of server."""
    if request.param == "valkey":
        yield request.getfixturevalue("valkey").address
        return
    program = redis_program()
    if program is None:
        pytest.skip("no redis-server on the PATH (Debian: redis-server); the window is tested on Valkey alone")
    with RedisServer(program) as started:
        yield started.address


@pytest.fixture(scope="module")
def client(server: str) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(server, decode_responses=True, socket_timeout=20)
    yield client
    client.close()


@pytest.fixture
def window(client: redis.Redis, prefix: str) -> RedisWindow:
    return RedisWindow(client, prefix, RULES, address="r")


def fates(window: RollingWindow, entries: list[Entry]) -> list[Fate]:
    return [r.fate for r in window.judge(entries)]


def low(score: float, seq: int, **others: Any) -> Entry:
    return entry(score, seq, rule=ABSOLUTE, **others)


def test_a_frame_is_held_against_the_window_before_it_enters(window: RedisWindow) -> None:
    ranges = window.judge([low(3, 0), low(1, 1), low(9, 2), low(2, 3)])
    assert [(r.count, r.least, r.greatest, r.at_least) for r in ranges] == [
        (0, None, None, 0),
        (1, 3, 3, 1),
        (2, 1, 3, 0),
        (3, 1, 9, 2),
    ]
    assert [r.phase for r in ranges] == [Phase.COLD, Phase.WARMING, Phase.WARMING, Phase.READY]
    assert [(r.low, r.high) for r in ranges] == [(0, 10), (0, 10), (0, 10), (1, 9)]
    assert [r.p_value for r in ranges] == [1, 1, 1 / 3, 3 / 4]


def test_the_last_n_frames_count(window: RedisWindow) -> None:
    window.judge([low(s, i) for i, s in enumerate([50, 1, 2, 3, 4])])
    assert [(r.count, r.greatest) for r in window.judge([low(5, 5)])] == [(5, 50)]
    assert [(r.count, r.least, r.greatest) for r in window.judge([low(6, 6)])] == [(5, 1, 5)]


def test_and_none_older_than_t(window: RedisWindow) -> None:
    window.judge([low(50, 0), low(1, 1)])
    answer = window.judge([low(2, 2, time_ms=T0_MS + 10_050)])[0]
    assert (answer.count, answer.least, answer.greatest) == (1, 1, 1)


def test_quantiles_are_numpys_to_the_last_bit(client: redis.Redis, prefix: str) -> None:
    random = np.random.default_rng(3)
    window = RedisWindow(client, prefix, WindowRules(301, 1e6, 10, 1000, Mode.QUANTILE), address="r")
    scores = random.lognormal(0, 0.5, 700)
    for i, score in enumerate(scores):
        answer = window.judge([low(float(score), i)])[0]
        if i > 0:
            last = scores[max(0, i - 301) : i]
            q_low, q_high = float(np.quantile(last, 0.01)), float(np.quantile(last, 0.99))
            assert (answer.q_low, answer.q_high) == (q_low, q_high)
            assert (answer.least, answer.greatest) == (last.min(), last.max())
            assert answer.at_least == np.count_nonzero(last >= score)
            if i >= 10:
                assert (answer.low, answer.high) == (q_low, q_high + (q_high - q_low))


def test_cameras_models_and_products_do_not_touch_each_other(window: RedisWindow) -> None:
    keys = [BaselineKey("a", "m"), BaselineKey("a", "m", "p"), BaselineKey("a", "n"), BaselineKey("{}%:*", "m:", ":")]
    window.judge([low(i, i, key=key) for i, key in enumerate(keys)])
    assert [(r.count, r.least) for r in window.judge([low(9, 9, key=key) for key in keys])] == [
        (1, 0),
        (1, 1),
        (1, 2),
        (1, 3),
    ]


@given(st.text(min_size=1), st.text(), st.text())
def test_names_of_all_kinds_come_back_from_the_index(camera: str, model: str, product: str) -> None:
    try:
        "".join((camera, model, product)).encode()
    except UnicodeEncodeError:
        return
    key = BaselineKey(camera, model, product)
    assert key_of(name_of(key)) == key
    places = places_of("p", 7, key)
    assert len({place[place.index("{") : place.index("}")] for place in places}) == 1
    assert len(places.baselines) == len(places.state.removesuffix(f"{name_of(key)}:state"))  # window.lua counts on it


def test_so_many_more_refused_frames_than_normal_ones_are_the_new_normal(client: redis.Redis, prefix: str) -> None:
    window = RedisWindow(client, prefix, WindowRules(50, 100, 2, 4), address="r")
    window.judge([entry(1, 0), entry(1.5, 1)])
    ranges = window.judge([entry(9 + i, i) for i in range(2, 5)] + [entry(1.2, 5), entry(20, 6), entry(21, 7)])
    assert [r.fate for r in ranges] == [Fate.REFUSED] * 3 + [Fate.ENTERED, Fate.REFUSED, Fate.RELEARNT]
    assert [r.refused for r in ranges] == [0, 1, 2, 3, 2, 3]
    assert [r.phase for r in ranges] == [Phase.READY] + [Phase.DRIFTING] * 5
    after = window.judge([entry(12, 8)])[0]
    assert (after.count, after.least, after.greatest, after.epoch) == (5, 11, 21, 1)
    assert (after.phase, after.fate, after.refused) == (Phase.READY, Fate.ENTERED, 0)


def test_what_was_refused_is_known_when_it_comes_again(client: redis.Redis, prefix: str) -> None:
    window = RedisWindow(client, prefix, WindowRules(50, 100, 2, 4), address="r")
    window.judge([entry(1, 0), entry(1.5, 1)])
    bad = [entry(9, 2), entry(9, 3)]
    assert fates(window, bad) == [Fate.REFUSED] * 2
    for _ in range(5):
        assert fates(window, bad) == [Fate.REPEATED] * 2
    assert window.judge([entry(1, 4)])[0].refused == 2


def test_old_frames_that_come_again_after_the_new_normal_stay_out(client: redis.Redis, prefix: str) -> None:
    window = RedisWindow(client, prefix, WindowRules(50, 100, 2, 2), address="r")
    old = [entry(1, 0), entry(1.5, 1)]
    window.judge(old)
    assert fates(window, [entry(9, 2), entry(9.5, 3)])[-1] is Fate.RELEARNT
    assert fates(window, old) == [Fate.LATE] * 2
    assert window.judge([entry(9, 4)])[0].least == 9


def test_and_so_they_do_where_several_come_at_once(client: redis.Redis, prefix: str) -> None:
    window = RedisWindow(client, prefix, WindowRules(4, 100, 2, 4), address="r")
    window.judge([entry(1, 0), entry(1.5, 1)])
    assert fates(window, [entry(9 + n, n) for n in range(2, 6)])[-1] is Fate.RELEARNT
    between = [entry(10, n, time_ms=T0_MS + 250 + n) for n in (20, 21)]
    assert fates(window, [*between, entry(10, 6)]) == [Fate.LATE, Fate.LATE, Fate.ENTERED]


def test_a_refused_frame_is_known_also_when_it_would_be_normal_by_now(client: redis.Redis, prefix: str) -> None:
    window = RedisWindow(client, prefix, WindowRules(4, 100, 2, 9), address="r")
    assert fates(window, [entry(1, n) for n in range(4)] + [entry(9, 4)])[-1] is Fate.REFUSED
    window.judge([entry(1, n) for n in range(5, 9)])
    assert fates(window, [low(9, 4), low(1, 9), low(1, 10)]) == [Fate.REPEATED, Fate.ENTERED, Fate.ENTERED]


def test_few_frames_of_a_new_normal_serve_until_more_come(client: redis.Redis, prefix: str) -> None:
    """Otherwise the checkpoint's limit would refuse everything again, for ever."""
    window = RedisWindow(client, prefix, WindowRules(50, 100, 10, 3), address="r")
    assert fates(window, [entry(9 + i, i) for i in range(3)]) == [Fate.REFUSED] * 2 + [Fate.RELEARNT]
    answer = window.judge([entry(10.5, 4)])[0]
    assert (answer.phase, answer.low, answer.high) == (Phase.STALE, 9, 11)
    assert answer.limit == pytest.approx(10.98 + 1.96)
    assert answer.fate is Fate.ENTERED


def test_a_window_that_grew_too_old_leaves_its_range_behind(client: redis.Redis, prefix: str) -> None:
    window = RedisWindow(client, prefix, replace(RULES, max_age_s=1), address="r")
    window.judge([entry(0.5, 0), entry(1.0, 1), entry(1.5, 2)])
    late = window.judge([entry(1.2, 3, time_ms=T0_MS + 86_400_000)])[0]
    assert (late.phase, late.count, late.low, late.high) == (Phase.STALE, 0, 0.5, 1.5)
    assert late.limit == pytest.approx(1.49 + 0.98)
    assert late.fate is Fate.ENTERED
    life = BaselineStore(client, prefix).life(CAMERA)
    assert life.kept == {"count": 3, "least": 0.5, "greatest": 1.5, "q_low": 0.51, "q_high": 1.49, "at_ms": T0_MS + 200}
    ranges = window.judge([entry(1, n, time_ms=T0_MS + 86_400_000 + n) for n in range(4, 7)])
    assert [r.phase for r in ranges] == [Phase.STALE, Phase.STALE, Phase.READY]


def test_a_frame_kept_out_is_answered_and_leaves_no_trace(window: RedisWindow, client: redis.Redis) -> None:
    out = [entry(9, i, time_ms=T0_MS + i * 100_000, keep_out=True) for i in range(2, 8)]
    window.judge(out)
    assert not client.keys(f"*{window._prefix}*")
    window.judge([entry(1, 0), entry(1.5, 1)])
    before = client.hgetall(places_of(window._prefix, 1, CAMERA).state)
    ranges = window.judge(out)
    assert {(r.count, r.greatest, r.refused, r.fate) for r in ranges} == {(2, 1.5, 0, Fate.KEPT_OUT)}
    assert client.hgetall(places_of(window._prefix, 1, CAMERA).state) == before


def test_a_redelivered_frame_changes_nothing(window: RedisWindow) -> None:
    first = [low(s, i) for i, s in enumerate([3, 1, 2])]
    window.judge(first)
    before = window.judge([low(2, 90)])
    assert fates(window, first) == [Fate.REPEATED] * 3
    assert window.judge([low(2, 91)])[0].count == before[0].count + 1


def test_and_neither_does_one_that_left_a_full_window(window: RedisWindow) -> None:
    frames = [low(i, i) for i in range(9)]
    window.judge(frames)
    before = window.judge([low(8, 100, keep_out=True)])
    assert fates(window, frames) == [Fate.LATE] * 4 + [Fate.REPEATED] * 5
    assert window.judge([low(8, 100, keep_out=True)]) == before


def test_scores_keep_every_digit(window: RedisWindow) -> None:
    exact = 0.1 + 0.2
    window.judge([low(exact, 0)])
    assert window.judge([low(5e-324, 1)])[0].greatest == exact
    assert window.judge([low(1, 2)])[0].least == 5e-324
    wild = window.judge([low(-1e300, 3, keep_out=True), low(1e300, 4, keep_out=True)])
    assert [r.at_least for r in wild] == [3, 0]


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf"), 1e301])
@pytest.mark.parametrize("kind", ["memory", "redis"])
def test_what_is_no_number_never_enters(kind: str, score: float, window: RedisWindow, client: redis.Redis) -> None:
    judging: RollingWindow = window if kind == "redis" else MemoryWindow(RULES)
    with pytest.raises(ValueError, match="score: expected a finite number"):
        judging.judge([low(1, 0), low(score, 1)])
    with pytest.raises(ValueError, match="rule: high: expected a finite number"):
        judging.judge([low(1, 0), entry(1, 1, rule=replace(ABSOLUTE, high=score))])
    assert judging.judge([low(1, 2)])[0].count == 0


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("rule", [RISING, ABSOLUTE, Rule(Criterion.SHARE, 0.8, 1.0, 1.0)])
def test_a_window_without_width_divides_by_nothing(client: redis.Redis, prefix: str, mode: Mode, rule: Rule) -> None:
    rules = replace(RULES, mode=mode)
    redis_window, memory = RedisWindow(client, prefix, rules, address="r"), MemoryWindow(rules)
    batch = [entry(s, i, rule=rule) for i, s in enumerate([1, 1, 1, 1, 0.5, 1, 1.5, 1])]
    answer = redis_window.judge(batch)
    assert answer == memory.judge(batch)
    assert all(np.isfinite([r.low, r.high, r.limit]).all() for r in answer)


def test_a_constant_camera_with_a_share_alarms_only_above(client: redis.Redis, prefix: str) -> None:
    window = RedisWindow(client, prefix, RULES, address="r")
    share = Rule(Criterion.SHARE, 0.8, 1.0, 1.0)
    ranges = window.judge([entry(s, i, rule=share) for i, s in enumerate([1, 1, 1, 1, 1.0000001])])
    assert [r.anomalous for r in ranges] == [False] * 4 + [True]


def stationary(rule: Rule, rules: WindowRules, scores: list[float]) -> list[bool]:
    """Which of these scores, ten a second, are anomalous."""
    window = MemoryWindow(rules)
    return [window.judge([entry(score, n, rule=rule)])[0].anomalous for n, score in enumerate(scores)]


@pytest.mark.slow
@pytest.mark.parametrize("mode", [Mode.MINMAX, Mode.QUANTILE])
def test_normal_scores_above_the_checkpoints_limit_stay_normal_for_hours(mode: Mode) -> None:
    """What is refused never enters: a limit that the greatest score tells could only fall."""
    scores = np.random.default_rng(7).normal(3.0, 0.2, 3 * 36_000).tolist()
    anomalous = stationary(RISING, WindowRules(2000, 200.0, 100, 200, mode), scores)
    settled = anomalous[2000:]  # until it had learnt that this line scores higher
    assert sum(settled) / len(settled) < 0.001


@pytest.mark.slow
def test_a_share_of_the_range_does_not_make_it_narrower_for_hours() -> None:
    scores = np.random.default_rng(7).normal(1.0, 0.1, 3 * 36_000).tolist()
    anomalous = stationary(Rule(Criterion.SHARE, 0.9, 0.0, 1.5), WindowRules(2000, 200.0, 100, 200), scores)[2000:]
    quarter = len(anomalous) // 4
    first, last = sum(anomalous[:quarter]) / quarter, sum(anomalous[-quarter:]) / quarter
    assert 0 < first < 0.01  # refused, they made it a fifth of all frames within minutes
    assert 0 < last < 1.5 * first


def test_a_ready_windows_limit_is_told_by_its_quantiles(client: redis.Redis, prefix: str) -> None:
    window = RedisWindow(client, prefix, WindowRules(101, 1000, 101, 1000), address="r")
    window.judge([low(10 + n / 100, n) for n in range(101)])
    answer = window.judge([entry(11.9, 200), entry(12.1, 201)])
    assert [r.limit for r in answer] == pytest.approx([10.99 + 0.98, 11.00 + 0.98])
    assert [(r.anomalous, r.fate) for r in answer] == [(False, Fate.ENTERED), (True, Fate.REFUSED)]


def test_by_its_share_a_frame_is_anomalous_and_enters_up_to_the_top(client: redis.Redis, prefix: str) -> None:
    share = Rule(Criterion.SHARE, 0.9, 0.0, 1.0)
    window = RedisWindow(client, prefix, WindowRules(101, 1000, 101, 1000), address="r")
    assert [(r.anomalous, r.fate) for r in window.judge([entry(0.95, 0, rule=share)])] == [(True, Fate.REFUSED)]
    window.judge([low(10 + n / 100, n) for n in range(1, 102)])
    answer = window.judge([entry(s, 200 + n, rule=share) for n, s in enumerate([10.5, 10.95, 11.5, 12.1])])
    assert [(r.anomalous, r.fate) for r in answer] == [
        (False, Fate.ENTERED),
        (True, Fate.ENTERED),
        (True, Fate.ENTERED),
        (True, Fate.REFUSED),
    ]
    assert window.judge([entry(10, 300, rule=share, keep_out=True)])[0].refused == 1


def test_in_mode_frozen_nothing_is_learnt_anew(client: redis.Redis, prefix: str) -> None:
    window = RedisWindow(client, prefix, WindowRules(50, 100, 2, 4), address="r")
    window.judge([entry(1, 0), entry(1.5, 1), entry(9, 2), entry(9, 3)])
    window.rules = replace(window.rules, mode=Mode.FROZEN)
    ranges = window.judge([entry(9, n) for n in range(4, 24)])
    assert {(r.fate, r.epoch, r.limit, r.count) for r in ranges} == {(Fate.REFUSED, 0, 2.0, 2)}
    assert [r.refused for r in ranges] == [2] + [0] * 19
    assert ranges[-1].phase is Phase.READY
    assert len(BaselineStore(client, prefix).series(CAMERA)) == 24


def test_a_clock_that_ran_ahead_makes_no_frame_late(client: redis.Redis, prefix: str) -> None:
    """Fifty frames enter, five are captured by a clock a day ahead, then the clock is right again."""
    clock = HandClock()
    began_ms, day_ms = clock.now_ms, 86_400_000
    rules = WindowRules(52, 7 * 86_400.0, 10, 20)
    window, memory = RedisWindow(client, prefix, rules, address="r", clock=clock), MemoryWindow(rules, clock)
    frames = [low(1 + n / 100, n, time_ms=began_ms + n * 100) for n in range(50)]
    wrong = [low(2, n, time_ms=began_ms + day_ms + n * 100) for n in range(50, 55)] + [
        entry(9, 55, time_ms=began_ms + day_ms + 5600)
    ]
    right = [low(1, n, time_ms=began_ms + n * 100) for n in range(56, 60)]
    told_: list[Any] = []
    for one in (window, memory):
        clock.now_ms = began_ms + 5000
        one.judge(frames)
        clock.now_ms = began_ms + day_ms + 6000
        assert [r.fate for r in one.judge(wrong)] == [Fate.ENTERED] * 5 + [Fate.REFUSED]
        clock.now_ms = began_ms + 6000
        told_.append(one.judge(right))
    assert [r.fate for r in told_[0]] == [Fate.ENTERED] * 4
    assert [(r.count, r.greatest, r.refused) for r in told_[0]] == [(47 + n, 1.49, 0) for n in range(4)]
    assert told_[0] == told_[1]
    store = BaselineStore(client, prefix, rules=rules)
    assert store.life(CAMERA).newest_ms == began_ms + 5900
    assert_same(store, memory, CAMERA)


def test_a_clock_that_runs_ahead_within_a_batch_for_a_full_window(client: redis.Redis, prefix: str) -> None:
    clock = HandClock()
    began_ms = clock.now_ms
    rules = WindowRules(20, 7 * 86_400.0, 10, 20)
    window, memory = RedisWindow(client, prefix, rules, address="r", clock=clock), MemoryWindow(rules, clock)
    frames = [low(1 + n % 10 / 10, n, time_ms=began_ms + n * 100) for n in range(24)]
    batch = [low(1.5, n, time_ms=began_ms + n * 100) for n in range(24, 30)]
    batch[2] = replace(batch[2], time_ms=began_ms + 86_400_000)
    for one in (window, memory):
        clock.now_ms = began_ms + 2400
        one.judge(frames)
        clock.now_ms = began_ms + 3000
    answer = window.judge(batch)
    assert answer == memory.judge(batch)
    assert [(r.fate, r.count) for r in answer] == [(Fate.ENTERED, n) for n in (20, 20, 20, 19, 20, 20)]
    assert_same(BaselineStore(client, prefix, rules=rules), memory, CAMERA)


def test_what_was_learnt_anew_while_the_clock_ran_ahead_blinds_nobody(client: redis.Redis, prefix: str) -> None:
    clock = HandClock()
    began_ms, day_ms = clock.now_ms, 86_400_000
    rules = WindowRules(50, 7 * 86_400.0, 2, 3)
    window = RedisWindow(client, prefix, rules, address="r", clock=clock)
    clock.now_ms = began_ms + day_ms
    ranges = window.judge([entry(9 + n, n, time_ms=began_ms + day_ms + n) for n in range(3)])
    assert ranges[-1].fate is Fate.RELEARNT
    clock.now_ms = began_ms + 50
    answer = window.judge([entry(10, n, time_ms=began_ms + n * 100) for n in range(1, 5)])
    assert [(r.fate, r.phase, r.count) for r in answer[:1]] == [(Fate.ENTERED, Phase.STALE, 0)]
    assert {r.fate for r in answer} == {Fate.ENTERED}
    store = BaselineStore(client, prefix, rules=rules)
    assert store.life(CAMERA).relearnt_ms == began_ms + 50
    assert all(client.pttl(key) > 0 for key in client.keys(f"*{prefix}*"))


def test_a_caller_whose_clock_runs_slow_takes_nothing_out(window: RedisWindow, client: redis.Redis) -> None:
    window.judge([low(1, n, time_ms=T0_MS + n * 1000) for n in range(5)])
    slow = RedisWindow(client, window._prefix, RULES, address="r", clock=lambda: 0.0)
    answer = slow.judge([low(1, 9, time_ms=T0_MS - 86_400_000)])[0]
    assert (answer.count, answer.fate) == (5, Fate.LATE)


def test_rules_may_change_between_batches(window: RedisWindow) -> None:
    window.judge([low(i, i) for i in range(5)])
    window.rules = replace(RULES, max_frames=2, warm_up_frames=2)
    assert [r.count for r in window.judge([low(9, 9), low(9, 10)])] == [5, 2]


def test_all_keys_expire(client: redis.Redis, prefix: str) -> None:
    window = RedisWindow(client, prefix, replace(RULES, relearn_after=3, keep_s=1000), address="r")
    window.judge([entry(1, 0), entry(9, 1), entry(1, 2), entry(9, 3)])
    BaselineStore(client, prefix).save_tail(CAMERA, {"a": 1}, 0)
    places = places_of(prefix, 1, CAMERA)
    assert all(0 < client.pttl(key) <= 1_000_000 for key in places), [client.pttl(key) for key in places]
    window.judge([entry(9, i) for i in range(4, 9)])
    assert window.judge([entry(1, 9, keep_out=True)])[0].epoch == 1
    assert all(client.pttl(key) <= 1_000_000 for key in client.keys(f"*{prefix}*"))
    assert all(client.pttl(key) > 0 for key in client.keys(f"*{prefix}*"))


def test_keys_expire_also_after_every_frame_of_the_window_was_replaced_at_once(
    client: redis.Redis, prefix: str
) -> None:
    window = RedisWindow(client, prefix, replace(RULES, relearn_after=3), address="r")
    for turn in range(4):
        window.judge([low(1 + n / 8, turn * 5 + n) for n in range(5)])
        assert all(client.pttl(key) > 0 for key in client.keys(f"*{prefix}*"))
    window.judge([low(1, 1000, time_ms=T0_MS + 10**6)])
    store = BaselineStore(client, prefix)
    assert store.forget_between("c", 0, 2**50) == 1
    window.judge([low(1, 1001, time_ms=T0_MS + 10**6 + 1), low(999, 1002, time_ms=T0_MS + 10**6 + 2)])
    assert store.forget_between("c", 0, 2**50) == 2
    window.judge([low(1, 1003, time_ms=T0_MS + 10**6 + 3), low(999, 1004, time_ms=T0_MS + 10**6 + 4)])
    keys = client.keys(f"*{prefix}*")
    assert len(keys) == 6
    assert all(client.pttl(key) > 0 for key in keys)


def test_while_frames_come_the_keys_live_on(client: redis.Redis, prefix: str) -> None:
    window = RedisWindow(client, prefix, replace(RULES, keep_s=1000), address="r")
    window.judge([entry(1, 0)])
    places = places_of(prefix, 1, CAMERA)
    client.hset(places.state, "touched_ms", 0)  # what time would do
    for key in places:
        client.pexpire(key, 50_000)
    window.judge([entry(1, 0, keep_out=True)])
    assert all(client.pttl(key) > 900_000 for key in (places.score, places.time, places.state, places.baselines))


def test_a_whole_batch_is_one_round_trip(window: RedisWindow, client: redis.Redis) -> None:
    window.judge([entry(1, 0)])

    def calls() -> int:
        return int(client.info("commandstats")["cmdstat_fcall"]["calls"])

    before = calls()
    window.judge([entry(i, i, BaselineKey(f"camera-{i % 16}", "m")) for i in range(64)])
    assert calls() - before == 1


def test_several_shards_are_a_call_each(client: redis.Redis, prefix: str) -> None:
    sharded = RedisWindow(client, prefix, RULES, shards=3, address="r")
    memory = MemoryWindow(RULES)
    for turn in range(3):
        batch = [low((i * 7) % 5, i + turn * 64, key=BaselineKey(f"camera-{i % 16}", "m")) for i in range(64)]
        before = client.info("commandstats").get("cmdstat_fcall", {"calls": 0})["calls"]
        assert sharded.judge(batch) == memory.judge(batch)
        assert client.info("commandstats")["cmdstat_fcall"]["calls"] - before == 3
    assert len(BaselineStore(client, prefix, 3).list()) == 16
    assert sorted(k for k in client.keys(f"*{prefix}*baselines")) == [f"{{{prefix}:{n}}}:baselines" for n in range(3)]


def test_a_server_that_forgot_the_function_is_taught_in_the_same_call(window: RedisWindow, client: redis.Redis) -> None:
    assert window.judge([entry(1, 0)])[0].count == 0
    client.function_flush()
    assert window.judge([entry(1, 1)])[0].count == 1


def test_a_server_that_is_away_is_told(prefix: str) -> None:
    server = EmbeddedValkey().start()
    client = redis.Redis.from_url(server.address, decode_responses=True, socket_timeout=2)
    window = RedisWindow(client, prefix, RULES, address="the address")
    window.judge([entry(1, 0)])
    server.stop()
    with pytest.raises(WindowUnavailable, match="the address"):
        window.judge([entry(1, 2)])
    with pytest.raises(WindowUnavailable, match="tried again every second"):
        window.judge([entry(1, 2)])
    client.close()


def test_keys_of_another_kind_are_told_and_not_harmed(window: RedisWindow, client: redis.Redis) -> None:
    client.set(places_of(window._prefix, 1, CAMERA).state, "something else")
    with pytest.raises(WindowUnavailable, match="WRONGTYPE"):
        window.judge([entry(1, 0)])
    assert client.get(places_of(window._prefix, 1, CAMERA).state) == "something else"


@pytest.mark.parametrize("version", ["2", "4", None])
def test_a_baseline_of_another_version_is_begun_afresh(window: RedisWindow, client: redis.Redis, version: str) -> None:
    window.judge([entry(1, i) for i in range(4)])
    state = places_of(window._prefix, 1, CAMERA).state
    client.hset(state, mapping={"epoch": 7, "frozen": 1, "kept": "gibberish", "edges": "x y"})
    client.hset(state, "v", version) if version else client.hdel(state, "v")
    answer = window.judge([entry(1.5, 0), entry(1.7, 5)])
    assert [(r.count, r.phase, r.epoch, r.frozen) for r in answer] == [
        (0, Phase.COLD, 8, False),
        (1, Phase.WARMING, 8, False),
    ]
    assert client.hget(state, "v") == "3"


@pytest.mark.parametrize("lost", ["score", "time", "outscore", "state"])
def test_a_baseline_that_lost_a_key_is_begun_afresh(window: RedisWindow, client: redis.Redis, lost: str) -> None:
    """A server short of memory may let single keys go."""
    window.judge([entry(1, i) for i in range(4)] + [entry(9, 4)])
    client.delete(getattr(places_of(window._prefix, 1, CAMERA), lost))
    answer = window.judge([entry(1.5, 5), entry(1.7, 6)])
    assert [(r.count, r.phase, r.epoch) for r in answer] == [(0, Phase.COLD, 1), (1, Phase.WARMING, 1)]


@pytest.mark.slow
def test_several_workers_at_once_lose_nothing(server: str, prefix: str) -> None:
    """Each frame is brought by two workers; it enters once, and the window holds the last ones in the end."""
    rules = WindowRules(200, 1e6, 10, 10**6)
    keys = [BaselineKey(f"c{n}", "m") for n in range(3)]
    frames = [low(n % 17, n, key=keys[n % 3]) for n in range(1200)]
    entered: list[str] = []
    failures: list[BaseException] = []

    def work(offset: int) -> None:
        own = redis.Redis.from_url(server, decode_responses=True, socket_timeout=60)
        worker = RedisWindow(own, prefix, rules, address="r")
        try:
            for start in range(0, len(frames), 40):
                mine = [f for n, f in enumerate(frames[start : start + 40]) if n % 4 in {offset, (offset + 1) % 4}]
                answers = worker.judge(mine)
                entered.extend(f.identity for f, r in zip(mine, answers, strict=True) if r.fate is Fate.ENTERED)
        except BaseException as error:
            failures.append(error)
        finally:
            own.close()

    workers = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert not failures
    assert len(entered) == len(set(entered)) > 600
    client = redis.Redis.from_url(server, decode_responses=True)
    for key in keys:
        last = [f for f in frames if f.key == key][-200:]
        times = client.zrange(places_of(prefix, 1, key).time, 0, -1)
        assert set(times) == {f.identity for f in last}
        assert set(client.zrange(places_of(prefix, 1, key).score, 0, -1)) == set(times)
    client.close()


class HandClock:
    """A clock set by hand, so far ahead of a server's own that it is the one that counts."""

    AHEAD_MS = 100 * 365 * 86_400_000

    def __init__(self) -> None:
        self.now_ms = T0_MS + self.AHEAD_MS

    def __call__(self) -> float:
        return self.now_ms / 1000


def run_steps(steps: list[Any], clock: HandClock, plain: Plain | None, memory: MemoryWindow, real: Any) -> None:
    """Each step on two or three windows, which have to agree after each."""
    t0_ms = clock.now_ms
    window, store = real if real else (None, None)
    for step in steps:
        if isinstance(step, list):
            batch = [replace(one, time_ms=one.time_ms + clock.AHEAD_MS) for one in step]
            answer = memory.judge(batch)
            if plain is not None:
                assert answer == plain.judge(batch)
            if window is not None:
                assert window.judge(batch) == answer
            continue
        what, *given_ = step
        if what == "clock":
            clock.now_ms = t0_ms + given_[0]
            continue
        for one in filter(None, (plain, memory)):
            if what in {"freeze", "thaw"}:
                one.freeze(given_[0], what == "freeze")
            elif what == "reset":
                one.reset(given_[0])
            elif what == "rules":
                one.rules = given_[0]
        if what == "rules" and window is not None:
            window.rules = store.rules = given_[0]
        elif what == "forget":
            stretch = given_[0].camera, t0_ms + min(given_[1:]), t0_ms + max(given_[1:])
            gone = memory.forget_between(*stretch)
            if plain is not None:
                assert plain.forget_between(*stretch) == gone
            if store is not None:
                assert store.forget_between(*stretch) == gone
        elif store is not None and what != "rules":
            getattr(store, what)(given_[0], by="test")


@settings(max_examples=400 if os.environ.get("CI") else 150)
@given(steps=STEPS, rules=WINDOW_RULES)
def test_memory_agrees_with_what_one_would_write_down(steps: list[Any], rules: WindowRules) -> None:
    clock = HandClock()
    plain, memory = Plain(rules, clock), MemoryWindow(rules, clock)
    run_steps(steps, clock, plain, memory, None)
    for key in KEYS:
        series = memory.series(key)
        rows = zip(series.times_ms.tolist(), series.scores.tolist(), series.refused.tolist(), strict=True)
        assert sorted(rows) == plain.series(key)


@pytest.mark.slow
@settings(
    max_examples=200 if os.environ.get("CI") else 80,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS, rules=WINDOW_RULES, shards=st.sampled_from([1, 1, 3]))
def test_redis_agrees_with_memory(client: redis.Redis, steps: list[Any], rules: WindowRules, shards: int) -> None:
    prefix = f"p-{uuid4().hex[:8]}"
    store = BaselineStore(client, prefix, shards, rules)
    clock = HandClock()
    memory = MemoryWindow(rules, clock)
    window = RedisWindow(client, prefix, rules, shards=shards, address="r", clock=clock)
    run_steps(steps, clock, None, memory, (window, store))
    for key in KEYS:
        assert_same(store, memory, key)


@pytest.mark.slow
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10**6),
    size=st.integers(100, 400),
    batch=st.integers(1, 40),
    mode=st.sampled_from(Mode),
)
def test_long_full_windows_agree_too(client: redis.Redis, seed: int, size: int, batch: int, mode: Mode) -> None:
    """Where most frames are in the middle, and what was found of the edges is kept from one call to the next."""
    random = np.random.default_rng(seed)
    rules = WindowRules(size, 60.0, 50, 60, mode)
    window = RedisWindow(client, f"p-{uuid4().hex[:8]}", rules, address="r")
    memory = MemoryWindow(rules)
    scores = np.round(random.lognormal(0, 0.4, size + 400), int(random.integers(1, 6)))
    times = T0_MS + np.cumsum(random.integers(0, 80, len(scores))) - random.integers(0, 500, len(scores))
    frames = [
        Entry(KEYS[i % 2], f"f{i - int(random.random() < 0.05)}", float(s), int(t), RISING)
        for i, (s, t) in enumerate(zip(scores, times, strict=True))
    ]
    for start in range(0, len(frames), batch):
        part = frames[start : start + batch]
        assert window.judge(part) == memory.judge(part)


def nearly_regular(random: np.random.Generator, frames: int, many: int) -> list[Entry]:
    """Frames of one camera as they come, but every so often one is late, repeated, twice in a batch, anomalous, of an
    equal time, kept out, or after a pause; and once in a while there is a new normal."""
    time_ms, level, found = T0_MS, 1.0, []
    for number in range(many):
        time_ms += 100
        odd = random.random()
        one = low(level + int(random.integers(0, 40)) / 32, number, time_ms=time_ms)
        if odd < 0.01:
            time_ms += int(random.integers(5, 40)) * 100
            one = replace(one, time_ms=time_ms)
        elif odd < 0.05:
            one = replace(one, time_ms=time_ms - 50 * int(random.integers(0, 2 * frames)))
        elif odd < 0.06 and found:
            one = found[-int(random.integers(1, min(len(found), 2 * frames) + 1))]
        elif odd < 0.07 and found:
            one = replace(found[-1], time_ms=time_ms)  # the same name at another time: a clock that was ahead
        elif odd < 0.09:
            one = replace(one, score=500.0)
        elif odd < 0.10 and found:
            one = replace(found[-int(random.integers(1, min(len(found), 9) + 1))], score=1.5, rule=ABSOLUTE)
        elif odd < 0.11:
            one = replace(one, keep_out=True)
        elif odd < 0.12:
            one = replace(one, rule=RISING)
        elif odd < 0.125:
            found += [low(500, 10_000 + number * 50 + n, time_ms=time_ms + n * 5) for n in range(frames + 2)]
            time_ms += frames * 5 + 10
        found.append(one)
    return found


@pytest.mark.slow
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(seed=st.integers(0, 10**6), frames=st.integers(5, 24), batch=st.integers(2, 8), age=st.sampled_from([1, 2, 60]))
def test_batches_for_full_windows_agree(client: redis.Redis, seed: int, frames: int, batch: int, age: int) -> None:
    """Where several frames of a camera are judged in one go, and one among them is not as the others."""
    random = np.random.default_rng(seed)
    rules = WindowRules(frames, float(age), frames - 1, frames, [Mode.MINMAX, Mode.QUANTILE][seed % 2])
    prefix = f"p-{uuid4().hex[:8]}"
    window, memory = RedisWindow(client, prefix, rules, address="r"), MemoryWindow(rules)
    store = BaselineStore(client, prefix, rules=rules)
    entries = nearly_regular(random, frames, 300)
    for start in range(0, len(entries), batch):
        part = entries[start : start + batch]
        assert window.judge(part) == memory.judge(part)
        if start % 5 == 0:
            assert_same(store, memory, CAMERA)
    assert all(client.pttl(key) > 0 for key in client.keys(f"*{prefix}*"))


def assert_same(store: BaselineStore, memory: MemoryWindow, key: BaselineKey) -> None:
    """What is kept of a baseline is the same in both."""
    assert told(store.life(key)) == told(memory.life(key))
    ours, theirs = store.series(key), memory.series(key)
    assert sorted(zip(ours.times_ms, ours.scores, ours.refused, strict=True)) == sorted(
        zip(theirs.times_ms, theirs.scores, theirs.refused, strict=True)
    )


def told(life: Life) -> tuple[Any, ...]:
    return tuple(getattr(life, name) for name in Life.__slots__)
