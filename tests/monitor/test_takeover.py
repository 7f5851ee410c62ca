"""A camera goes from one worker to another in the middle of an alert."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from monitor.embedded import EmbeddedBroker, EmbeddedValkey
from tests.monitor.service import Running, checkpoint, pictures, until

pytestmark = pytest.mark.slow


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
