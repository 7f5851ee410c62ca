"""Stored scores from the topic that a run publishes them to."""

from __future__ import annotations

import re
import time
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from monitor.publishing import REPLAY_HEADER
from monitor.replay.reading import Progress, Read, ReadingError, Taker, Wanted
from monitor.replay.spill import Stored
from streams.kafka_client import opened
from streams.kafka_security import IN_THE_CLEAR, KafkaSecurity

SILENCE_S = 30.0
"""A broker that sends nothing for so long, though more should come, is given up."""
ADDRESS = re.compile(r"kafka://([^/]+:\d+)/([A-Za-z0-9._-]{1,249})")


def read_topic(
    address: str, stored: Stored, wanted: Wanted, progress: Progress, security: KafkaSecurity = IN_THE_CLEAR
) -> Read:
    """`kafka://host:port/topic`, from its beginning, or the wanted time, to its end as of now. Raises ReadingError.

    No consumer group and no commit: reading leaves no trace at the broker.
    """
    named = ADDRESS.fullmatch(address)
    if named is None:
        raise ReadingError(f"{address}: expected kafka://host:port/topic (several host:port parted by commas)")
    servers, topic = named.groups()
    consumer = None
    try:
        consumer = opened(
            KafkaConsumer,
            bootstrap_servers=servers,
            client_id="linewatch-replay",
            group_id=None,
            enable_auto_commit=False,
            max_poll_records=5_000,
            bootstrap_timeout_ms=10_000,
            **security.arguments(),
        )
        return _read(consumer, servers, topic, Taker(stored, wanted, progress), wanted)
    except (KafkaError, AssertionError) as error:
        raise ReadingError(f"{address}: the broker cannot be read: {type(error).__name__}: {error}") from None
    finally:
        if consumer is not None:
            consumer.close(autocommit=False)


def _read(consumer: Any, servers: str, topic: str, taker: Taker, wanted: Wanted) -> Read:
    numbers = consumer.partitions_for_topic(topic) or set()
    if not numbers:
        raise ReadingError(f"{servers}: no topic {topic}; scores go to publish.scores_topic of a run")
    partitions = [TopicPartition(topic, number) for number in sorted(numbers)]
    consumer.assign(partitions)
    ends = consumer.end_offsets(partitions)
    begins = consumer.beginning_offsets(partitions)
    for partition in partitions:
        consumer.seek(partition, begins[partition])
    if wanted.from_ns:
        # A record is stamped when it is sent, after its frame was captured: nothing wanted lies before.
        found = consumer.offsets_for_times({p: wanted.from_ns // 1_000_000 for p in partitions})
        for partition, at in found.items():
            consumer.seek(partition, ends[partition] if at is None else max(at.offset, begins[partition]))
    began_ms, last_s = time.time() * 1000, time.monotonic()
    while True:
        left = sum(max(0, ends[p] - consumer.position(p)) for p in partitions)
        taken = 0
        for partition, records in consumer.poll(timeout_ms=500).items():
            for record in records:
                # Not by the offset alone: Tansu calls the last batch's first record the end.
                if record.offset < ends[partition] or record.timestamp <= began_ms:
                    _take(record, taker)
                    taken += 1
        if taken:
            last_s = time.monotonic()
        elif not left:
            break
        elif time.monotonic() - last_s > SILENCE_S:
            raise ReadingError(f"{servers}: the broker stopped sending {topic}; {left} records were still to come")
    return taker.read


def _take(record: Any, taker: Taker) -> None:
    more = next((value for name, value in record.headers if name == REPLAY_HEADER), None)
    taker.take(record.value or b"", lambda: f"{record.topic}/{record.partition}/{record.offset}", more)
