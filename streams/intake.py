"""The accounting of Kafka records: what was read, what waits for room, what is under way, what may be committed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from streams.dead_letters import DeadLetters
from streams.frame import Frame
from streams.message import MessageError, Record, frame_of
from streams.offsets import OffsetTracker, Partition, Started
from streams.source import Keep, Outlet

UNNAMED = "unknown"
"""The camera under which messages are counted that name none."""

STALE = "stale"
"""Why a frame that is too old for live use is let go."""


MOST_UNFINISHED = 300_000
"""So many offsets may stand behind a dead letter that cannot be written, before reading waits for it: some 60 MB."""


class _Ticket(NamedTuple):
    started: Started
    key: bytes | None


class Intake:
    """Turns records into frames, in the order of reading, and keeps the books of their offsets.

    A record is opened, counted and tracked only when its turn comes, so that whatever waits here can be given up
    without a trace when its partition goes to another worker. `finish` and `reject` are thread-safe; the rest belongs
    to the thread that polls, or to the rebalance listener, which runs only while that thread stands in `poll`.
    """

    def __init__(self, max_message_bytes: int, max_age_ms: int | None, dead_letters: DeadLetters | None) -> None:
        self._max_message_bytes = max_message_bytes
        self._max_age_ns = None if max_age_ms is None else max_age_ms * 1_000_000
        self._dead_letters = dead_letters
        self._tracker = OffsetTracker()
        self._cameras: dict[str, Partition] = {}  # where each was last read
        self._gone: set[str] = set()
        self._waiting: deque[Record] = deque()
        self._refused: Frame | None = None  # the first of `_waiting`, for which there was no room

    @property
    def waits(self) -> bool:
        """Whether records wait here for room."""
        return bool(self._waiting)

    def take(self, records: Iterable[Record]) -> None:
        """Records in the order of their partitions."""
        self._waiting.extend(records)

    def offer(self, outlet: Outlet) -> None:
        """Pass on what waits, until there is no room, or too much that was passed on cannot be finished."""
        while self._waiting and not self._burdened() and self._pass_on(self._waiting[0], outlet):
            self._waiting.popleft()

    def _burdened(self) -> bool:
        """Whether memory has to be guarded: where dead letters cannot be written, they and all that stands behind the
        first of them are kept."""
        if self._dead_letters is None:
            return False
        return self._dead_letters.full or self._tracker.all_in_flight > MOST_UNFINISHED

    def finish(self, frame: Frame) -> None:
        if isinstance(frame.ticket, _Ticket):
            self._tracker.finish(frame.ticket.started)

    def reject(self, frame: Frame, error: str) -> None:
        key = frame.ticket.key if isinstance(frame.ticket, _Ticket) else None
        self._put_aside(error, frame.origin, key, frame.payload, lambda: self.finish(frame))

    def due(self) -> dict[Partition, int]:
        """The offsets to commit that the broker does not have yet."""
        return self._tracker.committable()

    def committed(self, offsets: dict[Partition, int]) -> None:
        """The broker has taken these."""
        self._tracker.committed(offsets)

    def withhold(self, partitions: set[Partition]) -> None:
        """Give up what waits here of these partitions: it was never counted, and whoever reads them next does that."""
        if self._refused is not None and isinstance(self._refused.ticket, _Ticket):
            started = self._refused.ticket.started
            if started.partition in partitions:
                self._tracker.withdraw(started)
                self._refused = None
        self._waiting = deque(r for r in self._waiting if Partition(r.topic, r.partition) not in partitions)

    def under_way(self, partitions: set[Partition]) -> int:
        """How many frames and dead letters of these partitions are not finished, or stand behind one that is not."""
        return sum(self._tracker.in_flight(partition) for partition in partitions)

    def forget(self, partitions: set[Partition]) -> None:
        """These partitions are no longer ours: what is under way is finished without effect."""
        self.withhold(partitions)
        self._tracker.forget(partitions)
        self._gone |= {camera for camera, partition in self._cameras.items() if partition in partitions}
        self._cameras = {c: partition for c, partition in self._cameras.items() if partition not in partitions}

    def gone(self, assigned: set[Partition]) -> set[str]:
        """The cameras whose partition is no longer ours, each told once. `assigned`: what is ours now; while that is
        nothing, as after an outage, nobody knows yet."""
        if assigned:
            away = {camera for camera, partition in self._cameras.items() if partition not in assigned}
            self._cameras = {c: p for c, p in self._cameras.items() if c not in away}
            self._gone |= away
        gone, self._gone = self._gone - self._cameras.keys(), set()
        return gone

    def forget_all(self) -> None:
        """No partition is ours any more."""
        self._refused = None
        self._waiting.clear()
        self._tracker.forget_all()

    def _pass_on(self, record: Record, outlet: Outlet) -> bool:
        """False where there is no room for it."""
        frame, self._refused = self._refused or self._open(record, outlet), None
        if frame is None:
            return True
        if self._max_age_ns is not None and time.time_ns() - frame.captured_at_ns > self._max_age_ns:
            outlet.skip(frame.camera, STALE)
            self.finish(frame)
            return True
        if outlet.offer(frame, Keep.ALL):
            if isinstance(frame.ticket, _Ticket):
                self._cameras[frame.camera] = frame.ticket.started.partition
            return True
        self._refused = frame
        return False

    def _open(self, record: Record, outlet: Outlet) -> Frame | None:
        """The record's frame; None where it has none, and that is accounted for."""
        started = self._tracker.start(Partition(record.topic, record.partition), record.offset)
        try:
            return frame_of(record, self._max_message_bytes, _Ticket(started, record.key))
        except MessageError as error:
            outlet.refuse(error.camera or UNNAMED, error.reason)
            self._put_aside(
                f"{error.reason}: {error}",
                f"{record.topic}/{record.partition}/{record.offset}",
                record.key,
                record.value,
                lambda: self._tracker.finish(started),
            )
            return None

    def _put_aside(
        self, error: str, origin: str, key: bytes | None, value: bytes | None, done: Callable[[], None]
    ) -> None:
        if self._dead_letters is None:
            done()
        else:
            self._dead_letters.add(error=error, origin=origin, key=key, value=value, done=done)
