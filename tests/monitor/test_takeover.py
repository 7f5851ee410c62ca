"""A camera goes from one worker to another in the middle of an alert."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import redis
from kafka import KafkaProducer

from monitor.alerting.alert import Event, alert_of, alert_of_trouble, drift_alert, missed_alert, storm_alert
from monitor.alerting.outbox import Outbox
from monitor.alerting.takeover import Found, Takeover
from monitor.embedded import EmbeddedBroker, EmbeddedValkey
from monitor.judging.baseline.port import BaselineKey
from monitor.judging.drift import Drift
from monitor.judging.episodes import Change, EpisodeRule, Episodes, EpisodeState, Transition
from monitor.judging.health import CameraHealth, Condition, HealthRules, Trouble
from monitor.judging.presence import Presence
from monitor.judging.watch import CameraWatch
from tests.monitor.scenes import verdict
from tests.monitor.service import Running, checkpoint, pictures, until


@pytest.mark.slow
def test_the_new_worker_ends_the_alert_that_the_old_one_began(
    broker: EmbeddedBroker, topic: str, valkey: EmbeddedValkey, prefix: str, tmp_path: Path
) -> None:
    normal, anomalous = pictures(checkpoint(tmp_path / "model.safetensors"))
    config: dict[str, Any] = {
        "model": {"checkpoint": str(tmp_path / "model.safetensors"), "device": "cpu"},
        "sources": [
            {
                "kafka": {
                    "bootstrap_servers": broker.address,
                    "topic": topic,
                    "group_id": f"g-{topic}",
                    "session_timeout_ms": 6000,
                }
            }
        ],
        "redis": {"url": valkey.address, "prefix": prefix},
        "http": {"port": 0},
        "evidence": {"dir": str(tmp_path / "evidence")},
    }
    producer = KafkaProducer(bootstrap_servers=broker.address)

    def show(picture: bytes, count: int) -> None:
        for _ in range(count):
            producer.send(topic, key=b"line-1", value=picture)
            producer.flush(10)
            time.sleep(0.1)

    with Running(config, tmp_path) as new:
        with Running(config, tmp_path) as old:
            show(normal, 5)
            assert until(lambda: bool(old.json("/api/cameras") or new.json("/api/cameras")))
            first, second = (old, new) if old.json("/api/cameras") else (new, old)
            show(anomalous, 10)
            assert until(lambda: len(first.json("/api/alerts?state=firing")["alerts"]) == 1)
            assert second.json("/api/cameras") == []
            first.service.stop()
            first.thread.join(60)
            show(normal, 40)
            assert until(lambda: second.json("/api/alerts?state=firing")["alerts"] == []), second.json("/api/alerts")
            (alert,) = second.json("/api/alerts")["alerts"]
            assert alert["ended_at"] is not None
            (seen,) = second.json("/api/cameras")
            assert seen["ledger"]["captured"] == 40 and seen["firing"] is None
    producer.close()


def taken_over(client: redis.Redis, prefix: str, health: CameraHealth | None, own: bool) -> tuple[Found, Episodes]:
    """An episode and a dark camera that an earlier worker left firing, met by a worker that has begun an episode of
    its own (`own`) while Redis was away."""
    outbox, watch = Outbox(client, prefix), CameraWatch(health, Presence())
    earlier, here = Episodes(EpisodeRule(1, 1, 1, 0)), Episodes(EpisodeRule(1, 1, 1, 0))
    (fired,) = [t for t in [earlier.step(verdict(0, True))] if t]
    outbox.write(Event("linewatch.alert.firing", 0, alert_of(fired.episode, "m", None)), 60)
    dark = Trouble("dada", "line-1", Condition.DARK, verdict(0, True).frame.captured_at_ns, None, 0.9, 0.7)
    outbox.write(Event("linewatch.camera.degraded", 0, alert_of_trouble(dark, "m", None, None)), 60)
    if own:
        here.step(verdict(5, True))
    takeover = Takeover(outbox, here, watch)
    found = takeover.meet(["line-1"])
    assert takeover.meet(["line-1"]) == Found()
    takeover.forget("line-1")
    return found, here


def test_a_new_worker_goes_on_with_both(redis_client: redis.Redis, prefix: str) -> None:
    found, episodes = taken_over(redis_client, prefix, CameraHealth(lambda camera: HealthRules()), own=False)
    assert found == Found(("line-1",), ())
    firing = episodes.active("line-1")
    assert firing is not None and firing.started_at_ns == verdict(0, True).frame.captured_at_ns


def test_what_nobody_goes_on_with_is_ended(redis_client: redis.Redis, prefix: str) -> None:
    rules = HealthRules(watch=frozenset({Condition.OFFLINE}))
    for health in (None, CameraHealth(lambda camera: rules)):
        found, episodes = taken_over(redis_client, f"{prefix}-{health is None}", health, own=True)
        assert found.in_trouble == ()
        assert sorted(type(over).__name__ for over in found.ended) == ["Transition", "Trouble"]
        for over in found.ended:
            ended = over.episode if isinstance(over, Transition) else over
            assert ended.ended_at_ns is not None and ended.ended_at_ns >= verdict(0, True).frame.captured_at_ns
        firing = episodes.active("line-1")
        assert firing is not None and firing.started_at_ns == verdict(5, True).frame.captured_at_ns


def left_behind(client: redis.Redis, prefix: str, doc: str | None) -> tuple[Found, Episodes, Outbox]:
    """A camera whose firing alert and state an earlier worker left, met by the next one."""
    outbox, earlier, here = Outbox(client, prefix), Episodes(RULE), Episodes(RULE)
    fired = [t for i in range(4) if (t := earlier.step(verdict(i, i < 3)))]
    states = {"line-1": doc} if doc is not None else earlier.changed()
    outbox.write(Event("linewatch.alert.firing", 0, alert_of(fired[0].episode, "m", None)), 60, states)
    found = Takeover(outbox, here, CameraWatch(None, Presence())).meet(["line-1"])
    return found, here, outbox


RULE = EpisodeRule(3, 3, 3, 60)


def test_what_was_counted_goes_on(redis_client: redis.Redis, prefix: str) -> None:
    found, episodes, _ = left_behind(redis_client, prefix, None)
    assert found == Found() and episodes.state("line-1") is EpisodeState.RECOVERING
    assert [episodes.step(verdict(i, False)) for i in range(5)] == [None] * 5
    over = episodes.step(verdict(5, False))  # the third in a row, the first of which was seen before
    assert over is not None and over.change is Change.RESOLVED


@pytest.mark.parametrize("doc", ["{", '{"v":2,"marks":{}}', '{"v":1,"marks":{"t/0":[3]}}'])
def test_a_state_that_cannot_be_read_begins_anew_from_what_is_firing(
    redis_client: redis.Redis, prefix: str, doc: str
) -> None:
    found, episodes, outbox = left_behind(redis_client, prefix, doc)
    assert found == Found() and episodes.state("line-1") is EpisodeState.FIRING
    outbox.keep(episodes.changed())
    again = Episodes(RULE)
    again.restore("line-1", outbox.states(["line-1"])["line-1"])
    assert again.active("line-1") == episodes.active("line-1")
    told = [t for i in range(10) if (t := episodes.step(verdict(i, i < 3)))]
    assert [t.change for t in told] == [Change.RESOLVED]


def test_alerts_that_are_no_camera_s_own_are_left_alone(redis_client: redis.Redis, prefix: str) -> None:
    outbox, here = Outbox(redis_client, prefix), Episodes(RULE)
    drift = Drift("d0d0", BaselineKey("line-1", "m"), verdict(0, True).frame.captured_at_ns, 7)
    storm = storm_alert(5, None, {"line-1": 2}, alerts=3, limit=1, model="m")
    of_later = storm.model_copy(update={"alert_id": "fe", "camera": "line-1", "condition": "of a later version"})
    missed = missed_alert("line-1", 5, "Ann", None, None, model="m", now_ns=6)
    for alert in (drift_alert(drift, 100), storm, of_later):
        outbox.write(Event("linewatch.alert.firing", 5, alert), 60)
    outbox.write(Event("linewatch.alert.acknowledged", 6, missed), 60)
    found = Takeover(outbox, here, CameraWatch(None, Presence())).meet(["line-1", "*"])
    assert [alert.drift() for alert in found.drifting] == [drift]
    assert found.ended == () and found.in_trouble == () and here.active("line-1") is None
    assert all(alert.trouble() is None for alert in (drift_alert(drift, 100), storm, missed))
    assert {alert.condition for alert in outbox.firing()} == {"drift", "storm", "of a later version"}
    assert outbox.get(missed.alert_id).acknowledged_by == "Ann"


def test_redis_that_is_away_is_asked_again_later(prefix: str) -> None:
    away: redis.Redis = redis.Redis.from_url("redis://127.0.0.1:1/0", decode_responses=True)
    takeover = Takeover(Outbox(away, prefix), Episodes(RULE), CameraWatch(None, Presence()))
    assert takeover.meet(["line-1"]) == Found()
    assert "line-1" not in takeover._met
