"""Records that kafka-python cannot open: found, read once more, and passed by."""

from __future__ import annotations

from typing import Any

import structlog
from kafka import TopicPartition
from kafka.errors import CorruptRecordError, KafkaError

from streams.message import Unreadable

log = structlog.get_logger(__name__)


class CorruptRecords:
    """Leads one consumer past what it cannot open: a check sum that is wrong, a header's name that is no UTF-8.

    kafka-python tells neither partition nor offset, and goes round in circles where it is polled again: both are met
    by looking at what it has in its hands. Where that cannot be told, the consumer has to be made anew. What follows
    such a record in the batch it was sent in is passed by as well, one by one: the client opens a batch from its start.
    """

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._met: dict[TopicPartition, int] = {}

    @property
    def due(self) -> bool:
        """Whether the next poll will raise. If its partition is paused before, kafka-python forgets the error, and
        the poll after `resume` never returns."""
        fetcher = getattr(self._consumer, "_fetcher", None)
        return getattr(fetcher, "_next_in_line_exception_metadata", None) is not None

    def pass_by(self, error: CorruptRecordError) -> list[Unreadable] | None:
        """Make the consumer fit to go on after a poll that raised this. Returns what is left out for good, which is
        nothing at the first time, since the fault may be the transport's; None where nothing could be done."""
        try:
            records = self._consumer._fetcher._next_partition_records
            if not records:
                return None
            # Within a batch that was asked for from its middle, it may have stumbled on the way there.
            partition, offset = records.topic_partition, max(records.fetch_offset, records.next_fetch_offset)
            if partition not in self._consumer.assignment():
                return None
            if self._consumer.position(partition, timeout_ms=0) != offset:
                return None
            records.drain()
            if self._met.get(partition) != offset:
                self._met[partition] = offset
                return []
            self._consumer.seek(partition, offset + 1)
        except (AttributeError, AssertionError, KafkaError) as problem:
            log.warning("kafka_corrupt_record_not_found", error=f"{type(problem).__name__}: {problem}")
            return None
        log.warning(
            "kafka_corrupt_record", origin=f"{partition.topic}/{partition.partition}/{offset}", error=str(error)
        )
        return [Unreadable(partition.topic, partition.partition, offset, str(error))]
