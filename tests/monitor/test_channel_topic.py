"""Kafka topics and Grafana as channels: against a real broker, and a Grafana over HTTP that keeps its annotations."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator

import pytest

from monitor.alerting.alert import ACKNOWLEDGED, TEST
from monitor.channel_settings import ChannelSettings
from monitor.delivery.channels.channel import Channel, DeliveryFailed, DeliveryRefused
from monitor.delivery.channels.kafka_topic import KafkaTopicChannel
from monitor.delivery.channels.make import make_channel
from monitor.delivery.delivery import Kind
from monitor.embedded import EmbeddedBroker
from monitor.judging.episodes import Change
from tests.dashboards.stub_grafana import TOKEN, Fault, StubGrafana, serve
from tests.monitor.peer import T0_NS, FakeMaterials, delivery, event
from tests.monitor.service import read_topic


def test_kafka_has_each_event_when_deliver_returns(broker: EmbeddedBroker, topic: str) -> None:
    entry = {"name": "hook", "kafka": {"bootstrap_servers": broker.address, "topic": topic}}
    channel = make_channel(ChannelSettings.model_validate(entry), FakeMaterials(), ())
    one, several = delivery(), delivery(event(2), event(3, camera="cam-2"), event(2, Change.RESOLVED))
    channel.deliver(one)
    channel.close()
    channel.deliver(several)  # connects anew
    channel.close()
    records = read_topic(broker.address, topic, 4)
    assert len(records) == 4
    found = {dict(record.headers)["idempotency-key"].decode(): record for record in records}
    expected = {one.delivery_id: one.events[0]}
    expected |= {f"{several.delivery_id}.{n}": e for n, e in enumerate(several.events)}
    assert {key: json.loads(record.value) for key, record in found.items()} == expected
    assert all(record.key.decode() == json.loads(record.value)["subject"] for record in records)
    of_camera = [json.loads(r.value)["id"] for r in records if r.key == b"cam-1"]
    assert of_camera == [e["id"] for e in (*one.events, *several.events) if e["subject"] == "cam-1"]


def test_what_is_too_large_does_not_hold_the_others_back(broker: EmbeddedBroker, topic: str) -> None:
    huge = event(1) | {"padding": "x" * 2_000_000}
    channel = KafkaTopicChannel("hook", broker.address, topic)
    with pytest.raises(DeliveryRefused, match=f"topic {topic}: larger than .*: {event(1)['id']}$"):
        channel.deliver(delivery(huge, event(2)))
    channel.close()
    (record,) = read_topic(broker.address, topic, 1)
    assert json.loads(record.value)["id"] == event(2)["id"]


def test_a_broker_that_stood_still_gets_the_next_event() -> None:
    """The client gives a batch up, and with it its place in the numbering: it would refuse every later one."""
    with EmbeddedBroker() as server:
        server.create_topic("alerts")
        channel = KafkaTopicChannel("hook", server.address, "alerts", timeout_s=2)
        channel.deliver(delivery())
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        try:
            with pytest.raises(DeliveryFailed, match=server.address):
                channel.deliver(delivery(event(2)))
        finally:
            os.kill(server.pid, signal.SIGCONT)
        channel.deliver(delivery(event(2)))
        channel.close()


@pytest.fixture
def grafana(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubGrafana]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as stub:
        yield stub


def channel_to(grafana: StubGrafana) -> Channel:
    entry = {"name": "shift", "grafana": {"url": grafana.url, "token": TOKEN}}
    return make_channel(ChannelSettings.model_validate(entry), FakeMaterials(), ())


def test_an_alert_is_one_region_from_its_start_to_its_end(grafana: StubGrafana) -> None:
    channel = channel_to(grafana)
    firing, raised, resolved = event(1), event(1, Change.RAISED, "critical"), event(1, Change.RESOLVED)
    for each in (firing, firing, raised, resolved, resolved):  # an event may come again after a crash
        channel.deliver(delivery(each))
    channel.close()
    (region,) = grafana.annotations.values()
    assert (region["time"], region["timeEnd"]) == (T0_NS // 1_000_000, T0_NS // 1_000_000 + 2000)
    assert {"linewatch", f"alert:{1:016x}", "camera:cam-1", "warning"} <= set(region["tags"])
    assert "sig=1&amp;for=night-shift" in region["text"] and "/act/" not in region["text"]
    channel.deliver(delivery(event(2) | {"type": ACKNOWLEDGED}))  # connects anew, and changes nothing
    assert len(grafana.annotations) == 1


def test_several_events_in_one_message_are_a_region_each_alert(grafana: StubGrafana) -> None:
    channel = channel_to(grafana)
    several = delivery(event(1), event(2), event(3, Change.RESOLVED), event(1, Change.RESOLVED))
    for _ in range(2):
        channel.deliver(several)
    channel.deliver(delivery(event(9) | {"type": TEST}, kind=Kind.TEST))
    channel.close()
    ended = {r["tags"][1]: r["timeEnd"] > r["time"] for r in grafana.annotations.values()}
    assert ended == {f"alert:{n:016x}": over for n, over in ((1, True), (2, False), (3, True), (9, False))}
    assert len(grafana.annotations) == 4


def test_what_may_heal_is_told_from_what_will_not(grafana: StubGrafana) -> None:
    channel = channel_to(grafana)
    grafana.faults.append(Fault(503))
    with pytest.raises(DeliveryFailed):
        channel.deliver(delivery())
    grafana.faults.append(Fault(400))
    with pytest.raises(DeliveryRefused):
        channel.deliver(delivery(event(1), event(2)))
    channel.close()
    assert [r["tags"][1] for r in grafana.annotations.values()] == [
        f"alert:{2:016x}"
    ]  # the other is there all the same
    entry = {"name": "shift", "grafana": {"url": "http://user:pw@host", "token": TOKEN}}
    with pytest.raises(ValueError, match=r"channel shift: grafana\.url: holds a user name"):
        make_channel(ChannelSettings.model_validate(entry), FakeMaterials(), ())
