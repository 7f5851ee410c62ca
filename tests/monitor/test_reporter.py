"""What is written when, with a real server that comes and goes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis

from monitor.alerting.alert import Event
from monitor.alerting.evidence import EvidenceStore
from monitor.alerting.outbox import Outbox
from monitor.alerting.reporter import Reporter
from monitor.alerting.storm import StormGuard
from monitor.embedded import EmbeddedValkey
from monitor.judging.episodes import EpisodeRule, Episodes, EpisodeState, Hold, Reason
from tests.monitor.scenes import verdict

RULE = EpisodeRule(1, 1, 1, 0)


class Bench:
    """A reporter and what it has written."""

    def __init__(self, client: redis.Redis, prefix: str, folder: Path, storm: StormGuard | None = None) -> None:
        self.client: Any = client
        self.outbox = Outbox(client, prefix)
        self.written: list[Event] = []
        self.reporter = Reporter(
            self.outbox,
            EvidenceStore(folder, 1),
            lambda v: np.zeros((8, 8), np.float32),
            model=lambda: "m",
            base_url="http://here",
            keep_s=60,
            written=self.written.append,
            storm=storm,
        )

    def ids(self) -> list[str]:
        return [json.loads(fields["event"])["id"] for _, fields in self.client.xrange(self.outbox.stream)]

    def state(self, camera: str) -> EpisodeState:
        """As the next worker would find it."""
        episodes = Episodes(RULE)
        for name, doc in self.outbox.states([camera]).items():
            episodes.restore(name, doc)
        return episodes.state(camera)


@pytest.fixture
def bench(redis_client: redis.Redis, prefix: str, tmp_path: Path) -> Bench:
    return Bench(redis_client, prefix, tmp_path)


def test_a_batch_of_one_episode_is_one_transaction_that_holds_its_state(bench: Bench, prefix: str) -> None:
    episodes = Episodes(RULE)
    transition = episodes.step(verdict(0, True))
    assert transition is not None
    monitor: Any = bench.client.monitor
    with monitor() as seen:
        bench.reporter.report([transition], episodes.changed())
        bench.client.ping()
        commands: list[str] = []
        for entry in seen.listen():
            if entry["command"] == "PING":
                break
            if entry["client_type"] != "lua" and (prefix in entry["command"] or "EXEC" in entry["command"]):
                commands.append(entry["command"].split(" ", 1)[0])
    assert commands.count("EXEC") == 1 and commands.index("EVAL") < commands.index("EXEC")
    assert bench.reporter.waiting == 0 and bench.state("line-1") is EpisodeState.FIRING


def test_each_event_comes_with_the_state_right_after_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between two events of a batch, nothing is ahead of what was told."""
    episodes = Episodes(RULE)
    transitions = [t for i in range(3) if (t := episodes.step(verdict(i, i != 1)))]
    write, found = bench.outbox.write, []

    def watched(*args: Any) -> bool:
        done = write(*args)
        found.append((bench.ids()[-1].split(".")[1], bench.state("line-1").value))
        return done

    monkeypatch.setattr(bench.outbox, "write", watched)
    bench.reporter.report(transitions, episodes.changed())
    assert found == [("firing", "firing"), ("resolved", "quiet"), ("firing", "firing")]


def test_a_batch_that_only_counts_is_kept_alone(bench: Bench) -> None:
    episodes = Episodes(EpisodeRule(3, 5, 1, 0))
    assert episodes.step(verdict(0, True)) is None
    bench.reporter.report([], episodes.changed())
    assert bench.state("line-1") is EpisodeState.PENDING and bench.ids() == [] and bench.written == []
    bench.reporter.keep({})
    assert bench.reporter.waiting == 0


def test_what_was_told_before_is_not_counted_again(bench: Bench) -> None:
    for _ in range(2):
        transition = Episodes(RULE).step(verdict(0, True))
        assert transition is not None
        bench.reporter.report([transition])
    assert len(bench.written) == 1 and len(bench.ids()) == 1


def test_an_alert_without_a_picture_goes_out(bench: Bench) -> None:
    before = Episodes(EpisodeRule(2, 2, 1, 0))
    for i in range(2):
        before.step(verdict(i, True), Hold.SUSPECT)
    after = Episodes(EpisodeRule(2, 2, 1, 0))
    after.restore("line-1", before.changed()["line-1"])
    transition = after.let_go("line-1")
    assert transition is not None and transition.trigger is None
    bench.reporter.report([transition], after.changed())
    (alert,) = bench.outbox.firing()
    assert alert.evidence_url is None and alert.frame is not None and alert.frame.seq == 0
    assert bench.reporter.evidence_trouble is None


@pytest.fixture
def comes_and_goes() -> Iterator[EmbeddedValkey]:
    server = EmbeddedValkey().start()
    yield server
    server.stop()


def test_states_wait_for_redis_as_events_do(comes_and_goes: EmbeddedValkey, prefix: str, tmp_path: Path) -> None:
    away: redis.Redis = redis.Redis.from_url("redis://127.0.0.1:1/0", decode_responses=True)
    client = redis.Redis.from_url(comes_and_goes.address, decode_responses=True)
    bench, episodes = Bench(away, prefix, tmp_path), Episodes(RULE)
    bench.reporter.report([], {"line-2": "first"})
    assert (bench.reporter.waiting, bench.reporter.events_waiting) == (1, 0)
    for i in range(2):
        transition = episodes.step(verdict(i, i == 0))
        assert transition is not None
        bench.reporter.report([transition], episodes.changed() | {"line-2": f"after {i}"})
    assert (bench.reporter.waiting, bench.reporter.events_waiting) == (3, 2)
    bench.client, bench.outbox = client, Outbox(client, prefix)
    bench.reporter._outbox, bench.reporter._next_try_s = bench.outbox, 0
    bench.reporter.flush()
    assert bench.reporter.waiting == 0 and [i.split(".")[1] for i in bench.ids()] == ["firing", "resolved"]
    assert bench.outbox.states(["line-2"]) == {"line-2": "after 1"}
    assert bench.state("line-1") is EpisodeState.QUIET


def test_a_storm_goes_out_from_here(redis_client: redis.Redis, prefix: str, tmp_path: Path) -> None:
    storm = StormGuard(redis_client, prefix, 1, 3600)
    bench = Bench(redis_client, prefix, tmp_path, storm)
    now_ms = 1_800_000_000_000

    def gate(camera: str, at_ns: int) -> Reason | None:
        return None if storm.admit(camera, now_ms) else Reason.STORM

    episodes = Episodes(RULE, gate, lambda camera, reason: storm.held(camera, now_ms))
    transitions = [t for camera in "abc" if (t := episodes.step(verdict(0, True, camera=camera)))]
    assert len(transitions) == 1 and storm.unsaved == 2 and bench.reporter.waiting == 2
    bench.reporter.report(transitions, episodes.changed())
    assert bench.reporter.waiting == 0
    assert {a.condition: a.held_back for a in bench.outbox.firing()} == {"anomaly": None, "storm": {"b": 1, "c": 1}}
    assert sorted(event.alert.condition for event in bench.written) == ["anomaly", "storm"]
