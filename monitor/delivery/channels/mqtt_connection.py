"""One connection to an MQTT broker, from connecting to its end; it never connects again by itself.

The client library would, and would then send again, in its own time, what we have long reported as failed.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from monitor.channel_settings import Mqtt

KEEP_ALIVE_S = 30


class MqttLost(RuntimeError):
    """The connection did not come about, or ended. The message holds no secrets."""


class MqttConnection:
    """Begins to connect at once, in a thread of the library, where even a name server that hangs holds up nobody."""

    def __init__(self, name: str, settings: Mqtt, tls: ssl.SSLContext | None) -> None:
        from paho.mqtt import client as paho  # noqa: PLC0415 - only where there is such a channel
        from paho.mqtt.enums import CallbackAPIVersion  # noqa: PLC0415

        self._over = threading.Event()
        self._decided = threading.Event()
        self._why = "the connection ended"
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id or f"linewatch-{name}-{uuid4().hex[:8]}",
            clean_session=True,
            protocol=paho.MQTTv311,
            reconnect_on_failure=False,
        )
        self._client.connect_timeout = settings.timeout_s
        self._client.max_inflight_messages_set(100)
        if settings.username is not None:
            password = settings.password.get_secret_value() if settings.password is not None else None
            self._client.username_pw_set(settings.username, password)
        if tls is not None:
            self._client.tls_set_context(tls)
        self._client.on_connect = self._answered
        self._client.on_connect_fail = self._not_reached
        self._client.on_disconnect = self._ended
        self._client.connect_async(settings.host, settings.port, keepalive=KEEP_ALIVE_S)
        self._client.loop_start()

    @property
    def alive(self) -> bool:
        """Whether it is there, or may still come about."""
        return not self._over.is_set()

    def wait(self, deadline: float) -> None:
        """Until it is there. Raises MqttLost where it is not by the deadline (monotonic)."""
        if not self._decided.wait(max(0.0, deadline - time.monotonic())):
            raise MqttLost("not connected within the time-out")
        if self._over.is_set():
            raise MqttLost(self._why)

    def publish(self, messages: Sequence[tuple[str, bytes]], qos: int, retain: bool, deadline: float) -> None:
        """Topics and payloads, in this order; returns when all are confirmed. Raises MqttLost."""
        sent = [self._client.publish(topic, payload, qos, retain) for topic, payload in messages]
        for info in sent:
            while True:
                try:
                    if info.is_published():
                        break
                    left = deadline - time.monotonic()
                    if left <= 0:
                        raise MqttLost("no confirmation within the time-out")
                    if self._over.is_set():
                        raise MqttLost(self._why)
                    info.wait_for_publish(min(left, 0.5))
                except (ValueError, RuntimeError) as error:
                    if isinstance(error, MqttLost):
                        raise
                    raise MqttLost(self._why if self._over.is_set() else str(error)) from None

    def close(self) -> None:
        """Say goodbye where that is possible. Returns at once; the library's thread ends by itself."""
        self._over.set()
        with contextlib.suppress(OSError, ValueError):
            self._client.disconnect()
        threading.Thread(target=self._end, name="mqtt goodbye", daemon=True).start()

    def _end(self) -> None:
        """Its own time for what is on the way, then the socket is cut, which ends the library's thread."""
        until = time.monotonic() + 1.0
        while self._client.socket() is not None and time.monotonic() < until:
            time.sleep(0.02)
        connected: Any = self._client.socket()
        if connected is not None:
            with contextlib.suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)
        self._client.loop_stop()

    def _answered(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._lost(f"it refused the connection: {reason}")
        self._decided.set()

    def _not_reached(self, client: Any, _data: Any) -> None:
        client.disconnect()  # or the library would try for ever
        error = sys.exc_info()[1]  # it calls us from where it caught it
        self._lost(f"not reached: {type(error).__name__}: {error}" if error is not None else "not reached")

    def _ended(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._lost(f"the connection ended: {reason}")

    def _lost(self, why: str) -> None:
        if not self._over.is_set():
            self._why = why
        self._over.set()
        self._decided.set()
