"""Alerts on a Kafka topic: CloudEvents 1.0 JSON, keyed by camera."""

from __future__ import annotations

import json
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError

from monitor.alerting.channels.channel import DeliveryFailed, DeliveryRefused
from streams.kafka_client import close_hard, opened
from streams.kafka_security import IN_THE_CLEAR, KafkaSecurity


class KafkaTopicChannel:
    """Waits for the broker's word on every event before the next one."""

    name = "kafka"

    def __init__(
        self, bootstrap_servers: str, topic: str, timeout_s: float = 10.0, security: KafkaSecurity = IN_THE_CLEAR
    ) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._security = security
        self._topic = topic
        self._timeout_s = timeout_s
        self._producer: Any = None

    def deliver(self, event: dict[str, Any]) -> None:
        try:
            if self._producer is None:
                self._producer = opened(
                    KafkaProducer,
                    bootstrap_servers=self._bootstrap_servers,
                    acks="all",
                    client_id="linewatch-alerts",
                    bootstrap_timeout_ms=round(self._timeout_s * 1000),
                    max_block_ms=round(self._timeout_s * 1000),
                    delivery_timeout_ms=round(self._timeout_s * 1000),
                    request_timeout_ms=round(self._timeout_s * 500),
                    **self._security.arguments(),
                )
            self._producer.send(
                self._topic,
                key=str(event["subject"]).encode(),
                value=json.dumps(event).encode(),
                headers=[("content-type", b"application/cloudevents+json")],
            ).get(timeout=self._timeout_s)
        except MessageSizeTooLargeError as error:
            raise DeliveryRefused(f"topic {self._topic}: {error}") from None
        except (KafkaError, OSError) as error:
            self._give_up()
            raise DeliveryFailed(f"Kafka at {self._bootstrap_servers}: {type(error).__name__}") from None

    def _give_up(self) -> None:
        """A producer that failed may never deliver again: its place in the numbering that guards against repetition is
        lost with a batch that was given up, or with the broker's memory of it. The next event gets a new one."""
        producer, self._producer = self._producer, None
        if producer is not None:
            close_hard(producer)

    def close(self) -> None:
        if self._producer is not None:
            self._producer.close(timeout=5)
