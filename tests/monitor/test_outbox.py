"""Alerts and their events in Redis: written in one step, never lost."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import redis

from monitor.alerting.alert import Alert, Event, alert_of
from monitor.alerting.evidence import EvidenceStore
from monitor.alerting.outbox import AlertUnknown, Outbox
from monitor.alerting.reporter import Reporter
from monitor.embedded import EmbeddedValkey
from monitor.judging.episodes import Change, Episode, EpisodeRule, Episodes, Severity, Transition
from tests.monitor.scenes import T0_NS, verdict


def alert(number: int = 1, camera: str = "line-1", ended: bool = False) -> Alert:
    start = T0_NS + number * 1_000_000_000
    return alert_of(
        Episode(
            f"{number:x}", camera, start, 2.0, 1.0, Severity.WARNING, "t/0/1", 1, start, start + 1 if ended else None
        ),
        "model",
        None,
    )


def event(number: int = 1, ended: bool = False, camera: str = "line-1") -> Event:
    kind = "linewatch.alert.resolved" if ended else "linewatch.alert.firing"
    return Event(kind, T0_NS, alert(number, camera, ended))


@pytest.fixture
def outbox(redis_client: redis.Redis, prefix: str) -> Outbox:
    return Outbox(redis_client, prefix)


def events(client: Any, outbox: Outbox) -> list[dict[str, Any]]:
    return [json.loads(fields["event"]) for _, fields in client.xrange(outbox.stream)]


def test_state_and_event_are_written_together(outbox: Outbox, redis_client: redis.Redis) -> None:
    outbox.write(event(1), ttl_s=60)
    assert [a.alert_id for a in outbox.firing()] == ["1"]
    outbox.write(event(1, ended=True), ttl_s=60)
    assert outbox.firing() == [] and outbox.get("1").ended_at is not None
    found = events(redis_client, outbox)
    assert [e["type"] for e in found] == ["linewatch.alert.firing", "linewatch.alert.resolved"]
    assert [e["id"] for e in found] == ["1.firing", "1.resolved"]


def test_events_are_cloudevents_as_the_contract_says() -> None:
    document = event(1).document()
    assert document["specversion"] == "1.0" and document["subject"] == "line-1"
    assert document["time"].endswith("Z") and document["source"]
    assert {
        "alert_id",
        "camera",
        "severity",
        "started_at",
        "ended_at",
        "peak_score",
        "threshold",
        "frame",
        "evidence_url",
        "model",
    } <= set(document["data"])
    assert set(document["data"]["frame"]) == {"camera", "seq", "captured_at", "origin"}
    json.dumps(document)


def test_alerts_are_listed_newest_first_with_paging(outbox: Outbox) -> None:
    for number in range(1, 8):
        outbox.write(event(number, camera="odd" if number % 2 else "even"), ttl_s=60)
    assert [a.alert_id for a in outbox.newest(offset=0, limit=3)] == ["7", "6", "5"]
    assert [a.alert_id for a in outbox.newest(offset=6, limit=3)] == ["1"]
    assert [a.alert_id for a in outbox.newest(offset=1, limit=2, camera="odd")] == ["5", "3"]
    outbox.forget_before((T0_NS + 5 * 1_000_000_000) // 1_000_000)
    assert [a.alert_id for a in outbox.newest(offset=0, limit=9)] == ["7", "6", "5"]


def test_what_people_say_survives_what_the_pipeline_writes(outbox: Outbox, redis_client: redis.Redis) -> None:
    outbox.write(event(1), ttl_s=60)
    first = outbox.acknowledge("1", "Ann")
    again = outbox.acknowledge("1", "Bob")
    assert (first.acknowledged_by, again.acknowledged_by) == ("Ann", "Ann")
    outbox.write(event(1, ended=True), ttl_s=60)
    outbox.false_alarm("1", "Bob")
    got = outbox.get("1")
    assert got.ended_at and got.acknowledged_by == "Ann" and got.false_alarm_by == "Bob"
    types = [e["type"] for e in events(redis_client, outbox)]
    assert types.count("linewatch.alert.acknowledged") == 1
    resolved = events(redis_client, outbox)[-1]
    assert (resolved["type"], resolved["data"]["acknowledged_by"]) == ("linewatch.alert.resolved", "Ann")
    with pytest.raises(AlertUnknown):
        outbox.acknowledge("999", "Ann")


def test_an_event_that_is_told_again_is_in_once(outbox: Outbox, redis_client: redis.Redis) -> None:
    assert outbox.write(event(1), 60) is True
    assert outbox.write(event(1), 60) is False
    assert outbox.write(event(1, ended=True), 60) is True
    # A worker that judged the camera before this one did, and is late.
    assert outbox.write(event(1), 60) is False and outbox.write(event(1, ended=True), 60) is False
    assert outbox.firing() == [] and outbox.get("1").ended_at is not None
    assert [e["id"] for e in events(redis_client, outbox)] == ["1.firing", "1.resolved"]


def test_an_alert_that_ends_elsewhere_keeps_its_picture_and_its_model(outbox: Outbox) -> None:
    shown = alert(1).model_copy(update={"evidence_url": "http://here/1.jpg", "model": "the first"})
    outbox.write(Event("linewatch.alert.firing", T0_NS, shown), 60)
    outbox.write(event(1, ended=True), 60)
    assert (outbox.get("1").evidence_url, outbox.get("1").model) == ("http://here/1.jpg", "the first")


def doc(number: int, at_ns: int = T0_NS, stream: str = "t/0", **more: Any) -> str:
    return json.dumps({"v": 1, "marks": {stream: [number, at_ns]}, **more})


def test_the_state_of_cameras_is_written_with_the_event(outbox: Outbox) -> None:
    outbox.write(event(1), 60, {"line-1": doc(1), "line-2": doc(2)})
    assert outbox.states(["line-1", "line-2", "line-3"]) == {"line-1": doc(1), "line-2": doc(2)}
    outbox.write(event(1), 60, {"line-1": doc(5)})  # told again, but judged further
    outbox.keep({"line-2": doc(6)})
    assert outbox.states(["line-1", "line-2"]) == {"line-1": doc(5), "line-2": doc(6)}
    assert outbox.states([]) == {}


@pytest.mark.parametrize(
    ("kept", "new", "taken"),
    [
        (doc(5), doc(4), False),  # by the worker that had the camera before
        (doc(5), doc(5, cool_until_ns=1), True),
        (doc(5), doc(4, T0_NS + 1_000_000), True),  # a source that counts anew
        (doc(5), doc(6, T0_NS - 1_000_000), True),  # a clock that was set back
        (doc(5), doc(1, stream="t/1"), True),
        ("{", doc(1), True),
        ("[1]", doc(1), True),
        ('{"v":9,"marks":{"t/0":"far"}}', doc(1), True),
        ('{"v":9,"marks":[[7,7]]}', doc(1), True),
    ],
)
def test_a_state_that_is_behind_is_refused(outbox: Outbox, kept: str, new: str, taken: bool) -> None:
    outbox.keep({"line-1": kept})
    outbox.keep({"line-1": new, "line-2": new})
    assert outbox.states(["line-1", "line-2"]) == {"line-1": new if taken else kept, "line-2": new}


def test_the_reporter_keeps_events_while_redis_is_away(prefix: str, tmp_path: Any) -> None:
    server = EmbeddedValkey().start()
    client = redis.Redis.from_url(server.address, decode_responses=True, socket_timeout=1)
    written: list[Event] = []
    outbox = Outbox(client, prefix)
    reporter = Reporter(
        outbox,
        EvidenceStore(tmp_path, 1),
        lambda p: np.zeros((8, 8), np.float32),
        model=lambda: "m",
        base_url="http://here/",
        keep_s=60,
        written=written.append,
    )
    server.stop()
    episodes = Episodes(EpisodeRule(1, 1, 1, 0))
    transitions = [t for t in (episodes.step(verdict(0, True)), episodes.step(verdict(1, False))) if t]
    reporter.report(transitions)
    assert reporter.waiting == 2 and written == []
    client.close()
    again = EmbeddedValkey().start()
    reporter._outbox = Outbox(redis.Redis.from_url(again.address, decode_responses=True), prefix)
    reporter._next_try_s = 0
    reporter.flush()
    assert reporter.waiting == 0
    assert [e.kind.rsplit(".", 1)[1] for e in written] == ["firing", "resolved"]
    again.stop()


def test_an_alert_goes_out_without_its_picture_where_the_disk_is_full(
    outbox: Outbox, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = EvidenceStore(tmp_path, 1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "save", full)
    reporter = Reporter(
        outbox,
        store,
        lambda p: np.zeros((8, 8), np.float32),
        model=lambda: "m",
        base_url="http://here",
        keep_s=60,
        written=lambda e: None,
    )
    episodes = Episodes(EpisodeRule(1, 1, 1, 0))
    transition = episodes.step(verdict(0, True))
    assert isinstance(transition, Transition) and transition.change is Change.FIRING
    reporter.report([transition])
    assert reporter.evidence_trouble is not None and "No space left" in reporter.evidence_trouble
    (got,) = outbox.firing()
    assert got.evidence_url is None


def test_escalating_is_told_once_for_each_that_is_called_in(outbox: Outbox, redis_client: redis.Redis) -> None:
    outbox.write(event(1), ttl_s=60)
    first = outbox.escalate("1", "linewatch", "foreman")
    assert outbox.escalate("1", "Ada", "foreman") == first
    assert (first.escalated_by, first.escalated_to) == ("linewatch", "foreman")
    second = outbox.escalate("1", "Ada", "manager")
    assert (second.escalated_by, second.escalated_to) == ("Ada", "manager") and outbox.get("1") == second
    assert [e["id"] for e in events(redis_client, outbox)] == [
        "1.firing",
        "1.escalated.foreman",
        "1.escalated.manager",
    ]
    with pytest.raises(AlertUnknown):
        outbox.escalate("2", "Ada", "foreman")


def test_an_episode_that_becomes_critical_is_told_once_and_only_while_it_fires(
    outbox: Outbox, redis_client: redis.Redis
) -> None:
    warned = event(1)
    worse = Event("linewatch.alert.raised", T0_NS, warned.alert.model_copy(update={"severity": Severity.CRITICAL}))
    assert outbox.write(warned, 60) and outbox.write(worse, 60)
    assert not outbox.write(worse, 60) and not outbox.write(warned, 60)  # told again after a crash
    assert outbox.get("1").severity is Severity.CRITICAL
    assert outbox.write(event(1, ended=True), 60) and not outbox.write(worse, 60)
    assert [e["id"] for e in events(redis_client, outbox)] == ["1.firing", "1.raised", "1.resolved"]
