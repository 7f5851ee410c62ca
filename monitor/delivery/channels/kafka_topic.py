"""Alerts on a Kafka topic: CloudEvents 1.0 JSON, keyed by camera."""

from __future__ import annotations

import json
import time
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError

from monitor.delivery.channels.channel import DeliveryFailed, DeliveryRefused
from monitor.delivery.delivery import Delivery
from streams.kafka_client import close_hard, opened
from streams.kafka_security import IN_THE_CLEAR, KafkaSecurity


class KafkaTopicChannel:
    """Each event is a record of its own; the broker's word on all of them is waited for."""

    parallel = 1

    def __init__(
        self,
        name: str,
        bootstrap_servers: str,
        topic: str,
        timeout_s: float = 10.0,
        security: KafkaSecurity = IN_THE_CLEAR,
    ) -> None:
        """Connects when the first delivery comes."""
        self.name = name
        self._bootstrap_servers = bootstrap_servers
        self._security = security
        self._topic = topic
        self._timeout_s = timeout_s
        self._producer: Any = None

    def deliver(self, delivery: Delivery) -> None:
        try:
            too_large = self._send(delivery)
        except (KafkaError, OSError) as error:
            self._give_up()
            raise DeliveryFailed(f"Kafka at {self._bootstrap_servers}: {type(error).__name__}") from None
        if too_large:
            raise DeliveryRefused(
                f"topic {self._topic}: larger than the broker or this client takes: {', '.join(too_large)}"
            )

    def _send(self, delivery: Delivery) -> list[str]:
        """All that can be sent is there when this returns; the ids of the events that are too large."""
        if self._producer is None:
            self._producer = self._opened()
        waiting, too_large = [], []
        for number, event in enumerate(delivery.events):
            key = delivery.delivery_id if len(delivery.events) == 1 else f"{delivery.delivery_id}.{number}"
            headers = [("content-type", b"application/cloudevents+json"), ("idempotency-key", key.encode())]
            try:
                sent = self._producer.send(
                    self._topic,
                    key=str(event["subject"]).encode(),
                    value=json.dumps(event).encode(),
                    headers=headers,
                )
                waiting.append((str(event["id"]), sent))
            except MessageSizeTooLargeError:
                too_large.append(str(event["id"]))
        until_s = time.monotonic() + self._timeout_s
        for event_id, sent in waiting:
            try:
                sent.get(timeout=max(until_s - time.monotonic(), 0.001))
            except MessageSizeTooLargeError:
                too_large.append(event_id)
        return too_large

    def _opened(self) -> Any:
        return opened(
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

    def _give_up(self) -> None:
        """A producer that failed may never deliver again: its place in the numbering that guards against repetition is
        lost with a batch that was given up, or with the broker's memory of it. The next delivery gets a new one."""
        producer, self._producer = self._producer, None
        if producer is not None:
            close_hard(producer)

    def close(self) -> None:
        """What was delivered has been confirmed, so nothing is waited for."""
        self._give_up()
