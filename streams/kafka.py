"""Frames from a Kafka topic. Nothing is dropped: a full house pauses the partitions, and offsets follow the work."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from streams.backoff import Backoff
from streams.dead_letters import DeadLetters
from streams.frame import Frame
from streams.message import MessageError, frame_of
from streams.offsets import OffsetTracker, Partition
from streams.source import Keep, Outlet

log = structlog.get_logger(__name__)

UNNAMED = "unknown"
"""The camera under which messages are counted that name none."""


@dataclass(frozen=True, slots=True)
class KafkaSourceOptions:
    """Where and how to read. `max_message_bytes` bounds a message's value; larger ones are dead letters."""

    bootstrap_servers: str
    topic: str
    group_id: str
    auto_offset_reset: str = "earliest"
    max_message_bytes: int = 16 << 20
    max_poll_records: int = 64
    commit_every_s: float = 1.0
    session_timeout_ms: int = 10_000
    outage_after_s: float = 5.0
    dead_letters: bool = True


class _Ticket(NamedTuple):
    partition: Partition
    offset: int
    key: bytes | None


class KafkaSource:
    """A consumer group member that offers frames in partition order and commits what is finished.

    One thread (`run`) owns the consumer; `finish` and `reject` only leave notes for it. A frame that finds no room
    waits here with its partition paused, while polling goes on and keeps the membership alive. When the broker has
    been away for `outage_after_s`, the consumer is built anew: what was in flight is delivered again and, having
    the same identity, changes nothing further down.
    """

    def __init__(self, options: KafkaSourceOptions) -> None:
        self._options = options
        self._tracker = OffsetTracker()
        self._waiting: deque[Frame] = deque()
        self._dead_letters = DeadLetters(options.bootstrap_servers, f"{options.topic}.dlq", options.max_message_bytes)
        self._consumer: Any = None
        self._last_commit_s = 0.0

    @property
    def name(self) -> str:
        return f"kafka:{self._options.topic}"

    @property
    def cameras(self) -> tuple[str, ...]:
        return ()

    def run(self, outlet: Outlet, stop: threading.Event) -> None:
        backoff = Backoff(first_s=0.5, limit_s=10.0)
        while not stop.is_set():
            try:
                self._consumer = self._connect()
            except (KafkaError, OSError) as error:
                outlet.trouble(self.name, self._unreachable())
                log.warning(
                    "kafka_unreachable", source=self.name, servers=self._options.bootstrap_servers, error=str(error)
                )
                stop.wait(backoff.next_s())
                continue
            try:
                healthy = self._consume(outlet, stop)
            except Exception:
                self._abandon()
                raise
            if stop.is_set():
                return
            self._abandon()
            if healthy:
                backoff.reset()
            else:
                stop.wait(backoff.next_s())

    def finish(self, frame: Frame) -> None:
        if isinstance(frame.ticket, _Ticket):
            self._tracker.finish(frame.ticket.partition, frame.ticket.offset)

    def reject(self, frame: Frame, error: str) -> None:
        key = frame.ticket.key if isinstance(frame.ticket, _Ticket) else None
        self._put_aside(
            error=error,
            origin=frame.origin,
            key=key,
            value=frame.payload,
            done=lambda: self.finish(frame),
        )

    def _put_aside(
        self, *, error: str, origin: str, key: bytes | None, value: bytes | None, done: Callable[[], None]
    ) -> None:
        if self._options.dead_letters:
            self._dead_letters.add(error=error, origin=origin, key=key, value=value, done=done)
        else:
            done()

    def close(self) -> None:
        self._dead_letters.close()
        if self._consumer is not None:
            self._commit()
            with contextlib.suppress(KafkaError, OSError):
                self._consumer.close(autocommit=False, timeout_ms=5_000)
            self._consumer = None

    def _connect(self) -> Any:
        options = self._options
        consumer = KafkaConsumer(
            bootstrap_servers=options.bootstrap_servers,
            group_id=options.group_id,
            client_id="linewatch",
            enable_auto_commit=False,
            auto_offset_reset=options.auto_offset_reset,
            max_poll_records=options.max_poll_records,
            max_partition_fetch_bytes=options.max_message_bytes + (1 << 20),
            fetch_max_bytes=max(52_428_800, options.max_message_bytes + (1 << 20)),
            session_timeout_ms=options.session_timeout_ms,
            heartbeat_interval_ms=min(3_000, options.session_timeout_ms // 3),
            metadata_max_age_ms=5_000,  # a topic that appears later is seen within seconds, not minutes
            bootstrap_timeout_ms=5_000,
        )
        consumer.subscribe(topics=[options.topic], listener=_Revocations(self))
        return consumer

    def _unreachable(self) -> str:
        return f"Kafka at {self._options.bootstrap_servers} does not answer (topic {self._options.topic}); retrying"

    def _consume(self, outlet: Outlet, stop: threading.Event) -> bool:
        """Poll until told to stop, until the broker has been away for too long, or until polling itself fails.

        Returns False where it failed: after an error the consumer's state is not to be trusted (one that met a
        compression that it cannot undo goes round in circles), so a new one is made, with back-off.
        """
        last_contact_s = time.monotonic()
        while not stop.is_set():
            self._offer_waiting(outlet)
            self._set_paused(bool(self._waiting))
            try:
                polled = self._consumer.poll(timeout_ms=50 if self._waiting else 200)
            except (KafkaError, OSError) as error:
                log.warning("kafka_poll_failed", source=self.name, error=f"{type(error).__name__}: {error}")
                outlet.trouble(
                    self.name,
                    f"reading topic {self._options.topic} at {self._options.bootstrap_servers} "
                    f"fails: {type(error).__name__}; retrying",
                )
                return False
            for partition, records in polled.items():
                for record in records:
                    self._accept(record, outlet)
                self._report_lag(partition, outlet)
            self._dead_letters.send_due()
            if time.monotonic() - self._last_commit_s >= self._options.commit_every_s:
                self._commit()
            if polled or self._connected():
                last_contact_s = time.monotonic()
                outlet.trouble(self.name, self._without_partitions())
            elif time.monotonic() - last_contact_s > self._options.outage_after_s:
                outlet.trouble(self.name, self._unreachable())
                return True
        return True

    def _connected(self) -> bool:
        """Whether any broker is connected. `bootstrap_connected()` would only tell of the first contact."""
        return bool(self._consumer.metrics().get("consumer-metrics", {}).get("connection-count", 0))

    def _without_partitions(self) -> str | None:
        if self._consumer.assignment():
            return None
        return (
            f"no partition of topic {self._options.topic} at {self._options.bootstrap_servers} is assigned yet: "
            f"the topic may not exist, or another member of group {self._options.group_id} holds it"
        )

    def _accept(self, record: Any, outlet: Outlet) -> None:
        partition = Partition(record.topic, record.partition)
        self._tracker.start(partition, record.offset)
        try:
            frame = frame_of(record, self._options.max_message_bytes, _Ticket(partition, record.offset, record.key))
        except MessageError as error:
            outlet.refuse(error.camera or UNNAMED, error.reason)
            self._put_aside(
                error=f"{error.reason}: {error}",
                origin=f"{record.topic}/{record.partition}/{record.offset}",
                key=record.key,
                value=record.value,
                done=lambda: self._tracker.finish(partition, record.offset),
            )
            return
        self._waiting.append(frame)
        self._offer_waiting(outlet)

    def _offer_waiting(self, outlet: Outlet) -> None:
        while self._waiting and outlet.offer(self._waiting[0], Keep.ALL):
            self._waiting.popleft()

    def _set_paused(self, paused: bool) -> None:
        assigned = self._consumer.assignment()
        already = self._consumer.paused()
        if paused and assigned - already:
            self._consumer.pause(*(assigned - already))
        elif not paused and already:
            self._consumer.resume(*already)

    def _report_lag(self, partition: Any, outlet: Outlet) -> None:
        end = self._consumer.highwater(partition)
        if end is not None:
            with contextlib.suppress(KafkaError, AssertionError):
                position = self._consumer.position(partition, timeout_ms=0)
                if position is not None:
                    outlet.lag(partition.topic, partition.partition, max(0, end - position))

    def _commit(self) -> None:
        self._last_commit_s = time.monotonic()
        due = self._tracker.committable()
        if not due or self._consumer is None:
            return
        offsets = {
            TopicPartition(partition.topic, partition.number): OffsetAndMetadata(offset, "", -1)
            for partition, offset in due.items()
        }
        try:
            self._consumer.commit(offsets, timeout_ms=5_000)
        except (KafkaError, OSError) as error:
            # The offsets stay due; a crash before the next commit repeats frames and loses none.
            log.warning("kafka_commit_failed", source=self.name, error=type(error).__name__)
            return
        self._tracker.committed(due)

    def _abandon(self) -> None:
        """Let go of a consumer; what it had in flight comes again from the new one."""
        self._waiting.clear()
        self._tracker.forget_all()
        with contextlib.suppress(KafkaError, OSError):
            self._consumer.close(autocommit=False, timeout_ms=1_000)
        self._consumer = None

    def _revoked(self, partitions: set[Partition]) -> None:
        """Frames that wait here for room were never counted: whoever reads the partition next counts them."""
        self._waiting = deque(
            frame
            for frame in self._waiting
            if not (isinstance(frame.ticket, _Ticket) and frame.ticket.partition in partitions)
        )
        self._tracker.forget(partitions)


class _Revocations(ConsumerRebalanceListener):  # type: ignore[misc]
    """Commits what is finished before partitions go to another member."""

    def __init__(self, source: KafkaSource) -> None:
        self._source = source

    def on_partitions_revoked(self, revoked: Any) -> None:
        self._source._commit()
        self._source._revoked({Partition(p.topic, p.partition) for p in revoked})

    def on_partitions_lost(self, lost: Any) -> None:
        self._source._revoked({Partition(p.topic, p.partition) for p in lost})

    def on_partitions_assigned(self, assigned: Any) -> None:
        log.info("kafka_assigned", source=self._source.name, partitions=sorted(p.partition for p in assigned))
