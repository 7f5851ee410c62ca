"""The MQTT channel against a real broker."""

from __future__ import annotations

import asyncio
import json
import queue
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from amqtt.broker import Broker
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from monitor.channel_settings import Mqtt
from monitor.delivery.channels.channel import DeliveryFailed
from monitor.delivery.channels.mqtt import MqttChannel
from monitor.delivery.delivery import Kind
from tests.monitor.told import MadeUp, event, many, one

PASSWORD = "s3cret-Pass"


class EmbeddedMqtt:
    """A broker on a port of the loopback interface, in a thread; may be stopped and started again."""

    def __init__(self, plugins: dict[str, Any] | None = None, tls: dict[str, Any] | None = None) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._plugins = plugins or {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
        self._listener = {"type": "tcp", "bind": f"127.0.0.1:{self.port}", **(tls or {})}
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> EmbeddedMqtt:
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()

        async def start() -> Broker:
            broker = Broker({"listeners": {"default": self._listener}, "plugins": self._plugins})
            await broker.start()
            return broker

        self._broker = asyncio.run_coroutine_threadsafe(start(), loop).result(30)
        self._loop = loop
        return self

    def sessions(self) -> list[str]:
        """The clients that are connected."""
        return list(self._broker.sessions)

    def __exit__(self, *_error: object) -> None:
        loop, self._loop = self._loop, None
        if loop is not None:
            asyncio.run_coroutine_threadsafe(self._broker.shutdown(), loop).result(30)
            loop.call_soon_threadsafe(loop.stop)


class Listener:
    """Subscribes to everything; `next` waits for a message."""

    def __init__(self, port: int) -> None:
        self._messages: queue.Queue[paho.MQTTMessage] = queue.Queue()
        subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=2)
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.on_message = lambda _client, _data, message: self._messages.put(message)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert subscribed.wait(20)

    def next(self) -> paho.MQTTMessage:
        return self._messages.get(timeout=20)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def mqtt() -> Iterator[EmbeddedMqtt]:
    with EmbeddedMqtt() as broker:
        yield broker


def _channel(port: int, line: str | None = "north", **settings: Any) -> MqttChannel:
    values = {"host": "127.0.0.1", "port": port, "timeout_s": 10, **settings}
    return MqttChannel("plc", Mqtt.model_validate(values), MadeUp(line=line))


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_every_event_arrives_on_its_topic_as_it_is(mqtt: EmbeddedMqtt, qos: int) -> None:
    listener = Listener(mqtt.port)
    channel = _channel(mqtt.port, qos=qos, topic="plant/{line}/{camera}/{severity}/{kind}/{event}")
    first, second = event(0, camera="line-3/left+#"), event(1, "linewatch.camera.online", condition="dark")
    channel.deliver(many(first, second, kind=Kind.GROUP))
    got = [listener.next(), listener.next()]
    assert [message.topic for message in got] == [
        "plant/north/line-3_left__/critical/anomaly/firing",
        "plant/north/line-3/critical/camera/online",
    ]
    assert [json.loads(message.payload) for message in got] == [first, second]
    channel.close()
    listener.close()


def test_lanes_share_one_connection(mqtt: EmbeddedMqtt) -> None:
    listener = Listener(mqtt.port)
    channel = _channel(mqtt.port)
    with ThreadPoolExecutor(channel.parallel) as lanes:
        list(lanes.map(lambda number: channel.deliver(one(event(number, camera=f"line-{number % 4}"))), range(40)))
    got = [json.loads(listener.next().payload)["id"] for _ in range(40)]
    assert sorted(got) == sorted(event(number)["id"] for number in range(40))
    assert len(mqtt.sessions()) == 2  # the listener's, and one for all four lanes
    channel.close()
    listener.close()


def test_a_broker_that_was_restarted_gets_the_next_event() -> None:
    broker = EmbeddedMqtt()
    channel = _channel(broker.port, timeout_s=5)
    with broker:
        channel.deliver(one(event(0)))
        channel.deliver(one(event(1)))
    began = time.monotonic()
    with pytest.raises(DeliveryFailed, match=f"MQTT broker 127.0.0.1:{broker.port}"):
        channel.deliver(one(event(2)))
    assert time.monotonic() - began < 8
    with broker:
        listener = Listener(broker.port)
        channel.deliver(one(event(2)))
        assert json.loads(listener.next().payload) == event(2)
        channel.close()
        listener.close()


def test_a_broker_that_takes_connections_and_says_nothing_holds_nobody_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        began = time.monotonic()
        with pytest.raises(DeliveryFailed, match="within the time-out"):
            _channel(mute.getsockname()[1], timeout_s=1).deliver(one(event(0)))
        assert time.monotonic() - began < 4


class Unconfirming:
    """Takes a connection and messages, and confirms none of them."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self.came = queue.Queue[int]()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._server.accept()
            except OSError:
                return
            peer.recv(4096)
            peer.sendall(bytes([0x20, 2, 0, 0]))  # CONNACK, accepted
            self.came.put(peer.recv(4096)[0])
            peer.recv(1)

    def close(self) -> None:
        self._server.close()


def test_without_its_confirmation_a_message_is_not_delivered() -> None:
    server = Unconfirming()
    began = time.monotonic()
    with pytest.raises(DeliveryFailed, match="no confirmation within the time-out"):
        _channel(server.port, timeout_s=1, retain=True).deliver(one(event(0)))
    assert time.monotonic() - began < 4
    assert server.came.get(timeout=20) == 0x33  # PUBLISH, qos 1, retained, not a repetition
    channel = _channel(server.port, qos=0)
    channel.deliver(one(event(0)))
    assert server.came.get(timeout=20) == 0x30
    channel.close()
    server.close()


def test_a_wrong_login_is_a_failure_that_may_heal_and_tells_no_password(tmp_path: Path) -> None:
    nobody = tmp_path / "passwords"
    nobody.write_text("")
    plugins = {"amqtt.plugins.authentication.FileAuthPlugin": {"password_file": str(nobody)}}
    with EmbeddedMqtt(plugins) as broker:
        channel = _channel(broker.port, username="watcher", password=PASSWORD)
        with pytest.raises(DeliveryFailed, match="refused the connection") as raised:
            channel.deliver(one(event(0)))
    assert PASSWORD not in str(raised.value)


def test_tls_is_checked_against_the_given_certificates(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    with EmbeddedMqtt(tls={"ssl": True, "certfile": str(certificate), "keyfile": str(key)}) as broker:
        channel = _channel(broker.port, tls=True, ca_file=certificate)
        channel.deliver(one(event(0)))
        channel.close()
        with pytest.raises(DeliveryFailed, match=ssl.SSLCertVerificationError.__name__):
            _channel(broker.port, tls=True).deliver(one(event(0)))


@given(st.text(min_size=1), st.text(), st.sampled_from(["{camera}", "{camera}/{line}", "a/{line}/{camera}"]))
def test_no_name_gets_out_of_its_level(camera: str, line: str, topic: str) -> None:
    channel = _channel(1, line=line or None, topic=topic)
    filled = channel._topic(event(0, camera=camera))
    assert filled.count("/") == topic.count("/") and all(filled.split("/"))
    assert not set(filled) & set("+#\0") and not filled.startswith("$")


def test_what_cannot_work_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"channel plc: mqtt.topic: unknown field \{site\}; expected one of \{line\}"):
        _channel(1, topic="{site}/{camera}")
    with pytest.raises(ValueError, match=r"mqtt.ca_file: cannot read .*; expected certificates"):
        _channel(1, tls=True, ca_file=tmp_path / "none.pem")
