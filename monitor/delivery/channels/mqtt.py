"""Events on an MQTT broker: CloudEvents 1.0 JSON, a message an event.

MQTT 3.1.1, which every broker speaks, those of MQTT 5 included. A message that comes twice has the same CloudEvents
`id`; there is no other key to tell it by. No last will: whether linewatch runs is not for a broker's clients to guess.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from monitor.channel_settings import Mqtt
from monitor.delivery.channels.channel import DeliveryFailed
from monitor.delivery.channels.mqtt_connection import MqttConnection, MqttLost
from monitor.delivery.delivery import Delivery
from monitor.delivery.matching import kind_of
from monitor.delivery.materials import Materials

NOT_IN_A_LEVEL: Final = re.compile(r"[/+#\x00-\x1f\x7f-\x9f]")
"""What parts levels, matches several, or is refused by brokers."""
FIELDS: Final = ("line", "camera", "severity", "kind", "event")
_FIELD: Final = re.compile(r"\{([^{}]*)\}")


class MqttChannel:
    """Waits for the broker's confirmation of each message (qos 1 and 2); with qos 0 until it is on its way.

    All errors count as failed, not as refused, wrong logins too: an MQTT broker refuses whole connections, never a
    single message, so what helps is mended at the broker, and the messages wait for it.
    """

    parallel = 4

    def __init__(self, name: str, settings: Mqtt, materials: Materials) -> None:
        """Raises ValueError where the topic has unknown fields, or the certificates cannot be read."""
        self.name = name
        unknown = [field for field in _FIELD.findall(settings.topic) if field not in FIELDS]
        if unknown:
            known = ", ".join(f"{{{field}}}" for field in FIELDS)
            raise ValueError(f"channel {name}: mqtt.topic: unknown field {{{unknown[0]}}}; expected one of {known}")
        self._settings = settings
        self._materials = materials
        self._tls = _tls(name, settings)
        self._lock = threading.Lock()
        self._connection: MqttConnection | None = None

    def deliver(self, delivery: Delivery) -> None:
        deadline = time.monotonic() + self._settings.timeout_s
        messages = [(self._topic(event), json.dumps(event).encode()) for event in delivery.events]
        connection: MqttConnection | None = None
        try:
            connection = self._connected(deadline)
            connection.publish(messages, self._settings.qos, self._settings.retain, deadline)
        except MqttLost as error:
            self._drop(connection)
            where = f"{self._settings.host}:{self._settings.port}"
            raise DeliveryFailed(f"{self.name}: MQTT broker {where}: {error}") from None

    def close(self) -> None:
        self._drop(self._connection)

    def _connected(self, deadline: float) -> MqttConnection:
        """The connection there is, or a new one. One at a time connects; the others wait for that."""
        if not self._lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise MqttLost(f"not connected within {self._settings.timeout_s:g} s")
        try:
            if self._connection is None or not self._connection.alive:
                if self._connection is not None:
                    self._connection.close()
                self._connection = MqttConnection(self.name, self._settings, self._tls)
            self._connection.wait(deadline)
            return self._connection
        except MqttLost:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            raise
        finally:
            self._lock.release()

    def _drop(self, connection: MqttConnection | None) -> None:
        """Begin anew next time: what is unconfirmed on an old connection must not come late, past newer messages."""
        with self._lock:
            if connection is not None and connection is self._connection:
                self._connection = None
        if connection is not None:
            connection.close()

    def _topic(self, event: Mapping[str, Any]) -> str:
        alert = event["data"]
        camera = str(alert["camera"])
        values = {
            "line": self._materials.place(camera).line or "-",
            "camera": camera,
            "severity": str(alert.get("severity", "-")),
            "kind": kind_of(event),
            "event": str(event["type"]).rsplit(".", 1)[-1],
        }
        topic = _FIELD.sub(lambda field: NOT_IN_A_LEVEL.sub("_", values[field[1]]) or "-", self._settings.topic)
        return f"_{topic[1:]}" if topic.startswith("$") else topic  # brokers keep such topics to themselves


def _tls(name: str, settings: Mqtt) -> ssl.SSLContext | None:
    if not settings.tls:
        return None
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(
            f"channel {name}: mqtt.ca_file: cannot read {settings.ca_file}: {error.strerror or error}; expected "
            "certificates in PEM"
        ) from None
