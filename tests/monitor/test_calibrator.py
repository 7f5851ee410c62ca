"""The calibrator: reads what is new and no more, keeps its tails, and outlives everything that may happen to Redis."""

from __future__ import annotations

import builtins
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import redis
from structlog.testing import capture_logs

from monitor.judging import calibrator as rounds
from monitor.judging import following as module
from monitor.judging.baseline.keys import places_of
from monitor.judging.baseline.port import BaselineKey, Criterion, Entry, Mode, Rule, WindowRules
from monitor.judging.baseline.redis_window import RedisWindow
from monitor.judging.baseline.series import Series
from monitor.judging.baseline.store import BaselineStore
from monitor.judging.calibrator import Calibrator
from monitor.judging.thresholds.sources import Alarmed
from monitor.judging.thresholds.statistic import AlarmRule
from monitor.judging.thresholds.tail import Tail

T0_MS = 1_700_000_000_000
KEY = BaselineKey("line-1", "0123456789ab")
RULE = AlarmRule(cooldown_s=2)
STEP_MS = 500
WISHED = 200.0


@dataclass
class FakeLife:
    epoch: int
    newest_ms: int | None


@dataclass
class FakeStore:
    """A window of the last 2000 frames, in memory."""

    epoch: int = 0
    times: builtins.list[int] = field(default_factory=list)
    scores: builtins.list[float] = field(default_factory=list)
    kept: dict[str, Any] | None = None
    kept_epoch: int = 0
    away: bool = False
    asked_since: builtins.list[int] = field(default_factory=list)

    def feed(self, scores: Sequence[float] | np.ndarray) -> None:
        start = self.times[-1] + STEP_MS if self.times else T0_MS
        self.times = [*self.times, *(start + STEP_MS * i for i in range(len(scores)))][-2000:]
        self.scores = [*self.scores, *scores][-2000:]

    def reset(self) -> None:
        self.epoch, self.times, self.scores = self.epoch + 1, [], []

    def _check(self) -> None:
        if self.away:
            raise redis.ConnectionError("away")

    def list(self) -> builtins.list[BaselineKey]:
        self._check()
        return [KEY] if self.times or self.kept else []

    def life(self, key: BaselineKey) -> FakeLife:
        self._check()
        return FakeLife(self.epoch, self.times[-1] if self.times else None)

    def series(self, key: BaselineKey, since_ms: int = 0) -> Series:
        self._check()
        self.asked_since.append(since_ms)
        times = np.array(self.times, dtype=np.int64)
        new = times >= since_ms
        return Series(times[new], np.array(self.scores)[new], np.zeros(int(new.sum()), dtype=np.bool_))

    def tail(self, key: BaselineKey) -> dict[str, Any] | None:
        self._check()
        return self.kept if self.kept_epoch == self.epoch else None

    def save_tail(self, key: BaselineKey, document: dict[str, Any], epoch: int) -> bool:
        self._check()
        if epoch != self.epoch:
            return False
        self.kept, self.kept_epoch = json.loads(json.dumps(document, allow_nan=False)), epoch
        return True


@dataclass
class Stores:
    """One in memory for each baseline; `broken`: what is raised for one of them."""

    each: dict[BaselineKey, FakeStore]
    broken: dict[BaselineKey, Exception] = field(default_factory=dict)

    def _of(self, key: BaselineKey) -> FakeStore:
        if key in self.broken:
            raise self.broken[key]
        return self.each[key]

    def list(self) -> builtins.list[BaselineKey]:
        return [*self.each]

    def life(self, key: BaselineKey) -> FakeLife:
        return self._of(key).life(key)

    def series(self, key: BaselineKey, since_ms: int = 0) -> Series:
        return self._of(key).series(key, since_ms)

    def tail(self, key: BaselineKey) -> dict[str, Any] | None:
        return self._of(key).tail(key)

    def save_tail(self, key: BaselineKey, document: dict[str, Any], epoch: int) -> bool:
        return self._of(key).save_tail(key, document, epoch)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fits and saves in every round."""
    monkeypatch.setattr(module, "FIT_EVERY_S", 0.0)
    monkeypatch.setattr(module, "SAVE_EVERY_S", 0.0)


def no_alarms(camera: str, from_ms: int, to_ms: int) -> Alarmed:
    return Alarmed([])


def wish(camera: str) -> float:
    return WISHED


def calibrator(store: Any, alarms: Any = no_alarms, method: Any = "spot") -> Calibrator:
    return Calibrator(store, lambda: [KEY], wish, alarms, RULE, method)


def hours(store: FakeStore, calibrators: Calibrator, count: float, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(round(count * 7200 / 400)):
        store.feed(rng.standard_normal(400))
        calibrators.look_round()


@pytest.mark.parametrize("method", ["spot", "dspot", "conformal"])
def test_a_threshold_is_found_once_the_sample_is_there(method: str) -> None:
    store = FakeStore()
    looking = calibrator(store, method=method)
    looking.look_round()
    assert looking.found[KEY].threshold.value is None
    hours(store, looking, 0.05)
    small = looking.found[KEY].threshold
    assert small.value is None and small.watched_s > 0
    hours(store, looking, 2)
    found = looking.found[KEY].threshold
    assert found.value is not None and 0.5 < found.value < 4
    assert (found.method, found.wished_per_day) == (method, WISHED)
    assert found.watched_s == pytest.approx(2.05 * 3600, abs=60)


def test_it_reads_only_what_is_new_and_misses_nothing() -> None:
    store = FakeStore()
    looking = calibrator(store)
    hours(store, looking, 1)
    assert store.asked_since.count(0) <= 2
    reads = len(store.asked_since)
    looking.look_round()
    looking.look_round()
    tail = Tail.from_dict(store.kept or {})
    assert tail.frames == pytest.approx(7200, abs=15)  # the newest five seconds are left for the next time
    assert len(store.asked_since) - reads <= 2 and min(store.asked_since[-2:]) > store.times[-1] - 10_000


def test_a_new_process_goes_on_where_the_last_one_ended() -> None:
    store = FakeStore()
    first = calibrator(store)
    hours(store, first, 2)
    second = calibrator(store)
    second.look_round()
    assert second.found[KEY].threshold.value == pytest.approx(first.found[KEY].threshold.value)
    hours(store, second, 0.5, seed=1)
    assert second.found[KEY].threshold.watched_s == pytest.approx(2.5 * 3600, abs=60)


def test_a_reset_begins_the_tail_anew_and_tells_its_epoch() -> None:
    store = FakeStore()
    looking = calibrator(store)
    hours(store, looking, 2)
    assert looking.found[KEY].epoch == 0
    store.reset()
    looking.look_round()
    assert looking.found[KEY].epoch == 1 and looking.found[KEY].threshold.value is None
    hours(store, looking, 2, seed=1)
    assert looking.found[KEY].threshold.value is not None
    assert looking.found[KEY].threshold.watched_s == pytest.approx(7200, abs=60)


def test_what_was_read_across_a_reset_is_thrown_away() -> None:
    store = FakeStore()
    looking = calibrator(store)
    hours(store, looking, 1)
    saved = store.save_tail
    store.save_tail = lambda *_: False  # type: ignore[method-assign]
    hours(store, looking, 0.1)
    store.save_tail = saved  # type: ignore[method-assign]
    store.reset()
    hours(store, looking, 0.5, seed=2)
    assert looking.found[KEY].threshold.watched_s == pytest.approx(1800, abs=60)


def test_while_redis_is_away_everything_stays_and_is_told_once() -> None:
    store = FakeStore()
    looking = calibrator(store)
    hours(store, looking, 2)
    before = looking.found
    store.away = True
    with capture_logs() as logs:
        for _ in range(5):
            looking.look_round()
    assert dict(looking.found) == dict(before)
    assert [entry["event"] for entry in logs] == ["thresholds_wait_for_redis"]
    store.away = False
    with capture_logs() as logs:
        hours(store, looking, 0.2)
    assert [entry["event"] for entry in logs] == ["thresholds_go_on"]
    assert looking.found[KEY].threshold.watched_s > before[KEY].threshold.watched_s


def test_a_kept_tail_that_cannot_be_read_is_begun_anew() -> None:
    store = FakeStore(kept={"version": 99})
    looking = calibrator(store)
    with capture_logs() as logs:
        hours(store, looking, 0.5)
    assert "threshold_begun_anew" in [entry["event"] for entry in logs]
    assert looking.found[KEY].threshold.peaks > 0


def test_alarms_stay_out_until_somebody_calls_them_false() -> None:
    store, alarms = FakeStore(), [(0, 0)]
    looking = calibrator(store, lambda *_: Alarmed(alarms))
    hours(store, looking, 1)
    with_all = looking.found[KEY].threshold
    peaks = Tail.from_dict(store.kept or {}).peaks
    highest = max(peaks, key=lambda p: p.value)
    alarms[:] = [(highest.at_ms - 1000, highest.at_ms + 1000)]
    hours(store, looking, 0.1, seed=3)
    marked = {p.at_ms: p.alarm for p in Tail.from_dict(store.kept or {}).peaks}
    assert marked[highest.at_ms] and sum(marked.values()) == 1
    alarms.clear()
    hours(store, looking, 0.1, seed=4)
    assert not any(p.alarm for p in Tail.from_dict(store.kept or {}).peaks)
    assert looking.found[KEY].threshold.peaks > with_all.peaks


def test_a_changed_wish_counts_at_once_and_a_changed_rule_begins_anew() -> None:
    store, wished = FakeStore(), {KEY.camera: WISHED}
    looking = Calibrator(store, lambda: [KEY], wished.__getitem__, no_alarms, RULE)
    hours(store, looking, 3)
    before = looking.found[KEY].threshold.value
    wished[KEY.camera] = 20.0
    looking.look_round()
    after = looking.found[KEY].threshold
    assert after.wished_per_day == 20.0 and before is not None
    assert after.value is not None and after.value > before
    looking.use(AlarmRule(frames=1, of=1), "spot")
    hours(store, looking, 0.1)
    assert looking.found[KEY].threshold.watched_s < 2000


def test_the_threshold_of_dspot_moves_with_the_mean() -> None:
    store = FakeStore()
    looking = calibrator(store, method="dspot")
    hours(store, looking, 1)
    low = looking.found[KEY].threshold.value
    store.feed(np.random.default_rng(9).standard_normal(600) * 0.2 + 1.0)
    looking.look_round()
    high = looking.found[KEY].threshold.value
    assert low is not None and high is not None and high - low > 0.3


def test_a_round_with_nothing_new_costs_next_to_nothing() -> None:
    store = FakeStore()
    looking = calibrator(store)
    hours(store, looking, 1)
    looking.look_round()
    started = time.process_time()
    for _ in range(200):
        looking.look_round()
    assert (time.process_time() - started) / 200 < 0.005


def test_the_thread_keeps_going_through_whatever_its_callers_do() -> None:
    store = FakeStore()
    store.feed(np.random.default_rng(0).standard_normal(1000))
    rounds, enough = [0], threading.Event()

    def keys() -> list[BaselineKey]:
        rounds[0] += 1
        if rounds[0] == 2:
            raise RuntimeError("a fault of the caller")
        if rounds[0] >= 4:
            enough.set()
        return [KEY]

    looking = Calibrator(store, keys, wish, no_alarms, RULE, every_s=0.01)
    looking.start()
    try:
        assert enough.wait(30)
    finally:
        looking.stop()
    assert looking.found[KEY].threshold.watched_s > 400
    assert store.kept is not None


def test_with_a_real_window_in_redis(redis_client: redis.Redis, prefix: str) -> None:
    rules = WindowRules(max_frames=600, max_age_s=1e9, warm_up_frames=50, relearn_after=10_000, mode=Mode.QUANTILE)
    window = RedisWindow(redis_client, prefix, rules, address="the test's")
    store = BaselineStore(redis_client, prefix)
    looking = Calibrator(store, lambda: [KEY], lambda camera: 400.0, no_alarms, RULE)
    scores = np.random.default_rng(5).standard_normal(9_000)
    start_ms = time.time_ns() // 1_000_000 - 9_000 * STEP_MS
    rule = Rule(Criterion.ABSOLUTE, 2.0, 0.0, 1.0)  # what is above is refused, and belongs to no alarm
    for begin in range(0, 9_000, 300):
        window.judge(
            [Entry(KEY, str(i), float(scores[i]), start_ms + i * STEP_MS, rule) for i in range(begin, begin + 300)]
        )
        looking.look_round()
    found = looking.found[KEY]
    assert found.epoch == store.life(KEY).epoch
    assert found.threshold.value is not None
    assert found.threshold.watched_s == pytest.approx(4_500, abs=20)
    kept = store.tail(KEY)
    assert kept is not None and Tail.from_dict(kept).frames >= 8_900
    again = Calibrator(store, lambda: [KEY], lambda camera: 400.0, no_alarms, RULE)
    again.look_round()
    assert again.found[KEY].threshold.value == pytest.approx(found.threshold.value, abs=0.05)
    store.reset(KEY, "the test")
    looking.look_round()
    assert looking.found[KEY].threshold.value is None and looking.found[KEY].epoch == store.life(KEY).epoch


def test_alarms_that_nobody_remembers_stay_alarms() -> None:
    """The alerts of days ago are kept no more; their peaks must not turn into those of normal parts."""
    store, known = FakeStore(), [Alarmed([])]
    looking = calibrator(store, lambda *_: known[0])
    hours(store, looking, 1)
    peaks = sorted(Tail.from_dict(store.kept or {}).peaks, key=lambda p: p.value)
    old = peaks[-1]
    known[0] = Alarmed([(old.at_ms - 1000, old.at_ms + 1000)])
    hours(store, looking, 0.1, seed=3)
    value = looking.found[KEY].threshold.value
    known[0] = Alarmed([], since_ms=old.at_ms + 1)
    looking.look_round()
    hours(store, looking, 0.1, seed=4)
    assert [p.at_ms for p in Tail.from_dict(store.kept or {}).peaks if p.alarm] == [old.at_ms]
    assert value is not None
    known[0] = Alarmed([], since_ms=old.at_ms)
    hours(store, looking, 0.1, seed=5)
    assert not any(p.alarm for p in Tail.from_dict(store.kept or {}).peaks)


def test_what_is_kept_counts_before_the_first_frame_is_judged() -> None:
    store, fed = FakeStore(), [KEY]
    first = calibrator(store)
    hours(store, first, 2)
    second = Calibrator(store, list, wish, no_alarms, RULE)
    second.start()
    try:
        found = second.found[KEY].threshold
    finally:
        second.stop()
    assert found.value == pytest.approx(first.found[KEY].threshold.value)
    third = Calibrator(store, lambda: fed, wish, no_alarms, RULE)
    third.look_round()
    fed.clear()
    third.look_round()
    assert third.found[KEY].threshold.value == pytest.approx(found.value)


def test_what_another_worker_has_found_is_there_when_a_camera_comes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "LIST_EVERY_S", 0.0)
    store, wished = FakeStore(), {KEY.camera: WISHED}
    theirs, ours = calibrator(store), Calibrator(store, list, wished.__getitem__, no_alarms, RULE)
    ours.look_round()
    assert not ours.found
    hours(store, theirs, 2)
    ours.look_round()
    before = ours.found[KEY].threshold
    assert before.value == pytest.approx(theirs.found[KEY].threshold.value)
    wished[KEY.camera] = 20.0
    ours.look_round()
    assert ours.found[KEY].threshold.wished_per_day == 20.0
    store.reset()
    ours.look_round()
    assert not ours.found


def test_a_baseline_that_is_gone_is_forgotten_after_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "LIST_EVERY_S", 0.0)
    store, fed = FakeStore(), [KEY]
    looking = Calibrator(store, lambda: fed, wish, no_alarms, RULE)
    hours(store, looking, 0.5)
    fed.clear()
    store.times, store.scores, store.kept = [], [], None
    looking.look_round()
    assert KEY in looking.found
    monkeypatch.setattr(rounds, "KNOWN_FOR_S", 0.0)
    looking.look_round()
    assert not looking.found


def test_products_that_take_turns_each_get_a_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is not current is no longer held here, so it has to be kept when it leaves."""
    monkeypatch.setattr(module, "SAVE_EVERY_S", 3600.0)
    keys = [BaselineKey("line-1", "0123456789ab", product) for product in ("a", "b")]
    stores = Stores({key: FakeStore() for key in keys})
    current: list[BaselineKey] = []
    looking = Calibrator(stores, lambda: current, wish, no_alarms, RULE)
    rng = np.random.default_rng(0)
    for _ in range(36):
        for key in keys:
            current[:] = [key]
            stores.each[key].feed(rng.standard_normal(400))
            looking.look_round()
    looking.look_round()
    for key in keys:
        assert looking.found[key].threshold.value is not None
        assert looking.found[key].threshold.watched_s == pytest.approx(7200, abs=60)
    assert stores.each[keys[0]].kept is not None


def test_one_bad_baseline_keeps_no_other_from_its_threshold() -> None:
    bad, good = BaselineKey("line-0", "0123456789ab"), KEY
    stores = Stores({bad: FakeStore(), good: FakeStore()})
    looking = Calibrator(stores, lambda: [bad, good], wish, no_alarms, RULE)
    stores.each[bad].feed(np.random.default_rng(1).standard_normal(1000))
    looking.look_round()
    before = looking.found[bad]
    stores.broken[bad] = redis.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value")
    with capture_logs() as logs:
        hours(stores.each[good], looking, 2)
    assert looking.found[good].threshold.value is not None
    assert looking.found[bad] == before
    told = [(entry["event"], entry["camera"]) for entry in logs if entry["event"] != "threshold_found"]
    assert told == [("threshold_stays_as_it_is", "line-0")]
    looking.stop()
    assert stores.each[good].kept is not None


def test_rule_and_method_change_together() -> None:
    """Another thread sets them, in the middle of a round as well."""
    keys = [BaselineKey(f"line-{n}", "0123456789ab") for n in range(2)]
    stores = Stores({key: FakeStore() for key in keys})
    rng = np.random.default_rng(0)
    for store in stores.each.values():
        store.feed(rng.standard_normal(1000))

    def alarms(camera: str, from_ms: int, to_ms: int) -> Alarmed:
        looking.use(AlarmRule(frames=1, of=1), "dspot")
        return Alarmed([])

    looking = Calibrator(stores, lambda: keys, wish, alarms, RULE)
    with capture_logs() as logs:
        looking.look_round()
        assert {looking.found[key].threshold.method for key in keys} == {"spot"}
        looking.look_round()
        assert {looking.found[key].threshold.method for key in keys} == {"dspot"}
    assert "threshold_stays_as_it_is" not in [entry["event"] for entry in logs]


@pytest.mark.parametrize("damage", ["json", "type"])
def test_a_damaged_tail_in_redis_is_begun_anew(redis_client: redis.Redis, prefix: str, damage: str) -> None:
    rules = WindowRules(max_frames=600, max_age_s=1e9, warm_up_frames=50, relearn_after=10_000, mode=Mode.QUANTILE)
    window = RedisWindow(redis_client, prefix, rules, address="the test's")
    store = BaselineStore(redis_client, prefix)
    start_ms = time.time_ns() // 1_000_000 - 600 * STEP_MS
    rule = Rule(Criterion.ABSOLUTE, 9.0, 0.0, 1.0)
    scores = np.random.default_rng(5).standard_normal(600)
    window.judge([Entry(KEY, str(i), float(score), start_ms + i * STEP_MS, rule) for i, score in enumerate(scores)])
    place = places_of(prefix, 1, KEY).tail
    if damage == "json":
        redis_client.set(place, f"{store.life(KEY).epoch} {{no json")
    else:
        redis_client.lpush(place, "no text")
    looking = Calibrator(store, lambda: [KEY], wish, no_alarms, RULE)
    looking.look_round()
    assert looking.found[KEY].threshold.watched_s > 200
    assert store.tail(KEY) is not None
