"""The rolling window on a real server, against a plain reference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.embedded import EmbeddedValkey
from monitor.judging.window import Entry, Fate, Range, RedisWindow, WindowUnavailable

T0_MS = 1_700_000_000_000


@dataclass
class Reference:
    """The window as one would write it down: a list, no cleverness."""

    max_frames: int
    max_age_ms: int
    relearn_after: int

    def __post_init__(self) -> None:
        self.cameras: dict[str, list[tuple[int, str, float]]] = {}
        self.refused: dict[str, int] = {}

    def judge(self, entry: Entry) -> Range:
        kept = self.cameras.setdefault(entry.camera, [])
        newest = max([t for t, _, _ in kept] + [0 if entry.keep_out else entry.time_ms])
        kept[:] = [row for row in kept if row[0] >= newest - self.max_age_ms]
        scores = [s for _, _, s in kept]
        low, high = (min(scores), max(scores)) if scores else (None, None)
        known = Range(len(kept), low, high, Fate.ENTERED)
        if entry.keep_out:
            return Range(known.count, low, high, Fate.KEPT_OUT)
        if entry.identity in [i for _, i, _ in kept]:
            return Range(known.count, low, high, Fate.REPEATED)
        if entry.time_ms < newest - self.max_age_ms:
            return Range(known.count, low, high, Fate.LATE)
        fate = Fate.ENTERED
        if entry.score > entry.limit and (high is None or entry.score > high):
            self.refused[entry.camera] = self.refused.get(entry.camera, 0) + 1
            fate = Fate.RELEARNT if self.refused[entry.camera] >= self.relearn_after else Fate.REFUSED
        else:
            self.refused[entry.camera] = 0
        if fate is not Fate.REFUSED:
            kept.append((entry.time_ms, entry.identity, entry.score))
            # Equal times leave in the order of their names, as in a sorted set.
            kept.sort(key=lambda row: (row[0], row[1].encode()))
            del kept[: max(0, len(kept) - self.max_frames)]
        return Range(known.count, low, high, fate)


@pytest.fixture
def window(redis_client: redis.Redis, prefix: str) -> RedisWindow:
    return make(redis_client, prefix)


def make(client: redis.Redis, prefix: str, frames: int = 5, age_s: float = 10.0, relearn: int = 1000) -> RedisWindow:
    return RedisWindow(client, prefix, max_frames=frames, max_age_s=age_s, relearn_after_frames=relearn, address="r")


def entry(score: float, seq: int, camera: str = "c", time_ms: int | None = None, limit: float = 100.0) -> Entry:
    return Entry(camera, f"f{seq}", score, T0_MS + seq * 100 if time_ms is None else time_ms, limit)


def test_a_frame_is_held_against_the_window_before_it_enters(window: RedisWindow) -> None:
    ranges = window.judge([entry(3, 0), entry(1, 1), entry(9, 2)])
    assert ranges == [
        Range(0, None, None, Fate.ENTERED),
        Range(1, 3, 3, Fate.ENTERED),
        Range(2, 1, 3, Fate.ENTERED),
    ]


def test_the_last_n_frames_count(window: RedisWindow) -> None:
    window.judge([entry(s, i) for i, s in enumerate([50, 1, 2, 3, 4])])
    assert window.judge([entry(5, 5)]) == [Range(5, 1, 50, Fate.ENTERED)]
    assert window.judge([entry(6, 6)]) == [Range(5, 1, 5, Fate.ENTERED)]


def test_and_none_older_than_t(window: RedisWindow) -> None:
    window.judge([entry(50, 0), entry(1, 1)])
    later = T0_MS + 10_050
    assert window.judge([entry(2, 2, time_ms=later)]) == [Range(1, 1, 1, Fate.ENTERED)]


def test_cameras_do_not_touch_each_other(window: RedisWindow) -> None:
    ranges = window.judge([entry(1, 0, "a"), entry(50, 1, "b"), entry(2, 2, "a"), entry(60, 3, "b")])
    assert [(r.count, r.low) for r in ranges] == [(0, None), (0, None), (1, 1), (1, 50)]
    odd = window.judge([entry(7, 0, "{}%:*"), entry(8, 1, "{}%:*")])
    assert odd[1] == Range(1, 7, 7, Fate.ENTERED)


def test_anomalous_frames_stay_out_until_they_are_the_new_normal(redis_client: redis.Redis, prefix: str) -> None:
    window = make(redis_client, prefix, frames=50, relearn=4)
    window.judge([entry(1, 0, limit=2), entry(1.5, 1, limit=2)])
    ranges = window.judge([entry(9, i, limit=2) for i in range(2, 8)])
    assert [r.fate for r in ranges] == [Fate.REFUSED] * 3 + [Fate.RELEARNT, Fate.ENTERED, Fate.ENTERED]
    assert [r.high for r in ranges] == [1.5, 1.5, 1.5, 1.5, 9, 9]


def test_a_normal_frame_in_between_starts_the_count_anew(redis_client: redis.Redis, prefix: str) -> None:
    window = make(redis_client, prefix, relearn=3)
    scores = [9, 9, 1, 9, 9, 1, 9, 9, 9]
    fates = [r.fate for r in window.judge([entry(s, i, limit=2) for i, s in enumerate(scores)])]
    assert fates[-1] is Fate.RELEARNT and fates[:-1].count(Fate.RELEARNT) == 0


def test_a_frame_kept_out_is_answered_and_leaves_no_trace(redis_client: redis.Redis, prefix: str) -> None:
    window = make(redis_client, prefix, relearn=2)
    window.judge([entry(1, 0, limit=2), entry(1.5, 1, limit=2)])
    out = [Entry("c", f"f{i}", 9, T0_MS + i * 100_000, 2, keep_out=True) for i in range(2, 8)]
    assert set(window.judge(out)) == {Range(2, 1, 1.5, Fate.KEPT_OUT)}
    assert window.judge([entry(9, 9, limit=2)]) == [Range(2, 1, 1.5, Fate.REFUSED)]


def test_a_redelivered_frame_changes_nothing(window: RedisWindow) -> None:
    first = [entry(s, i) for i, s in enumerate([3, 1, 2])]
    window.judge(first)
    before = window.judge([entry(2, 90)])
    again = window.judge(first)
    assert [r.fate for r in again] == [Fate.REPEATED] * 3
    assert window.judge([entry(2, 91)])[0].count == before[0].count + 1


def test_scores_keep_every_digit(window: RedisWindow) -> None:
    exact = 0.1 + 0.2
    window.judge([entry(exact, 0)])
    assert window.judge([entry(5e-324, 1)])[0].high == exact
    assert window.judge([entry(1, 2)])[0].low == 5e-324


def test_keys_expire(window: RedisWindow, redis_client: redis.Redis) -> None:
    window.judge([entry(1, 0)])
    for key in window.keys("c"):
        assert 0 < redis_client.pttl(key) <= 10_000 + 86_400_000


def test_a_whole_batch_is_one_round_trip(window: RedisWindow, redis_client: redis.Redis) -> None:
    window.judge([entry(1, 0)])

    def calls() -> int:
        stats = redis_client.info("commandstats")
        return int(stats["cmdstat_fcall"]["calls"])

    before = calls()
    window.judge([entry(i, i, f"camera-{i % 16}") for i in range(64)])
    assert calls() - before == 1


def test_a_server_that_is_away_is_told_and_one_that_forgot_is_taught(prefix: str) -> None:
    server = EmbeddedValkey().start()
    client = redis.Redis.from_url(server.address, decode_responses=True, socket_timeout=2)
    window = RedisWindow(client, prefix, max_frames=5, max_age_s=10, relearn_after_frames=9, address="the address")
    assert window.judge([entry(1, 0)])[0].count == 0
    client.function_flush()
    with pytest.raises(WindowUnavailable):
        window.judge([entry(2, 1)])
    window._next_try_s = 0  # what a second would do
    assert window.judge([entry(2, 1)])[0].count == 1
    server.stop()
    with pytest.raises(WindowUnavailable, match="the address"):
        window.judge([entry(3, 2)])
    client.close()


entries = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.integers(0, 12),
        st.sampled_from([0.0, 0.5, 1.0, 1.0, 2.5, 3.0]),
        st.integers(0, 6_000),
        st.booleans(),
    ),
    max_size=60,
)


@pytest.fixture(scope="module")
def shared_client(valkey: EmbeddedValkey) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(valkey.address, decode_responses=True)
    yield client
    client.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=entries, batch=st.integers(1, 7), frames=st.integers(1, 6), relearn=st.integers(1, 4))
def test_agrees_with_the_reference(
    shared_client: redis.Redis, rows: list[tuple[str, int, float, int, bool]], batch: int, frames: int, relearn: int
) -> None:
    """Ties, late frames, repeats, evictions, frames kept out, several cameras, any cut into batches."""
    window = make(shared_client, f"p-{uuid4().hex[:8]}", frames=frames, age_s=2.0, relearn=relearn)
    reference = Reference(frames, 2_000, relearn)
    todo = [Entry(c, f"f{name}", s, T0_MS + t, 2.0, keep_out) for c, name, s, t, keep_out in rows]
    for start in range(0, len(todo), batch):
        part = todo[start : start + batch]
        assert window.judge(part) == [reference.judge(e) for e in part]
