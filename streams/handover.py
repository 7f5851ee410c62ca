"""Partitions that go to another worker: what is under way is finished and committed before they are let go."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.subscription_state import AsyncConsumerRebalanceListener
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.structs import OffsetAndMetadata

from streams.intake import Intake
from streams.offsets import Partition

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 0.02
COMMIT_LIMIT_S = 5.0


def for_broker(due: dict[Partition, int]) -> dict[TopicPartition, OffsetAndMetadata]:
    """Offsets as kafka-python commits them."""
    return {TopicPartition(p.topic, p.number): OffsetAndMetadata(offset, "", -1) for p, offset in due.items()}


class Handover(AsyncConsumerRebalanceListener):  # type: ignore[misc]
    """Listens to the rebalances of one consumer.

    With the cooperative protocol the next owner gets a partition in the round after this listener has returned, so the
    order of frames holds across workers, and nothing that was finished in time is repeated. kafka-python 3 calls the
    listener on its own loop: a listener that is no coroutine cannot commit there, and would hold up the heartbeats.
    Nothing raises from here, because kafka-python would raise it from `poll`.
    """

    def __init__(
        self,
        consumer: KafkaConsumer,
        intake: Intake,
        assignor: CooperativeStickyAssignor,
        source: str,
        patience_s: float,
    ) -> None:
        """`patience_s`: how long frames under way may take; what takes longer is repeated by the next owner."""
        self._consumer: Any = consumer
        self._intake = intake
        self._assignor = assignor
        self._source = source
        self._patience_s = patience_s
        self._retired = False

    def retire(self) -> None:
        """The consumer is about to be closed: what could be committed is, and nothing more is waited for."""
        self._retired = True

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        partitions = _ours(revoked)
        begun_s = time.monotonic()
        if self._retired:
            return
        try:
            self._intake.withhold(partitions)
            while self._intake.under_way(partitions) and time.monotonic() - begun_s < self._patience_s:
                await self._consumer._net.sleep(LOOK_EVERY_S)  # kafka-python has no public way to wait on its loop
            unfinished = self._intake.under_way(partitions)
            await self._commit()
            log.info(
                "kafka_handed_over",
                source=self._source,
                partitions=sorted(p.number for p in partitions),
                unfinished=unfinished,
                after_s=round(time.monotonic() - begun_s, 2),
            )
        except Exception as error:
            log.warning("kafka_handover_failed", source=self._source, error=f"{type(error).__name__}: {error}")
        finally:
            self._intake.forget(partitions)

    async def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        """Others may hold them already: a commit would be refused, or worse, taken."""
        partitions = _ours(lost)
        self._intake.forget(partitions)
        # The assignor would go on to claim them, and the leader of the group would believe it.
        self._assignor.member_assignment = None
        log.warning("kafka_partitions_lost", source=self._source, partitions=sorted(p.number for p in partitions))

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        log.info("kafka_assigned", source=self._source, partitions=sorted(p.partition for p in assigned))

    async def _commit(self) -> None:
        """Of all partitions, since the next round begins at once, and during it the broker takes no commit."""
        due = self._intake.due()
        if not due:
            return
        end_s = time.monotonic() + COMMIT_LIMIT_S
        future = self._consumer.commit_async(for_broker(due), callback=lambda offsets, answer: None)
        while not future.is_done and time.monotonic() < end_s:
            await self._consumer._net.sleep(LOOK_EVERY_S)
        if future.succeeded():
            self._intake.committed(due)
        else:
            log.warning("kafka_commit_failed", source=self._source, error=type(future.exception).__name__)


def _ours(partitions: Iterable[TopicPartition]) -> set[Partition]:
    return {Partition(p.topic, p.partition) for p in partitions}
