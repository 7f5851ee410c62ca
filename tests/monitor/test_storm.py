"""Storms: so many alerts are let through, over all workers; one alert tells of the others, and ends once."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.alerting.alert import EVERYWHERE, STORM, Alert, Event, alert_of
from monitor.alerting.outbox import Outbox
from monitor.alerting.storm import REFRESH_MS, StormGuard
from monitor.embedded import EmbeddedValkey
from monitor.judging.episodes import Episode, Severity

NOW_MS = 1_800_000_000_000
WITHIN_S = 10


class Plant:
    """Workers with a storm guard each, on one Redis, and a clock of their own."""

    def __init__(self, client: redis.Redis, prefix: str, workers: int = 1, max_alerts: int = 2) -> None:
        self.client, self.prefix, self.max_alerts = client, prefix, max_alerts
        self.outbox = Outbox(client, prefix)
        self.guards = [self.guard() for _ in range(workers)]
        self.now_ms = NOW_MS
        self.events: list[Event] = []
        self.fired = 0

    def guard(self) -> StormGuard:
        return StormGuard(self.client, self.prefix, self.max_alerts, WITHIN_S)

    def wants(self, camera: str, worker: int = 0) -> bool:
        """An episode would begin; whether it does. What the outbox writes with it is written here by hand."""
        guard = self.guards[worker]
        if not guard.admit(camera, self.now_ms):
            guard.held(camera, self.now_ms)
            return False
        self.fired += 1
        alert_id = f"{self.fired:016x}"
        guard.told(alert_id, self.now_ms)
        self.client.zadd(f"{self.prefix}:storm", {alert_id: self.now_ms})
        return True

    def after(self, seconds: float) -> None:
        self.now_ms += round(seconds * 1000)
        for guard in self.guards:
            self.events += guard.tick(self.now_ms)

    def storms(self) -> list[Alert]:
        return [alert for alert in self.outbox.newest(offset=0, limit=100) if alert.condition == STORM]

    def told(self) -> Counter[tuple[str, str]]:
        """How often each storm's event stands in the stream."""
        rows: Any = self.client.xrange(self.outbox.stream)
        documents = [json.loads(fields["event"]) for _, fields in rows]
        return Counter((d["data"]["alert_id"], d["type"]) for d in documents)


def test_the_first_ones_go_out_and_one_alert_counts_the_others(redis_client: redis.Redis, prefix: str) -> None:
    plant = Plant(redis_client, prefix)
    assert [plant.wants(f"line-{n}") for n in range(5)] == [True, True, False, False, False]
    plant.after(1)
    plant.wants("line-4")
    plant.after(1)
    (storm,) = plant.storms()
    assert (storm.camera, storm.severity, storm.ended_at) == (EVERYWHERE, Severity.CRITICAL, None)
    assert storm.held_back == {"line-2": 1, "line-3": 1, "line-4": 2}
    assert (storm.peak_score, storm.threshold) == (6, 2)
    plant.after(WITHIN_S)
    (over,) = plant.storms()
    assert over.alert_id == storm.alert_id and over.ended_at is not None and over.held_back == storm.held_back
    assert [event.kind.rsplit(".", 1)[1] for event in plant.events] == ["firing", "resolved"]


def test_there_is_room_again_when_the_first_ones_are_long_ago(redis_client: redis.Redis, prefix: str) -> None:
    plant = Plant(redis_client, prefix)
    assert plant.wants("a") and plant.wants("b") and not plant.wants("c")
    plant.after(WITHIN_S + 1)
    assert plant.wants("c")


def test_all_workers_count_together_and_only_one_ends_it(redis_client: redis.Redis, prefix: str) -> None:
    plant = Plant(redis_client, prefix, workers=3)
    assert plant.wants("a", 0) and plant.wants("b", 1)
    plant.after(REFRESH_MS / 1000)  # until then a worker may not know of what another one let through
    assert not plant.wants("c", 2) and not plant.wants("d", 0)
    for _ in range(15):
        plant.after(1)
    (storm,) = plant.storms()
    assert storm.held_back == {"c": 1, "d": 1} and storm.ended_at is not None
    assert set(plant.told().values()) == {1} and len(plant.told()) == 2


def test_a_restart_ends_the_storm_of_before(redis_client: redis.Redis, prefix: str) -> None:
    plant = Plant(redis_client, prefix)
    assert plant.wants("a") and plant.wants("b") and not plant.wants("c")
    plant.after(1)
    plant.guards = [plant.guard()]
    assert not plant.wants("d"), "the alerts of before count on"
    for _ in range(12):
        plant.after(1)
    (storm,) = plant.storms()
    assert storm.ended_at is not None and storm.held_back == {"c": 1, "d": 1}


def test_without_redis_it_goes_by_what_it_knows_and_tells_later(prefix: str) -> None:
    with EmbeddedValkey() as server:
        client = redis.Redis.from_url(server.address, decode_responses=True, socket_timeout=0.5)
        plant = Plant(client, prefix)
        plant.client = redis.Redis.from_url("redis://127.0.0.1:1/0", decode_responses=True)
        guard = plant.guards[0] = StormGuard(plant.client, prefix, 2, WITHIN_S)
        for n in range(2):
            assert guard.admit("a", NOW_MS)
            guard.told(str(n), NOW_MS)
        assert not guard.admit("b", NOW_MS)
        guard.held("b", NOW_MS)
        assert guard.tick(NOW_MS) == [] and guard.unsaved == 1
        guard._client, guard._outbox = client, Outbox(client, prefix)
        guard._next_try_s = 0
        (event,) = guard.tick(NOW_MS + 1000)
        assert event.alert.held_back == {"b": 1} and guard.unsaved == 0


def test_an_alert_that_goes_into_the_outbox_is_counted_there(redis_client: redis.Redis, prefix: str) -> None:
    outbox = Outbox(redis_client, prefix)
    episode = Episode("c0de", "a", NOW_MS * 1_000_000, 3.0, 2.0, Severity.WARNING, "t/0/1", 1, NOW_MS * 1_000_000)
    outbox.write(Event("linewatch.alert.firing", episode.started_at_ns, alert_of(episode, "m", None)), 60)
    assert redis_client.zrange(f"{prefix}:storm", 0, -1) == ["c0de"]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wants"), st.integers(0, 5), st.integers(0, 1)),
        st.tuples(st.just("after"), st.sampled_from([0.3, 1, 4, 9, 11]), st.just(0)),
        st.tuples(st.just("restart"), st.integers(0, 1), st.just(0)),
    ),
    max_size=40,
)


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_nothing_that_was_held_back_is_uncounted_and_each_storm_is_told_once(
    redis_client: redis.Redis, prefix: str, steps: list[tuple[str, float, int]]
) -> None:
    redis_client.flushdb()
    plant, held = Plant(redis_client, prefix, workers=2), 0
    for what, number, worker in steps:
        if what == "wants":
            held += not plant.wants(f"line-{number}", worker)
            plant.after(0)  # what is only in memory is lost with a worker, until the next look
        elif what == "after":
            plant.after(number)
        else:
            plant.guards[int(number)] = plant.guard()
    for _ in range(30):
        plant.after(1)
    storms = plant.storms()
    assert sum(sum((storm.held_back or {}).values()) for storm in storms) == held
    assert all(storm.ended_at is not None for storm in storms)
    assert set(plant.told().values()) <= {1} and len(plant.told()) == 2 * len(storms)
