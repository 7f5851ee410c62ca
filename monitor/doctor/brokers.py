"""Whether Kafka answers, and whether topics can be read and written as the settings say. Joins and commits nothing."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import (
    AuthorizationError,
    KafkaError,
    KafkaTimeoutError,
    SaslAuthenticationFailedError,
    TopicAlreadyExistsError,
)

from monitor.doctor.finding import Finding, failed, ok, warning
from monitor.doctor.network import unreachable
from monitor.inputs import KafkaInput, KafkaSecurity
from monitor.kafka_security import security_of
from streams.codec import CodecError, decode
from streams.kafka_security import KafkaSecurityError
from streams.message import MessageError, Record, frame_of

ANSWER_MS = 5_000
NEWEST_S = 4.0
CREATE = "kafka-topics.sh --bootstrap-server {servers} --create --topic {topic}"


class _Away(Exception):
    """The brokers cannot be used; holds the finding."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.said)
        self.finding = finding


def examine_input(settings: KafkaInput, key: str, max_pixels: int, over: threading.Event) -> Iterator[Finding]:
    """A topic with frames: brokers, topic, group, the newest message, the dead letters. key: where it is set."""
    servers, group = settings.bootstrap_servers, settings.group_id
    try:
        yield from _reach(servers, key)
        with _consumer(servers, settings.security, key, group, settings.max_message_bytes) as consumer:
            topics: set[str] = consumer.topics()
            if settings.topic not in topics:
                others = ", ".join(sorted(topics - {settings.topic})[:5]) or "none"
                yield failed(
                    f"the topic {settings.topic} does not exist; there are: {others}",
                    f"correct {key}.topic, or create it: {CREATE.format(servers=servers, topic=settings.topic)}",
                )
                return
            partitions = [TopicPartition(settings.topic, n) for n in consumer.partitions_for_topic(settings.topic)]
            ends: dict[Any, int] = consumer.end_offsets(partitions)
            record = _newest(consumer, [p for p in partitions if ends[p]], ends, over)
            yield from _group(settings, consumer, partitions, ends)
            yield _looked_at(record, settings.max_message_bytes, max_pixels)
        yield from _writable(servers, settings.security, [f"{settings.topic}.dlq"], topics)
    except _Away as error:
        yield error.finding
    except AuthorizationError as error:
        yield failed(
            f"the login may not do this: {type(error).__name__.removesuffix('Error')}",
            f"give it the right to read the topic {settings.topic} and the group {group}",
        )
    except KafkaError as error:
        yield failed(f"{servers}: {type(error).__name__} while reading", "look at the broker's own log")


def examine_topics(
    servers: str, security: KafkaSecurity, key: str, wanted: Sequence[str], over: threading.Event
) -> Iterator[Finding]:
    """Topics that scores or alerts go to. key: where they are set."""
    try:
        yield from _reach(servers, key)
        with _consumer(servers, security, key, None, 1 << 20) as consumer:
            topics: set[str] = consumer.topics()
        yield from _writable(servers, security, wanted, topics)
    except _Away as error:
        yield error.finding
    except KafkaError as error:
        yield failed(f"{servers}: {type(error).__name__}", "look at the broker's own log")


def _reach(servers: str, key: str) -> Iterator[Finding]:
    """Every server by itself. Raises _Away where none can be connected to."""
    faults = []
    all_servers = [server.strip() for server in servers.split(",")]
    for server in all_servers:
        host, _, port = server.rpartition(":")
        fault = unreachable(host.strip("[]"), int(port))
        if fault is not None:
            faults.append(fault)
    told, remedy = "; ".join(faults), f"start the broker, or correct {key}.bootstrap_servers"
    if len(faults) == len(all_servers):
        raise _Away(failed(told, remedy))
    if faults:
        yield warning(told, remedy)


@contextlib.contextmanager
def _consumer(servers: str, security: KafkaSecurity, key: str, group: str | None, max_bytes: int) -> Iterator[Any]:
    """A consumer that subscribes to nothing, and so is no member of its group. Raises _Away."""
    opened = security_of(security)
    try:
        opened.check()
        consumer = KafkaConsumer(
            bootstrap_servers=servers,
            group_id=group,
            client_id="linewatch-doctor",
            enable_auto_commit=False,
            allow_auto_create_topics=False,
            bootstrap_timeout_ms=ANSWER_MS,
            request_timeout_ms=ANSWER_MS,
            session_timeout_ms=ANSWER_MS - 500,
            max_poll_records=1,
            max_partition_fetch_bytes=max_bytes + (1 << 20),
            **opened.arguments(),
        )
    except KafkaSecurityError as error:
        raise _Away(failed(str(error), f"correct {key}.security")) from None
    except SaslAuthenticationFailedError:
        raise _Away(
            failed(f"{servers}: it refuses the login", f"correct username and password of {key}.security")
        ) from None
    except KafkaTimeoutError:
        raise _Away(
            failed(
                f"{servers}: connected, but no broker answers within {ANSWER_MS / 1000:.0f} s (security.protocol "
                f"{security.protocol})",
                f"is it a Kafka broker? Does it want TLS or a login? See {key}.security",
            )
        ) from None
    except (KafkaError, OSError, ValueError) as error:
        raise _Away(failed(f"{servers}: {type(error).__name__}", f"look at {key} and the broker's own log")) from None
    try:
        yield consumer
    finally:
        with contextlib.suppress(KafkaError, OSError):
            consumer.close(autocommit=False, timeout_ms=1_000)


def _group(settings: KafkaInput, consumer: Any, partitions: Sequence[Any], ends: dict[Any, int]) -> Iterator[Finding]:
    begins: dict[Any, int] = consumer.beginning_offsets(partitions)
    committed = {partition: consumer.committed(partition) for partition in partitions}
    held = sum(ends[p] - begins[p] for p in partitions)
    yield ok(
        f"{settings.bootstrap_servers}: topic {settings.topic} has {len(partitions)} "
        f"partition{'s' * (len(partitions) != 1)} with {held:,} messages"
    )
    first_time = settings.auto_offset_reset == "earliest"
    waiting = sum(ends[p] - max(begins[p], at) for p in partitions if (at := committed[p]) is not None)
    waiting += sum(ends[p] - begins[p] for p in partitions if committed[p] is None and first_time)
    known = sum(at is not None for at in committed.values())
    if known == 0:
        begin = "with the oldest message" if first_time else "with the next message"
        yield ok(f"group {settings.group_id} has read nothing yet and begins {begin}; {waiting:,} wait")
    else:
        yield ok(f"group {settings.group_id}: {waiting:,} messages wait")


def _newest(consumer: Any, partitions: Sequence[Any], ends: dict[Any, int], over: threading.Event) -> Record | None:
    """The newest message of those at the partitions' ends; None where there is none to be had.

    `ends` is corrected by what comes with the messages: some brokers count a batch of messages as one when asked.
    """
    at_ends: dict[Any, Record] = {}
    end_s = time.monotonic() + NEWEST_S
    if partitions:
        consumer.assign(partitions)
    for partition in partitions:
        consumer.seek(partition, ends[partition] - 1)
    reached: set[Any] = set()
    while len(reached) < len(partitions) and time.monotonic() < end_s and not over.is_set():
        for partition, records in consumer.poll(timeout_ms=500).items():
            ends[partition] = max(ends[partition], consumer.highwater(partition) or 0)
            at_ends[partition] = records[-1]
            if records[-1].offset >= ends[partition] - 1:
                reached.add(partition)
                consumer.pause(partition)
            else:
                consumer.seek(partition, ends[partition] - 1)
    return max(at_ends.values(), key=lambda record: record.timestamp or 0, default=None)


def _looked_at(record: Record | None, max_message_bytes: int, max_pixels: int) -> Finding:
    if record is None:
        return warning(
            "there is no message to look at", "start what sends frames; `linewatch ingest` or `linewatch simulate` do"
        )
    age = "" if record.timestamp is None else f", {_age(time.time() - record.timestamp / 1000)} old"
    where = f"message {record.topic}/{record.partition}/{record.offset}{age}"
    try:
        frame = frame_of(record, max_message_bytes, None)
        height, width = decode(frame.payload or b"", max_pixels).shape[:2]
    except (MessageError, CodecError) as error:
        return failed(
            f"{where}, is no frame: {error.reason}: {error}",
            "send an encoded image as the value and the camera as the key or the header `camera` (docs/topics.md)",
        )
    return ok(f"{where}, is a frame of camera {frame.camera}, {width}x{height}")


def _writable(servers: str, security: KafkaSecurity, wanted: Sequence[str], topics: set[str]) -> Iterator[Finding]:
    """Whether the topics are there, or else could be made; the broker is only asked."""
    missing = [topic for topic in wanted if topic not in topics]
    for topic in wanted:
        if topic in topics:
            yield ok(f"the topic {topic} is there")
    if not missing:
        return
    admin = KafkaAdminClient(
        bootstrap_servers=servers,
        client_id="linewatch-doctor",
        request_timeout_ms=ANSWER_MS,
        **security_of(security).arguments(),
    )
    try:
        for topic in missing:
            create = f"create it: {CREATE.format(servers=servers, topic=topic)}"
            try:
                admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)], validate_only=True)
            except TopicAlreadyExistsError:
                yield ok(f"the topic {topic} is there")
            except KafkaError as error:
                yield failed(f"the topic {topic} does not exist and cannot be made: {type(error).__name__}", create)
            else:
                yield warning(f"the topic {topic} does not exist yet", f"{create}; some brokers do so by themselves")
    finally:
        with contextlib.suppress(KafkaError, OSError):
            admin.close()


def _age(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.1f} s"
