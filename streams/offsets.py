"""Which Kafka offsets may be committed: the highest contiguous finished one of each partition."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple


class Partition(NamedTuple):
    """One partition of one topic."""

    topic: str
    number: int


@dataclass
class _Progress:
    in_flight: OrderedDict[int, bool] = field(default_factory=OrderedDict)  # offset -> finished
    next_offset: int | None = None  # the offset to commit: one past the last contiguous finished
    committed: int | None = None


class OffsetTracker:
    """Keeps what was read and what is finished, per partition. Thread-safe.

    `start` is called in rising offset order by the reader; `finish` in any order, from any thread, any number of
    times. An offset that was never started, or whose partition was forgotten, is ignored: after a rebalance it is
    another worker's business.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._partitions: dict[Partition, _Progress] = {}

    def start(self, partition: Partition, offset: int) -> None:
        """This offset was read and is on its way."""
        with self._lock:
            self._partitions.setdefault(partition, _Progress()).in_flight[offset] = False

    def finish(self, partition: Partition, offset: int) -> None:
        """This offset needs nothing more."""
        with self._lock:
            progress = self._partitions.get(partition)
            if progress is None or offset not in progress.in_flight:
                return
            progress.in_flight[offset] = True
            while progress.in_flight:
                first, finished = next(iter(progress.in_flight.items()))
                if not finished:
                    break
                del progress.in_flight[first]
                progress.next_offset = first + 1

    def committable(self) -> dict[Partition, int]:
        """The offset to commit for each partition where it moved since `committed` was told."""
        with self._lock:
            return {
                partition: progress.next_offset
                for partition, progress in self._partitions.items()
                if progress.next_offset is not None and progress.next_offset != progress.committed
            }

    def committed(self, offsets: dict[Partition, int]) -> None:
        """The broker has taken these."""
        with self._lock:
            for partition, offset in offsets.items():
                if partition in self._partitions:
                    self._partitions[partition].committed = offset

    def in_flight(self, partition: Partition) -> int:
        """How many read offsets of a partition are not yet covered by `committable`."""
        with self._lock:
            progress = self._partitions.get(partition)
            return len(progress.in_flight) if progress else 0

    def forget_all(self) -> None:
        """Nothing that was started is ours any more."""
        with self._lock:
            self._partitions.clear()

    def forget(self, partitions: set[Partition]) -> None:
        """These partitions are no longer ours; what comes back for them is ignored."""
        with self._lock:
            for partition in partitions:
                self._partitions.pop(partition, None)
