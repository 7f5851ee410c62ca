"""A camera goes from one worker to another in the middle of an alert."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import redis
from kafka import KafkaProducer

from monitor.alerting.alert import Event, alert_of, alert_of_trouble
from monitor.alerting.outbox import Outbox
from monitor.alerting.takeover import Found, Takeover
from monitor.embedded import EmbeddedBroker, EmbeddedValkey
from monitor.judging.episodes import EpisodeRule, Episodes, Transition
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
