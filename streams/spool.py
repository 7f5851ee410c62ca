"""A bounded queue of frames on disk: in order, oldest dropped first, kept over crashes and restarts."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import structlog

from streams.spool_file import NAME, PAGE_BYTES, SpoolError, is_damage, move_aside, open_file, primary_code
from streams.spool_rows import Change, Kept, cost_of, frames_after, remove, store, stored

log = structlog.get_logger(__name__)

BUFFER_FULL, DISK_FULL, DISK_ERROR, DAMAGED = "buffer_full", "disk_full", "disk_error", "buffer_damaged"
"""Why frames were dropped, for counters."""

REOPEN_AFTER_S = 2.0
SHRINK_BYTES = 16 << 20
"""An empty file larger than this is cut back, so that the disk is free again after an outage."""


class Spool:
    """Frames that wait for a broker, in one SQLite file. For one thread; its figures may be read from others.

    A frame is stored with `append` (or `guard`), handed out by `read`, and leaves the disk only with `acknowledge`.
    What was handed out and not acknowledged is handed out again after `rewind`, and by the next process. The frames
    take at most `max_bytes` on disk; for a new one the oldest live frames that are not handed out go, and where there
    are none, it is dropped itself. Nothing but opening raises: what was dropped is told by `losses`, and why nothing
    can be stored by `trouble`.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """Raises SpoolError (see streams.spool_file). A disk that is full is no error: it is waited for."""
        self._file = folder / NAME
        self._max_bytes = max_bytes
        self._db: sqlite3.Connection | None = None
        self._why_closed: sqlite3.Error | None = None
        self._retry_at_s = 0.0
        self._trouble: str | None = None
        self._next = 1
        self._read_up_to = 0
        self._counts: Counter[str] = Counter()
        self._bytes = 0
        self._out: dict[int, str] = {}
        self._gone: dict[int, int] = {}  # acknowledged, but not yet removed from the disk: their costs
        self._losses: Counter[tuple[str, str]] = Counter()
        self._recovered: Counter[str] = Counter()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._open()
        except OSError as error:
            raise SpoolError(f"the folder {folder} cannot be made: {error.strerror}") from None
        except sqlite3.Error as error:
            self._why_closed = error
            self._failed(error)

    @property
    def bytes(self) -> int:
        """What the frames take on disk, in whole pages."""
        return self._bytes

    @property
    def frames(self) -> int:
        """Frames in the buffer, handed out or not."""
        return sum(self._counts.values())

    @property
    def unread(self) -> int:
        """Frames that are not handed out."""
        return sum(self._counts.values()) - len(self._out)

    @property
    def counts(self) -> dict[str, int]:
        """Frames in the buffer by camera."""
        return dict(self._counts)

    @property
    def trouble(self) -> str | None:
        """Why frames cannot be stored at present, for an operator."""
        return self._trouble

    def next_number(self) -> int:
        """A place behind all that was ever given in this run, and behind all that is stored."""
        number = self._next
        self._next += 1
        return number

    def losses(self) -> dict[tuple[str, str], int]:
        """Frames dropped since the last call, by camera and reason."""
        found, self._losses = self._losses, Counter()
        return dict(found)

    def recovered(self) -> dict[str, int]:
        """Frames of an earlier process that were found since the last call, by camera."""
        found, self._recovered = self._recovered, Counter()
        return dict(found)

    def append(self, frames: Sequence[Kept]) -> None:
        """Store frames, rising in number; one whose number is there already is left as it is. Payloads must be set."""
        if not frames:
            return
        try:
            self._do(lambda db, room: store(db, frames, room_bytes=room, after=self._read_up_to))
            self._fine()
        except sqlite3.Error as error:
            self._failed(error)
            for kept in frames:
                if kept.number not in self._out:  # those are on disk already, unless the file was damaged
                    self._append_alone(kept)

    def guard(self, frames: Sequence[Kept]) -> None:
        """Store frames that are on their way, as if handed out, for the case of a crash; drop nothing for them.

        Nothing that waits may be older than they.
        """
        new = [kept for kept in frames if kept.number not in self._out]
        if not new or self._bytes + sum(cost_of(kept.frame) for kept in new) > self._max_bytes:
            return
        try:
            self._do(lambda db, room: store(db, new, room_bytes=room, after=self._read_up_to))
        except sqlite3.Error as error:
            self._failed(error)
            return
        for kept in new:
            self._hand_out(kept)

    def read(self, max_frames: int, max_bytes: int) -> list[Kept]:
        """Hand out the next frames in order, within both limits, but at least one where there is one."""
        if self._db is None or not self.unread:
            return []
        try:
            found = list(frames_after(self._db, self._read_up_to, self._gone, max_frames, max_bytes))
        except sqlite3.Error as error:
            self._failed(error)
            return []
        for kept in found:
            self._hand_out(kept)
        return found

    def rewind(self) -> None:
        """Whoever took frames has lost them: all that is not acknowledged is handed out again, in order."""
        self._read_up_to = 0
        self._out.clear()

    def acknowledge(self, numbers: Iterable[int]) -> None:
        """These frames have arrived and leave the buffer. Numbers that are not stored are passed over."""
        if self._db is None or not (self._counts or self._gone):
            return
        try:
            for number, camera, cost in stored(self._db, (n for n in numbers if n not in self._gone)):
                self._gone[number] = cost
                self._counts[camera] -= 1
                self._out.pop(number, None)
            self._counts = +self._counts
            self._do(lambda db, room: Change())
        except sqlite3.Error as error:  # what the disk did not let us remove goes with the next transaction
            self._failed(error)
        else:
            if not self._counts:
                self._shrink()

    def close(self) -> None:
        """Let the file go. What is in it waits for the next process."""
        if self._gone and self._db is not None:  # once more: the disk may have room again
            try:
                self._do(lambda db, room: Change())
            except sqlite3.Error as error:
                self._failed(error)
        if self._gone:
            log.warning("buffer_keeps_sent_frames", frames=len(self._gone), file=str(self._file), why=self._trouble)
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None

    def _hand_out(self, kept: Kept) -> None:
        self._out[kept.number] = kept.frame.camera
        self._read_up_to = max(self._read_up_to, kept.number)

    def _open(self) -> None:
        db = open_file(self._file.parent)
        try:
            rows = db.execute("SELECT camera, COUNT(*), SUM(cost), MAX(number) FROM frames GROUP BY camera").fetchall()
        except sqlite3.Error as error:
            db.close()
            if not is_damage(error):
                raise
            move_aside(self._file, str(error))
            db, rows = open_file(self._file.parent), []
        self._db = db
        self._counts = Counter({camera: count for camera, count, _, _ in rows})
        self._bytes = sum(cost for _, _, cost, _ in rows)
        self._next = max([self._next, *(last + 1 for *_, last in rows)])
        self._recovered += self._counts

    def _do(self, work: Callable[[sqlite3.Connection, int], Change], reason: str = BUFFER_FULL) -> None:
        """One transaction of `work(db, bytes that are free)`, and the account after it.

        Raises sqlite3.Error, with nothing done.
        """
        db = self._db or self._open_again()
        still_there = self._bytes - sum(self._gone.values())
        db.execute("BEGIN IMMEDIATE")
        try:
            remove(db, self._gone)
            change = work(db, (self._max_bytes if reason == BUFFER_FULL else still_there) - still_there)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                with suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
            raise
        self._bytes = still_there
        self._gone.clear()
        for _, camera, cost in change.added:
            self._counts[camera] += 1
            self._bytes += cost
        for _, camera, cost in change.evicted:
            self._counts[camera] -= 1
            self._bytes -= cost
        self._counts = +self._counts
        for camera, count in change.lost.items():
            self._losses[camera, reason] += count

    def _open_again(self) -> sqlite3.Connection:
        if self._why_closed is None or time.monotonic() >= self._retry_at_s:
            self._retry_at_s = time.monotonic() + REOPEN_AFTER_S
            try:
                self._open()
                self._why_closed = None
            except SpoolError as error:
                self._why_closed = sqlite3.OperationalError(str(error))
            except sqlite3.Error as error:
                self._why_closed = error
        if self._db is None:
            assert self._why_closed is not None
            raise self._why_closed
        return self._db

    def _append_alone(self, kept: Kept) -> None:
        """Once more, by itself; where the disk gives nothing more, in the place of older frames."""
        try:
            try:
                self._do(lambda db, room: store(db, [kept], room_bytes=room, after=self._read_up_to))
            except sqlite3.Error as error:
                if primary_code(error) != sqlite3.SQLITE_FULL or self._db is None:
                    raise
                self._do(lambda db, room: store(db, [kept], room_bytes=room, after=self._read_up_to), DISK_FULL)
        except sqlite3.Error as error:
            self._losses[kept.frame.camera, self._failed(error)] += 1

    def _failed(self, error: sqlite3.Error) -> str:
        """Note why the file cannot be used; begin a new one where it is damaged. Returns the reason for counters."""
        where = self._file.parent
        if is_damage(error) and self._db is not None:
            self._begin_anew(error)
            return DAMAGED
        if primary_code(error) == sqlite3.SQLITE_FULL:
            reason, told = DISK_FULL, f"the disk with {where} is full: frames are dropped until there is room again"
        else:
            reason, told = DISK_ERROR, f"the buffer in {where} cannot be used ({error}): its frames are dropped"
        if told != self._trouble:
            log.error(reason, folder=str(where), error=str(error))
        self._trouble = told
        return reason

    def _fine(self) -> None:
        if self._trouble is not None:
            log.info("buffer_works_again", folder=str(self._file.parent))
        self._trouble = None

    def _begin_anew(self, error: sqlite3.Error) -> None:
        """What waits in a damaged file is lost; what is on its way is still in memory with whoever took it."""
        assert self._db is not None
        with suppress(sqlite3.Error):
            self._db.close()
        self._db = None
        for camera, count in (self._counts - Counter(self._out.values())).items():
            self._losses[camera, DAMAGED] += count
        self._counts, self._bytes, self._out, self._gone = Counter(), 0, {}, {}
        try:
            move_aside(self._file, str(error))
        except SpoolError as worse:
            self._trouble = str(worse)
            self._why_closed = sqlite3.OperationalError(str(worse))
            self._retry_at_s = time.monotonic() + REOPEN_AFTER_S

    def _shrink(self) -> None:
        """Give the disk back what an outage took."""
        assert self._db is not None
        self._fine()
        try:
            (pages,) = self._db.execute("PRAGMA page_count").fetchone()
            if pages * PAGE_BYTES > SHRINK_BYTES:
                self._db.execute("VACUUM")
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error as error:
            log.warning("buffer_not_shrunk", file=str(self._file), error=str(error))
