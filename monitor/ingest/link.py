"""One connection to the broker, from the first contact until it is given up."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from kafka import KafkaProducer
from kafka.errors import (
    InvalidRecordError,
    KafkaError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    UnsupportedForMessageFormatError,
)

from streams.frame import Frame
from streams.kafka_client import close_hard, opened
from streams.kafka_security import IN_THE_CLEAR, KafkaSecurity

BATCH_BYTES = 512 << 10
"""Half of what a broker takes by default; many small pictures travel together."""
LINGER_MS = 10
CONTACT_MS = 3_000
"""How long a first contact may take."""
BLOCK_MS = 2_000
"""How long the client may look for the topic."""
HEADER_BYTES = 64 << 10
"""Room for a message's key and headers beside its picture."""


class LinkError(Exception):
    """The broker cannot be reached or takes nothing; the message is for an operator."""


class RefusedError(Exception):
    """This one message will never be taken. `reason` is short and stable."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


Done = Callable[[Exception | None], None]
"""Told once what became of a frame: None where the broker has it, RefusedError, or what went wrong. From any thread."""


class Link(Protocol):
    """A connection that takes frames, in order of `send` within a camera. After one that failed it takes none."""

    def send(self, frame: Frame, done: Done) -> None:
        """Hand a frame over. Raises RefusedError, and LinkError where nothing can be sent any more."""
        ...

    @property
    def connected(self) -> bool:
        """Whether any broker is connected at this moment."""
        ...

    def close(self, timeout_s: float) -> None:
        """Give what is not acknowledged `timeout_s` and then give it up; its `done` is told. Raises nothing."""
        ...


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """Where to send. A value of more than `max_message_bytes` is refused before it is sent."""

    bootstrap_servers: str
    topic: str
    max_message_bytes: int
    security: KafkaSecurity = IN_THE_CLEAR


class KafkaLink:
    """A producer whose messages are written once and in order, for as long as it lives.

    A broker that goes away for less than the delivery time-out (two minutes) gets what was sent without repetition;
    what is given up and sent again by another link may arrive twice.
    """

    def __init__(self, options: LinkOptions) -> None:
        """Connects, and looks for the topic. Takes some seconds where nobody answers. Raises LinkError."""
        self._options = options
        servers, topic = options.bootstrap_servers, options.topic
        try:
            self._producer: Any = opened(
                KafkaProducer,
                bootstrap_servers=servers,
                client_id="linewatch-ingest",
                acks="all",
                enable_idempotence=True,
                linger_ms=LINGER_MS,
                batch_size=BATCH_BYTES,
                max_request_size=options.max_message_bytes + HEADER_BYTES,
                max_block_ms=BLOCK_MS,
                bootstrap_timeout_ms=CONTACT_MS,
                reconnect_backoff_max_ms=2_000,
                **options.security.arguments(),
            )
        except Exception as error:  # kafka-python lets socket, TLS and its own errors through
            raise LinkError(f"Kafka at {servers} does not answer ({type(error).__name__}); retrying") from None
        try:
            self._producer.partitions_for(topic)
        except Exception as error:
            self.close(0)
            raise LinkError(
                f"topic {topic} at {servers} cannot be had ({type(error).__name__}): it may not exist, or we may not "
                "write to it; retrying"
            ) from None

    def send(self, frame: Frame, done: Done) -> None:
        headers = [
            ("camera", frame.camera.encode()),
            ("captured_at", b"%d" % frame.captured_at_ns),
            ("seq", b"%d" % frame.seq),
        ]
        if frame.product is not None:
            headers.append(("product", frame.product.encode()))
        try:
            future = self._producer.send(
                self._options.topic, key=frame.camera.encode(), value=frame.payload, headers=headers
            )
        except Exception as error:
            found = self._kind(error)
            raise (found if isinstance(found, RefusedError) else LinkError(str(found))) from None
        future.add_callback(lambda _: done(None))
        future.add_errback(lambda error: self._failed(error, done))

    @property
    def connected(self) -> bool:
        return bool(self._producer.metrics().get("producer-metrics", {}).get("connection-count", 0))

    def close(self, timeout_s: float) -> None:
        with contextlib.suppress(KafkaError):
            self._producer.flush(timeout=timeout_s)
        close_hard(self._producer)

    def _failed(self, error: Exception, done: Done) -> None:
        """Called by the client's own thread."""
        found = self._kind(error)
        if not isinstance(found, RefusedError):
            # Stop the client before it sends what comes behind this frame: that would arrive in the wrong order.
            self._producer._sender.force_close()
        done(found)

    def _kind(self, error: Exception) -> Exception:
        if isinstance(error, (MessageSizeTooLargeError, RecordListTooLargeError)):
            return RefusedError(
                "oversized",
                "larger than the broker or kafka.max_message_bytes allows; raise the broker's message.max.bytes",
            )
        if isinstance(error, (InvalidRecordError, PolicyViolationError, UnsupportedForMessageFormatError)):
            return RefusedError("refused", f"the broker refuses it: {type(error).__name__}")
        return LinkError(f"Kafka at {self._options.bootstrap_servers} takes no frames ({type(error).__name__})")
