"""What the buffer on disk does inside one transaction: which frames go in, and which go for them."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from streams.frame import Frame
from streams.spool_file import PAGE_BYTES

Row = tuple[int, str, int]
"""A stored frame for the books: number, camera, cost."""


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """A frame with its place in the queue. `live`: dropped before others, since its camera could not wait for room."""

    number: int
    frame: Frame
    live: bool


@dataclass(frozen=True, slots=True)
class Change:
    """What one transaction does to the account. lost: frames dropped by camera, evicted ones and new ones alike."""

    added: list[Row] = field(default_factory=list)
    evicted: list[Row] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)


def cost_of(frame: Frame) -> int:
    """Bytes that a frame takes in the file: whole pages, its particulars included."""
    return (len(frame.payload or b"") + 512 + PAGE_BYTES - 1) // PAGE_BYTES * PAGE_BYTES


def store(db: sqlite3.Connection, frames: Sequence[Kept], *, room_bytes: int, after: int) -> Change:
    """Insert frames in rising order of number; one that is stored already is left as it is.

    Beyond `room_bytes` the oldest live frames with a number above `after` go; a frame for which that is not enough, or
    that would be the oldest itself, is dropped.
    """
    change = Change()
    for kept in frames:
        if db.execute("SELECT 1 FROM frames WHERE number = ?", (kept.number,)).fetchone():
            continue
        frame, cost = kept.frame, cost_of(kept.frame)
        victims = _victims(db, kept, cost - room_bytes, after)
        if victims is None:
            change.lost[frame.camera] += 1
            continue
        remove(db, (number for number, _, _ in victims))
        change.evicted.extend(victims)
        change.lost.update(camera for _, camera, _ in victims)
        books = (kept.number, int(kept.live), cost, frame.camera, frame.seq, frame.captured_at_ns, frame.origin)
        db.execute("INSERT INTO frames VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*books, frame.product, frame.payload))
        change.added.append((kept.number, frame.camera, cost))
        room_bytes += sum(freed for _, _, freed in victims) - cost
    return change


def _victims(db: sqlite3.Connection, kept: Kept, missing_bytes: int, after: int) -> list[Row] | None:
    found: list[Row] = []
    if missing_bytes <= 0:
        return found
    older = db.execute(
        "SELECT number, camera, cost FROM frames INDEXED BY live_frames WHERE live = 1 AND number > ? AND number < ? "
        "ORDER BY number",
        (after, kept.number if kept.live else 1 << 62),
    )
    for row in older:
        found.append(row)
        missing_bytes -= row[2]
        if missing_bytes <= 0:
            older.close()
            return found
    return None


def remove(db: sqlite3.Connection, numbers: Iterable[int]) -> None:
    db.executemany("DELETE FROM frames WHERE number = ?", ((number,) for number in numbers))


def stored(db: sqlite3.Connection, numbers: Iterable[int]) -> list[Row]:
    """The books of those frames that are there."""
    found = []
    for number in numbers:
        row = db.execute("SELECT camera, cost FROM frames WHERE number = ?", (number,)).fetchone()
        if row is not None:
            found.append((number, *row))
    return found


def frames_after(
    db: sqlite3.Connection, after: int, skipped: Collection[int], max_frames: int, max_bytes: int
) -> Iterator[Kept]:
    """Frames with a number above `after`, in order and without `skipped`; one at least, then within both limits."""
    rows = db.execute(
        "SELECT number, live, camera, seq, captured_at_ns, origin, product, payload FROM frames WHERE number > ? "
        "ORDER BY number",
        (after,),
    )
    first = True
    for number, live, camera, seq, captured_at_ns, origin, product, payload in rows:
        if number in skipped:
            continue
        if not first and (max_frames <= 0 or max_bytes < len(payload)):
            break
        yield Kept(number, Frame(camera, seq, captured_at_ns, origin, payload, product=product), bool(live))
        first, max_frames, max_bytes = False, max_frames - 1, max_bytes - len(payload)
    rows.close()
