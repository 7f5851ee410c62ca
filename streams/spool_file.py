"""The file behind the buffer on disk: opened by one process at a time, and moved aside where it is damaged."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

NAME = "frames.sqlite3"
PAGE_BYTES = 4096
VERSION = 1
JOURNAL_BYTES = 4 << 20
"""What the journal beside the file is cut back to; while many frames are written at once it is larger."""

SCHEMA = (
    """CREATE TABLE frames (
    number INTEGER PRIMARY KEY, live INTEGER NOT NULL, cost INTEGER NOT NULL, camera TEXT NOT NULL,
    seq INTEGER NOT NULL, captured_at_ns INTEGER NOT NULL, origin TEXT NOT NULL, product TEXT, payload BLOB NOT NULL
    )""",
    "CREATE INDEX live_frames ON frames (number, camera, cost) WHERE live = 1",
)


class SpoolError(Exception):
    """The buffer cannot be used; the message says why and what to do."""


class SpoolInUseError(SpoolError):
    """Another process has the buffer open."""


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's result code without its detail, -1 where the error has none."""
    code = getattr(error, "sqlite_errorcode", None)
    return -1 if code is None else code & 0xFF


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is broken, rather than the disk or the moment."""
    return primary_code(error) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def open_file(folder: Path) -> sqlite3.Connection:
    """The file of this folder, made if it is not there, locked for this process alone until it is closed.

    A file that is damaged, or of another version, is moved aside and a new one begun; the log says where it went.
    Raises SpoolInUseError, SpoolError (no access), and sqlite3.Error for what may pass, such as a full disk.
    """
    file = folder / NAME
    try:
        return _connect(file)
    except sqlite3.Error as error:
        if primary_code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise SpoolInUseError(
                f"{file} is open in another process: two ingests cannot share a buffer; give each a folder of its own"
            ) from None
        if primary_code(error) in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}:
            raise SpoolError(f"{file} cannot be opened for writing: {error}; check who owns it") from None
        if not is_damage(error):
            raise
        move_aside(file, str(error))
    return _connect(file)


def move_aside(file: Path, why: str) -> Path:
    """Keep a damaged file under another name, for whoever wants to look at it. Raises SpoolError where it cannot."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    aside = file.with_name(f"{file.name}.damaged-{stamp}")
    try:
        size = file.stat().st_size
        for end in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                file.with_name(file.name + end).rename(aside.with_name(aside.name + end))
        file.rename(aside)
    except OSError as error:
        raise SpoolError(f"{file} is damaged ({why}) and cannot be moved aside: {error.strerror}") from None
    log.error(
        "buffer_damaged",
        file=str(file),
        why=why,
        moved_to=str(aside),
        size_bytes=size,
        remedy="a new buffer is begun; delete the old file when nobody needs it",
    )
    return aside


def _connect(file: Path) -> sqlite3.Connection:
    db = sqlite3.connect(file, timeout=1.0, isolation_level=None, check_same_thread=False)
    try:
        db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        # Asked for before the first access: SQLite then holds its lock until the connection is closed or we die.
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = WAL")
        # Every commit survives our end; only a power cut can take the last ones, and never the file.
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA journal_size_limit = {JOURNAL_BYTES}")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version not in (0, VERSION):
            raise _damage(f"version {version}, expected {VERSION}")
        db.execute("BEGIN IMMEDIATE")  # takes the lock
        if version == 0:
            for statement in SCHEMA:
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")
        db.execute("SELECT number, live, cost, camera, seq, captured_at_ns, origin, product FROM frames LIMIT 1")
    except BaseException:
        db.close()
        raise
    return db


def _damage(why: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(why)
    error.sqlite_errorcode = sqlite3.SQLITE_NOTADB
    return error
