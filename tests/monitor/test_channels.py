"""The channels against real peers: a Kafka broker, and a Grafana that keeps its annotations."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from dashboards.grafana import GrafanaRejected, GrafanaUnavailable, PushOutcome
from monitor.alerting.alert import Event
from monitor.alerting.channels.channel import DeliveryFailed, DeliveryRefused
from monitor.alerting.channels.grafana import GrafanaChannel
from monitor.alerting.channels.kafka_topic import KafkaTopicChannel
from monitor.embedded import EmbeddedBroker
from tests.monitor.service import read_topic
from tests.monitor.test_outbox import event


@pytest.mark.slow
def test_kafka_has_the_event_when_deliver_returns(broker: EmbeddedBroker, topic: str) -> None:
    channel = KafkaTopicChannel(broker.address, topic)
    channel.deliver(event(1).document())
    (record,) = read_topic(broker.address, topic, 1)
    channel.close()
    assert record.key == b"line-1" and json.loads(record.value) == event(1).document()


@pytest.mark.slow
def test_a_broker_that_is_away_is_a_failure_that_may_heal() -> None:
    with EmbeddedBroker() as server:
        address = server.address
    with pytest.raises(DeliveryFailed, match=address):
        KafkaTopicChannel(address, "alerts", timeout_s=2).deliver(event(1).document())


@pytest.mark.slow
def test_a_broker_that_stood_still_gets_the_next_event() -> None:
    """The client gives a batch up, and with it its place in the numbering: it would refuse every later one."""
    with EmbeddedBroker() as server:
        server.create_topic("alerts")
        channel = KafkaTopicChannel(server.address, "alerts", timeout_s=3)
        channel.deliver(event(1).document())
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        try:
            with pytest.raises(DeliveryFailed):
                channel.deliver(event(2).document())
            time.sleep(3)  # until the client has given it up as well
        finally:
            os.kill(server.pid, signal.SIGCONT)
        channel.deliver(event(2).document())
        channel.close()


class FakeGrafana:
    """Keeps regions as Grafana would; the adapters themselves are tested against HTTP in tests/dashboards."""

    def __init__(self) -> None:
        self.regions: list[dict[str, Any]] = []
        self.error: Exception | None = None

    def health(self) -> str:
        return "13"

    def ensure_folder(self, uid: str, title: str) -> bool:
        return True

    def push_dashboard(self, dashboard: Mapping[str, Any], folder_uid: str) -> PushOutcome:
        return "created"

    def find_annotation(self, tag: str) -> int | None:
        return next((i for i, r in enumerate(self.regions) if tag in r["tags"]), None)

    def open_region(self, time_ms: int, tags: Sequence[str], text: str) -> int:
        if self.error:
            raise self.error
        found = self.find_annotation(next(t for t in tags if t.startswith("alert:")))
        if found is None:
            self.regions.append({"time": time_ms, "tags": list(tags), "text": text})
            return len(self.regions) - 1
        return found

    def close_region(self, annotation_id: int, time_end_ms: int) -> None:
        self.regions[annotation_id]["timeEnd"] = time_end_ms

    def close(self) -> None:
        """Nothing is open."""


def test_an_alert_is_one_region_from_its_start_to_its_end() -> None:
    grafana = FakeGrafana()
    channel = GrafanaChannel(grafana)
    firing, resolved = event(1), event(1, ended=True)
    for each in (firing, firing, resolved, resolved):  # an event may come again after a crash
        channel.deliver(each.document())
    (region,) = grafana.regions
    assert region["time"] == firing.alert.started_at // 1_000_000
    assert region["timeEnd"] == (resolved.alert.ended_at or 0) // 1_000_000
    assert {"linewatch", "alert:1", "camera:line-1", "warning"} <= set(region["tags"])


def test_a_resolved_event_alone_still_makes_the_region() -> None:
    grafana = FakeGrafana()
    GrafanaChannel(grafana).deliver(event(1, ended=True).document())
    assert len(grafana.regions) == 1 and "timeEnd" in grafana.regions[0]


def test_acknowledging_changes_nothing_in_grafana() -> None:
    grafana = FakeGrafana()
    GrafanaChannel(grafana).deliver(Event("linewatch.alert.acknowledged", 1, event(1).alert).document())
    assert grafana.regions == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [(GrafanaUnavailable("away"), DeliveryFailed), (GrafanaRejected("no"), DeliveryRefused)],
)
def test_what_may_heal_is_told_from_what_will_not(error: Exception, expected: type[Exception]) -> None:
    grafana = FakeGrafana()
    grafana.error = error
    with pytest.raises(expected):
        GrafanaChannel(grafana).deliver(event(1).document())
