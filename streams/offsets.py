"""Which Kafka offsets may be committed: the highest contiguous finished one of each partition."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple


class Partition(NamedTuple):
    """One partition of one topic."""

    topic: str
    number: int


class Started(NamedTuple):
    """One delivery of one offset. The same offset delivered again has another `serial`."""

    partition: Partition
    offset: int
    serial: int


@dataclass(slots=True)
class _Delivery:
    serial: int
    finished: bool = False


@dataclass
class _Progress:
    in_flight: OrderedDict[int, _Delivery] = field(default_factory=OrderedDict)  # by offset, rising
    next_offset: int | None = None  # the offset to commit: one past the last contiguous finished
    committed: int | None = None


class OffsetTracker:
    """Keeps what was read and what is finished, per partition. Thread-safe.

    `start` is called in the order of reading; `finish` in any order, from any thread, any number of times. A delivery
    counts only while it is the latest of its offset: what comes back from before a partition was forgotten, or from
    before it was read anew, is ignored, since the same offset is on its way again or is another worker's business.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._serials = count()
        self._partitions: dict[Partition, _Progress] = {}

    def start(self, partition: Partition, offset: int) -> Started:
        """This offset was read and is on its way. A lower offset than before means that reading went back to it:
        everything from there on comes again."""
        with self._lock:
            progress = self._partitions.setdefault(partition, _Progress())
            while progress.in_flight and next(reversed(progress.in_flight)) >= offset:
                progress.in_flight.popitem()
            if progress.next_offset is not None and progress.next_offset > offset:
                progress.next_offset = offset
            serial = next(self._serials)
            progress.in_flight[offset] = _Delivery(serial)
            return Started(partition, offset, serial)

    def finish(self, started: Started) -> None:
        """This delivery needs nothing more."""
        with self._lock:
            progress = self._partitions.get(started.partition)
            delivery = progress.in_flight.get(started.offset) if progress else None
            if progress is None or delivery is None or delivery.serial != started.serial:
                return
            delivery.finished = True
            while progress.in_flight:
                first, delivery = next(iter(progress.in_flight.items()))
                if not delivery.finished:
                    break
                del progress.in_flight[first]
                progress.next_offset = first + 1

    def withdraw(self, started: Started) -> None:
        """The offset last started was never handed on, and will not be. Raises ValueError for any other."""
        with self._lock:
            progress = self._partitions.get(started.partition)
            if progress is None or started.offset not in progress.in_flight:
                return
            if next(reversed(progress.in_flight)) != started.offset:
                raise ValueError(f"{started} is not the last one started: a commit could pass it")
            progress.in_flight.popitem()

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

    @property
    def all_in_flight(self) -> int:
        """The same, of all partitions."""
        with self._lock:
            return sum(len(progress.in_flight) for progress in self._partitions.values())

    def forget_all(self) -> None:
        """Nothing that was started is ours any more."""
        with self._lock:
            self._partitions.clear()

    def forget(self, partitions: set[Partition]) -> None:
        """These partitions are no longer ours; what comes back for them is ignored."""
        with self._lock:
            for partition in partitions:
                self._partitions.pop(partition, None)
