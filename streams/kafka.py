"""Frames from a Kafka topic. Nothing is dropped: a full house pauses the partitions, and offsets follow the work."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from dataclasses import dataclass
from typing import Any

import structlog
from kafka import KafkaConsumer
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import CorruptRecordError, KafkaError, KafkaTimeoutError, RebalanceInProgressError

from streams.backoff import Backoff
from streams.corrupt_records import CorruptRecords
from streams.dead_letters import DeadLetters
from streams.frame import Frame
from streams.handover import Handover, for_broker
from streams.intake import Intake
from streams.kafka_client import opened
from streams.kafka_security import IN_THE_CLEAR, KafkaSecurity, KafkaSecurityError
from streams.offsets import Partition
from streams.source import Outlet

log = structlog.get_logger(__name__)

LONGEST_SILENCE_MS = 60_000
"""A worker whose reader hangs is out of the group after so long; no rebalance waits longer for anyone."""

FETCH_WAIT_MS = 50
"""How long the broker may hold back the answer for an idle partition. What has come in elsewhere is asked for on the
same connection, and waits behind that answer: half a second by default."""

LAST_COMMIT_S = 10.0
"""How long the end may wait for a broker, or a rebalance, before its last commit is given up."""


@dataclass(frozen=True, slots=True)
class KafkaSourceOptions:
    """Where and how to read. `max_message_bytes` bounds a message's value; larger ones are dead letters.

    `max_age_ms` lets frames go that were captured longer ago; `handover_s` bounds how long frames under way may hold
    up a partition that goes to another worker.
    """

    bootstrap_servers: str
    topic: str
    group_id: str
    auto_offset_reset: str = "earliest"
    max_message_bytes: int = 16 << 20
    max_age_ms: int | None = None
    max_poll_records: int = 64
    commit_every_s: float = 1.0
    session_timeout_ms: int = 10_000
    handover_s: float = 5.0
    outage_after_s: float = 5.0
    dead_letters: bool = True
    security: KafkaSecurity = IN_THE_CLEAR


class KafkaSource:
    """A consumer group member that offers frames in partition order and commits what is finished.

    One thread (`run`) owns the consumer; `finish` and `reject` only leave notes for it. A frame that finds no room
    waits here with its partition paused, while polling goes on and keeps the membership alive. When the broker has
    been away for `outage_after_s`, the consumer is built anew: what was in flight is delivered again and, having
    the same identity, changes nothing further down.
    """

    def __init__(self, options: KafkaSourceOptions) -> None:
        self._options = options
        self._dead_letters = DeadLetters(
            options.bootstrap_servers, f"{options.topic}.dlq", options.max_message_bytes, options.security
        )
        self._intake = Intake(
            options.max_message_bytes, options.max_age_ms, self._dead_letters if options.dead_letters else None
        )
        self._consumer: Any = None
        self._handover: Handover | None = None
        self._corrupt: CorruptRecords | None = None
        self._last_commit_s = 0.0
        self._unanswered = False

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
                self._connect()
            except (KafkaError, KafkaSecurityError, OSError) as error:
                outlet.trouble(self.name, self._unreachable(error))
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
        self._intake.finish(frame)

    def reject(self, frame: Frame, error: str) -> None:
        self._intake.reject(frame, error)

    def close(self) -> None:
        self._dead_letters.close()
        if self._consumer is not None:
            with contextlib.suppress(KafkaError, OSError):
                self._commit_at_the_end()
            self._let_go(timeout_ms=5_000)

    @property
    def _heartbeat_ms(self) -> int:
        return min(3_000, self._options.session_timeout_ms // 3)

    def _connect(self) -> None:
        options = self._options
        options.security.check()
        assignor = CooperativeStickyAssignor()
        self._consumer = opened(
            KafkaConsumer,
            bootstrap_servers=options.bootstrap_servers,
            group_id=options.group_id,
            client_id="linewatch",
            enable_auto_commit=False,
            auto_offset_reset=options.auto_offset_reset,
            max_poll_records=options.max_poll_records,
            max_partition_fetch_bytes=options.max_message_bytes + (1 << 20),
            fetch_max_bytes=max(52_428_800, options.max_message_bytes + (1 << 20)),
            fetch_max_wait_ms=FETCH_WAIT_MS,
            session_timeout_ms=options.session_timeout_ms,
            heartbeat_interval_ms=self._heartbeat_ms,
            max_poll_interval_ms=max(LONGEST_SILENCE_MS, options.session_timeout_ms),
            partition_assignment_strategy=(assignor,),
            metadata_max_age_ms=5_000,  # a topic that appears later is seen within seconds, not minutes
            bootstrap_timeout_ms=5_000,
            **options.security.arguments(),
        )
        self._handover = Handover(self._consumer, self._intake, assignor, self.name, options.handover_s)
        self._corrupt = CorruptRecords(self._consumer)
        try:
            self._consumer.subscribe(topics=[options.topic], listener=self._handover)
        except BaseException:  # ValueError for a name that no topic can have
            self._let_go(timeout_ms=1_000)
            raise

    def _unreachable(self, error: Exception | None = None) -> str:
        where = f"Kafka at {self._options.bootstrap_servers}"
        if isinstance(error, KafkaSecurityError):
            return f"{where} (topic {self._options.topic}): {error}"
        if self._options.security.protocol != "PLAINTEXT":
            where += f" over {self._options.security.protocol}"
        # A broker that refuses a certificate or speaks no TLS is told by kafka-python as one that is not there.
        refused = "" if error is None or "bootstrap" in str(error) else f": {type(error).__name__}"
        return f"{where} does not answer (topic {self._options.topic}){refused}; retrying"

    def _consume(self, outlet: Outlet, stop: threading.Event) -> bool:
        """Poll until told to stop, until the broker has been away for too long, or until polling itself fails.

        Returns False where it failed: after an error the consumer's state is not to be trusted (one that met a
        compression that it cannot undo goes round in circles), so a new one is made, with back-off.
        """
        last_contact_s = time.monotonic()
        while not stop.is_set():
            self._intake.offer(outlet)
            if self._corrupt is None or not self._corrupt.due:
                self._set_paused(self._intake.waits)
            try:
                polled = self._poll(timeout_ms=50 if self._intake.waits else 200)
            except (KafkaError, OSError) as error:
                log.warning("kafka_poll_failed", source=self.name, error=f"{type(error).__name__}: {error}")
                outlet.trouble(
                    self.name,
                    f"reading topic {self._options.topic} at {self._options.bootstrap_servers} "
                    f"fails: {type(error).__name__}; retrying",
                )
                self._commit()
                return False
            for camera in self._intake.gone({Partition(p.topic, p.partition) for p in self._consumer.assignment()}):
                outlet.camera_gone(camera)
            for records in polled.values():
                self._intake.take(records)
            self._intake.offer(outlet)
            for partition in polled:
                self._report_lag(partition, outlet)
            if time.monotonic() - self._last_commit_s >= self._options.commit_every_s:
                self._commit()
            if polled or self._connected():
                last_contact_s = time.monotonic()
                silence = None if polled else self._silence()
                outlet.trouble(self.name, self._without_partitions() or silence or self._dead_letters.trouble)
            elif time.monotonic() - last_contact_s > self._options.outage_after_s:
                outlet.trouble(self.name, self._unreachable())
                return True
        return True

    def _poll(self, timeout_ms: int) -> dict[Any, list[Any]]:
        """What came in; nothing where a record was met that cannot be opened, and reading goes on."""
        try:
            polled: dict[Any, list[Any]] = self._consumer.poll(timeout_ms=timeout_ms)
        except CorruptRecordError as error:
            left_out = self._corrupt.pass_by(error) if self._corrupt else None
            if left_out is None:
                raise
            self._intake.take(left_out)
            return {}
        return polled

    def _connected(self) -> bool:
        """Whether any broker is connected. `bootstrap_connected()` would only tell of the first contact."""
        return bool(self._consumer.metrics().get("consumer-metrics", {}).get("connection-count", 0))

    def _silence(self) -> str | None:
        """A broker that stands still keeps its connections, also new ones, and answers nothing: the heartbeats, which
        it answers every few seconds, tell, or the last commit. The consumer is kept; it goes on as soon as the broker
        does."""
        metrics = self._consumer.metrics().get("consumer-coordinator-metrics", {})
        age_s = metrics.get("last-heartbeat-seconds-ago", math.inf)  # infinite before the first
        recent = math.isinf(age_s) or age_s <= max(self._options.outage_after_s, 2 * self._heartbeat_ms / 1000)
        if recent and not self._unanswered:
            return None
        return (
            f"Kafka at {self._options.bootstrap_servers} keeps its connections and answers nothing "
            f"(topic {self._options.topic}); waiting"
        )

    def _without_partitions(self) -> str | None:
        if self._consumer.assignment():
            return None
        return (
            f"no partition of topic {self._options.topic} at {self._options.bootstrap_servers} is assigned yet: "
            f"the topic may not exist, or another member of group {self._options.group_id} holds it"
        )

    def _set_paused(self, paused: bool) -> None:
        assigned = self._consumer.assignment()
        already = self._consumer.paused()
        if paused and assigned - already:
            self._consumer.pause(*(assigned - already))
        elif not paused and already:
            self._consumer.resume(*already)

    def _report_lag(self, partition: Any, outlet: Outlet) -> None:
        with contextlib.suppress(KafkaError, AssertionError):
            end = self._consumer.highwater(partition)
            position = self._consumer.position(partition, timeout_ms=0)
            if end is not None and position is not None:
                outlet.lag(partition.topic, partition.partition, max(0, end - position))

    def _commit(self) -> None:
        """Tell the broker what is finished; where that fails the offsets stay due."""
        self._last_commit_s = time.monotonic()
        self._unanswered = False
        due = self._intake.due()
        if not due:
            return
        try:
            self._consumer.commit(for_broker(due), timeout_ms=5_000)
        except RebalanceInProgressError:
            return  # the next commit, or the handover, takes them
        except (KafkaError, OSError) as error:
            # A crash before the next commit repeats frames and loses none.
            self._unanswered = isinstance(error, KafkaTimeoutError)
            log.warning("kafka_commit_failed", source=self.name, error=type(error).__name__)
            return
        self._intake.committed(due)

    def _commit_at_the_end(self) -> None:
        """The same, and while a rebalance stands in the way, see it through: nothing that is finished is repeated."""
        self._commit()
        end_s = time.monotonic() + LAST_COMMIT_S
        while self._intake.due() and time.monotonic() < end_s:
            self._consumer.poll(timeout_ms=100)  # what comes is not tracked, so it is never committed
            self._commit()

    def _abandon(self) -> None:
        """Let go of a consumer; what it had in flight comes again from the new one."""
        self._intake.forget_all()
        self._let_go(timeout_ms=1_000)

    def _let_go(self, timeout_ms: int) -> None:
        if self._handover is not None:
            self._handover.retire()
        with contextlib.suppress(KafkaError, OSError):
            self._consumer.close(autocommit=False, timeout_ms=timeout_ms)
        self._consumer = None
