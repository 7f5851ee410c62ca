"""What people and the calibrator do with baselines, on a real server and while workers run."""

from __future__ import annotations

import copy
import json
import threading
from typing import Any

import numpy as np
import pytest
import redis
from hypothesis import HealthCheck, given, settings

from monitor.judging.baseline.keys import index_key, places_of
from monitor.judging.baseline.life import Life
from monitor.judging.baseline.memory_window import MemoryWindow
from monitor.judging.baseline.port import BaselineKey, Fate, Phase, WindowRules
from monitor.judging.baseline.redis_window import RedisWindow
from monitor.judging.baseline.series import Distribution
from monitor.judging.baseline.store import BaselineStore
from tests.monitor.baselines import CAMERA, STEPS, T0_MS, entry

RULES = WindowRules(max_frames=8, max_age_s=100.0, warm_up_frames=3, relearn_after=6)


@pytest.fixture
def window(redis_client: redis.Redis, prefix: str) -> RedisWindow:
    return RedisWindow(redis_client, prefix, RULES, address="r")


@pytest.fixture
def store(redis_client: redis.Redis, prefix: str) -> BaselineStore:
    return BaselineStore(redis_client, prefix)


@pytest.fixture
def fed(window: RedisWindow) -> RedisWindow:
    """Six frames in the window, two refused."""
    window.judge([entry(1 + n / 8, n) for n in range(6)] + [entry(8, 6), entry(9, 7)])
    return window


def test_nobody_has_fed_it(store: BaselineStore) -> None:
    assert store.list() == []
    assert store.life(CAMERA) == Life(CAMERA, Phase.COLD, 0, 0, 0, 0, False, 0)
    assert len(store.series(CAMERA)) == 0
    assert store.distribution(CAMERA) == Distribution((), ())
    assert store.tail(CAMERA) is None
    assert store.forget_between("c", 0, 2**52) == 0
    with pytest.raises(KeyError, match="no baseline of camera c"):
        store.export(CAMERA)
    store.thaw(CAMERA, "me")
    assert store.list() == []


def test_its_life_is_told(fed: RedisWindow, store: BaselineStore) -> None:
    life = store.life(CAMERA)
    assert life == Life(
        CAMERA, Phase.DRIFTING, 6, 3, 2, 6, False, 0, began_ms=T0_MS, ready_ms=T0_MS + 200, newest_ms=T0_MS + 700
    )
    assert BaselineStore(store._client, store._prefix, rules=WindowRules(9, 1, 7, 9)).life(CAMERA).needed == 7


def test_list_names_all_and_forgets_what_has_expired(
    window: RedisWindow, store: BaselineStore, redis_client: redis.Redis, prefix: str
) -> None:
    keys = [BaselineKey("a", "m"), BaselineKey("a", "m", "p:%"), BaselineKey("ü", "m n")]
    window.judge([entry(1, n, key=key) for n, key in enumerate(reversed(keys))])
    assert store.list() == keys
    redis_client.delete(places_of(prefix, 1, keys[1]).state)
    redis_client.hset(index_key(prefix, 0), "gibberish", "1")
    assert store.list() == [keys[0], keys[2]]
    assert redis_client.hlen(index_key(prefix, 0)) == 2
    # a worker that goes on with it brings it back
    window.judge([entry(1, 5, key=keys[1])])
    assert store.list() == keys


def test_reset_empties_and_workers_notice(fed: RedisWindow, store: BaselineStore, redis_client: redis.Redis) -> None:
    store.save_tail(CAMERA, {"peaks": [1]}, 0)
    store.freeze(CAMERA, "me")
    store.reset(CAMERA, "me")
    life = store.life(CAMERA)
    assert (life.phase, life.count, life.epoch, life.frozen, life.refused) == (Phase.COLD, 0, 1, False, 0)
    assert life.needed == 3  # the rules are the workers', and stay
    assert store.tail(CAMERA) is None
    places = places_of(store._prefix, 1, CAMERA)
    assert redis_client.exists(places.score, places.time, places.outscore, places.outtime, places.tail) == 0
    assert redis_client.pttl(places.state) > 0
    answer = fed.judge([entry(1, 0)])[0]  # also one that was there before
    assert (answer.epoch, answer.count, answer.fate) == (1, 0, Fate.ENTERED)
    store.reset(CAMERA, "me")
    assert store.life(CAMERA).epoch == 2


def test_frozen_it_neither_learns_nor_forgets(fed: RedisWindow, store: BaselineStore) -> None:
    store.freeze(CAMERA, "me")
    before = store.export(CAMERA)
    ranges = fed.judge([entry(1, 50), entry(90, 51), entry(1, 52, time_ms=T0_MS + 10**9)])
    assert {r.fate for r in ranges} == {Fate.FROZEN} and {r.count for r in ranges} == {6}
    assert all(r.frozen for r in ranges)
    after = store.export(CAMERA)
    assert {**after, "exported_ms": 0} == {**before, "exported_ms": 0}
    store.thaw(CAMERA, "me")
    answer = fed.judge([entry(1, 53, time_ms=T0_MS + 10**9)])[0]
    assert (answer.phase, answer.fate, answer.frozen) == (Phase.STALE, Fate.ENTERED, False)


def test_what_is_frozen_before_the_first_frame_stays_cold(window: RedisWindow, store: BaselineStore) -> None:
    store.freeze(CAMERA, "me")
    assert [(r.phase, r.fate) for r in window.judge([entry(1, 0)])] == [(Phase.COLD, Fate.FROZEN)]
    assert store.list() == [CAMERA]
    store.thaw(CAMERA, "me")
    assert window.judge([entry(1, 0)])[0].fate is Fate.ENTERED


def test_the_series_holds_the_window_and_what_was_refused(fed: RedisWindow, store: BaselineStore) -> None:
    series = store.series(CAMERA)
    assert series.times_ms.tolist() == [T0_MS + n * 100 for n in range(8)]
    assert series.scores.tolist() == [*(1 + n / 8 for n in range(6)), 8, 9]
    assert series.refused.tolist() == [False] * 6 + [True] * 2
    assert (series.times_ms.dtype, series.scores.dtype, series.refused.dtype) == (np.int64, np.float64, np.bool_)
    assert store.series(CAMERA, T0_MS + 500).scores.tolist() == [1.625, 8, 9]


def test_the_distribution_counts_the_window_alone(fed: RedisWindow, store: BaselineStore) -> None:
    found = store.distribution(CAMERA)
    assert (len(found.edges), len(found.counts), sum(found.counts)) == (41, 40, 6)
    assert (found.edges[0], found.edges[-1]) == (1, 1.625)
    assert store.distribution(CAMERA, 1).counts == (6,)
    with pytest.raises(ValueError, match="bins"):
        store.distribution(CAMERA, 0)


def test_marked_frames_leave_whatever_the_product(fed: RedisWindow, store: BaselineStore) -> None:
    product, other = BaselineKey("c", "model", "p"), BaselineKey("d", "model")
    fed.judge([entry(1, n, key=key) for key in (product, other) for n in range(6)])
    fed.judge([entry(9, 6, key=product)])
    assert store.forget_between("c", T0_MS + 300, T0_MS + 600) == 3 + 1 + 3 + 1
    assert store.series(CAMERA).scores.tolist() == [1, 1.125, 1.25, 9]
    assert (store.life(CAMERA).refused, store.life(product).refused) == (1, 0)
    assert store.life(other).count == 6
    answer = fed.judge([entry(1, 20)])[0]
    assert (answer.count, answer.greatest) == (3, 1.25)


def test_marking_a_frame_at_the_edge_of_a_full_window_moves_the_edge(fed: RedisWindow, store: BaselineStore) -> None:
    """The edges are kept from call to call, and must not outlive what made them."""
    fed.judge([entry(1.9, n) for n in range(8, 12)])
    fed.judge([entry(1.5, n) for n in range(12, 16)])
    assert fed.judge([entry(1, 99, keep_out=True)])[0].greatest == 1.9
    assert store.forget_between("c", T0_MS + 800, T0_MS + 1100) == 4
    fed.judge([entry(1.4, n) for n in range(16, 20)])
    assert fed.judge([entry(1, 99, keep_out=True)])[0].greatest == 1.5


def test_a_tail_is_kept_while_the_epoch_lasts(
    fed: RedisWindow, store: BaselineStore, redis_client: redis.Redis
) -> None:
    document = {"level": 0.1 + 0.2, "peaks": [1.5, 2], "name": "ü\n%d"}
    assert store.save_tail(CAMERA, document, 0)
    assert store.tail(CAMERA) == document
    assert redis_client.pttl(places_of(store._prefix, 1, CAMERA).tail) > 0
    assert not store.save_tail(CAMERA, {}, 1)
    assert store.tail(CAMERA) == document
    fed.judge([entry(9, n) for n in range(20, 24)])
    assert store.life(CAMERA).epoch == 1
    assert store.tail(CAMERA) is None
    assert not store.save_tail(CAMERA, document, 0)
    assert store.save_tail(CAMERA, document, 1)
    assert not store.save_tail(BaselineKey("never", "seen"), {}, 0)
    with pytest.raises(ValueError):
        store.save_tail(CAMERA, {"level": float("nan")}, 1)


def test_an_export_put_elsewhere_goes_on_as_the_first_would(
    fed: RedisWindow, store: BaselineStore, redis_client: redis.Redis, prefix: str
) -> None:
    store.save_tail(CAMERA, {"peaks": [1, 2.5]}, 0)
    document = json.loads(json.dumps(store.export(CAMERA), allow_nan=False))
    assert (document["camera"], document["model"], document["product"]) == ("c", "model", "")
    there = BaselineKey("other", "model", "p")
    store.load(there, document, "me")
    again = store.export(there)
    for field in ("state", "window", "refused", "tail"):
        assert again[field] == document[field], field
    life = store.life(there)
    assert (life.epoch, life.needed, life.refused, life.count) == (1, 3, 2, 6)
    follow = [entry(s, n) for n, s in enumerate([1.5, 9, 1.7, 3, 1, 1, 9], start=5)]
    ours = fed.judge(follow)
    theirs = fed.judge([entry(e.score, int(e.identity[1:]), key=there) for e in follow])
    assert [(r.count, r.least, r.greatest, r.at_least, r.fate) for r in ours] == [
        (r.count, r.least, r.greatest, r.at_least, r.fate) for r in theirs
    ]
    assert there in store.list()
    assert not redis_client.keys(f"*{prefix}*loading*")
    assert all(redis_client.pttl(key) > 0 for key in redis_client.keys(f"*{prefix}*"))


def test_an_import_replaces_what_is_there_and_workers_notice(fed: RedisWindow, store: BaselineStore) -> None:
    document = store.export(CAMERA)
    fed.judge([entry(1.1, n) for n in range(10, 30)])
    store.freeze(CAMERA, "me")
    store.load(CAMERA, document)
    life = store.life(CAMERA)
    assert (life.count, life.refused, life.epoch, life.frozen) == (6, 2, 1, False)
    assert fed.judge([entry(1, 0)])[0].fate is Fate.REPEATED


def test_an_empty_baseline_can_be_moved_too(window: RedisWindow, store: BaselineStore) -> None:
    store.freeze(CAMERA, "me")
    there = BaselineKey("other", "model")
    store.load(there, store.export(CAMERA))
    assert store.life(there).frozen
    assert store.life(there).phase is Phase.COLD


def test_a_large_window_is_moved_in_pieces(redis_client: redis.Redis, store: BaselineStore, prefix: str) -> None:
    window = RedisWindow(redis_client, prefix, WindowRules(12_000, 1e6, 100, 1000), address="r")
    for start in range(0, 12_000, 2000):
        window.judge([entry(1 + (n % 97) / 100, n, time_ms=T0_MS + n) for n in range(start, start + 2000)])
    document = store.export(CAMERA)
    store.load(CAMERA, document)
    assert store.export(CAMERA)["window"] == document["window"]
    assert store.forget_between("c", T0_MS, T0_MS + 10_999) == 11_000


def put(path: str, value: Any) -> Any:
    """A change to a document: the field at `path` becomes `value`."""

    def change(document: dict[str, Any]) -> dict[str, Any]:
        found: Any = document
        *way, last = path.split(".")
        for step in way:
            found = found[int(step) if step.isdigit() else step]
        found[int(last) if last.isdigit() else last] = value
        return document

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("version", 2), "version: expected 3, found 2"),
        (put("format", "other"), "format: expected 'linewatch-baseline', found 'other'"),
        (put("model", "another"), "model: expected 'model', found 'another'"),
        (put("window.scores.1", float("nan")), r"window.scores.1: .*finite"),
        (put("refused.scores.0", float("inf")), r"refused.scores.0: .*finite"),
        (put("window.scores.1", "1"), r"window.scores.1: .*number"),
        (put("window.scores.1", 1e301), r"window.scores.1: .*1e\+300"),
        (put("window.scores", [1.0]), "window: identities, times_ms and scores .* found 6, 6 and 1"),
        (put("window.times_ms.0", 1.5), "window.times_ms.0: .*integer"),
        (put("window.times_ms.0", 2**60), "window.times_ms.0: .*"),
        (put("window.times_ms.0", 2**52), "window.times_ms: .*future"),
        (put("state.newest_ms", 2**52), "state.newest_ms: .*future"),
        (put("window.identities.0", "f1"), "window: identities: the same one is there twice"),
        (put("window.identities.0", ""), "window.identities.0: .*at least 1"),
        (put("window.identities.0", "f7"), "refused: identities: 'f7' is in the window as well"),
        (put("state.refused", -1), "state.refused: .*greater than or equal to 0, found -1"),
        (put("state.frozen", "yes"), "state.frozen: .*boolean"),
        (put("state.kept", {"count": 1}), "state.kept.least: Field required"),
        (
            put("state.kept", dict(count=1, least=3.0, q_low=1.0, q_high=2.0, greatest=4.0, at_ms=0)),
            "state.kept: expected least <= q_low",
        ),
        (put("state.evil", 1), "state.evil: Extra inputs"),
        (put("rules", "a b c"), "rules: expected what an export gives"),
        (put("tail", [1]), "tail: .*dict"),
        (lambda _: [], "expected a document of a baseline, found list"),
        (lambda _: {}, "format: expected 'linewatch-baseline', found None"),
    ],
)
def test_a_document_that_no_window_can_hold_is_refused(
    fed: RedisWindow, store: BaselineStore, redis_client: redis.Redis, prefix: str, change: Any, message: str
) -> None:
    document = store.export(CAMERA)
    bad = change(copy.deepcopy(document))
    with pytest.raises(ValueError, match=message):
        store.load(CAMERA, bad)
    assert store.export(CAMERA)["window"] == document["window"]
    assert store.life(CAMERA).epoch == 0
    assert not redis_client.keys(f"*{prefix}*loading*")


def test_absurd_sizes_are_refused(fed: RedisWindow, store: BaselineStore, monkeypatch: pytest.MonkeyPatch) -> None:
    document = store.export(CAMERA)
    many = 1_000_001
    document["window"] = {"identities": ["x"] * many, "times_ms": [0] * many, "scores": [0.0] * many}
    with pytest.raises(ValueError, match=r"window\.identities: .*at most 1000000"):
        store.load(CAMERA, document)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=STEPS)
def test_whatever_happened_to_it_it_can_be_moved(redis_client: redis.Redis, store: BaselineStore, steps: Any) -> None:
    """An export of anything that a window can become is a document that is taken again, and judges the same."""
    prefix = store._prefix
    redis_client.delete(*(redis_client.keys(f"*{prefix}*") or ["nothing"]))
    window = RedisWindow(redis_client, prefix, RULES, address="r")
    for step in steps:
        if isinstance(step, list):
            window.judge(step)
    for key in store.list():
        document = store.export(key)
        there = BaselineKey("there", key.model)
        store.load(there, document)
        for field in ("state", "window", "refused"):
            assert store.export(there)[field] == document[field]


@pytest.mark.slow
def test_all_may_be_done_while_workers_run(redis_client: redis.Redis, prefix: str, store: BaselineStore) -> None:
    """Two workers judge; meanwhile everything is done to the baseline again and again. Nothing fails, a reset is seen
    by both, and in the end the window is sound."""
    rules = WindowRules(60, 1e6, 10, 50)
    over, failures = threading.Event(), []
    epochs: dict[int, set[int]] = {0: set(), 1: set()}

    def work(number: int) -> None:
        window = RedisWindow(redis_client, prefix, rules, address="r")
        turn = 0
        try:
            while not over.is_set():
                turn += 1
                base = turn * 20 + number * 10
                ranges = window.judge([entry(3 if n % 7 == 0 else 1 + n / 100, base + n) for n in range(10)])
                assert all(r.count <= 60 for r in ranges)
                epochs[number] |= {r.epoch for r in ranges}
        except BaseException as error:
            failures.append(error)

    workers = [threading.Thread(target=work, args=(n,)) for n in (0, 1)]
    for worker in workers:
        worker.start()
    try:
        for turn in range(40):
            store.freeze(CAMERA, "me")
            document = store.export(CAMERA)
            store.thaw(CAMERA, "me")
            store.load(CAMERA, document)
            store.save_tail(CAMERA, {"turn": turn}, store.life(CAMERA).epoch)
            store.forget_between("c", T0_MS, T0_MS + turn * 100)
            assert len(store.series(CAMERA)) <= 120
            store.distribution(CAMERA)
            store.reset(CAMERA, "me")
            store.list()
    finally:
        over.set()
        for worker in workers:
            worker.join(60)
    assert not failures
    assert all(len(seen) > 1 for seen in epochs.values())
    places = places_of(prefix, 1, CAMERA)
    assert set(redis_client.zrange(places.score, 0, -1)) == set(redis_client.zrange(places.time, 0, -1))
    last = RedisWindow(redis_client, prefix, rules, address="r").judge([entry(1, 10**6, keep_out=True)])[0]
    assert last.epoch >= 80
    assert last.count == redis_client.zcard(places.time)


def test_a_memory_window_does_what_the_store_does(fed: RedisWindow, store: BaselineStore) -> None:
    memory = MemoryWindow(RULES)
    memory.judge([entry(1 + n / 8, n) for n in range(6)] + [entry(8, 6), entry(9, 7)])
    assert memory.life(CAMERA) == store.life(CAMERA)
    assert memory.series(CAMERA, T0_MS + 300).scores.tolist() == store.series(CAMERA, T0_MS + 300).scores.tolist()
