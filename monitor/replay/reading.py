"""Stored scores, from files that a run recorded, into rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import BinaryIO

from monitor.line_rules import matches
from monitor.recording import day_of
from monitor.replay.rows import BadRecord
from monitor.replay.spill import Stored

Progress = Callable[[int, int | None], None]
"""Told how many records were read, and of how many where that is known."""

MAX_LINE = 1 << 20
NAMED = 5
"""So many bad lines are named."""
TELL_EVERY = 10_000


class ReadingError(RuntimeError):
    """Scores that cannot be read at all; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which scores: from from_ns on, before until_ns, of cameras that match one of the patterns (* and ?)."""

    from_ns: int = 0
    until_ns: int = 1 << 62
    cameras: tuple[str, ...] = ("*",)

    def has_camera(self, camera: str) -> bool:
        return any(matches(camera, pattern) for pattern in self.cameras)


@dataclass
class Read:
    """What a reading met. kept: rows handed on; left_out: not wanted; bad: no records, `named` the first few of them
    with file, line and reason; broken_ends: last lines that were cut off when a process was killed; notes: what
    should be known of the source."""

    kept: int = 0
    left_out: int = 0
    bad: int = 0
    broken_ends: int = 0
    named: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def fault(self, where: str, why: str) -> None:
        """Count a bad record, and name it where it is one of the first."""
        self.bad += 1
        if len(self.named) < NAMED:
            self.named.append(f"{where}: {why}")


class Taker:
    """Takes the text of one record after another: what is wanted goes to `stored`, the rest is counted."""

    def __init__(self, stored: Stored, wanted: Wanted, progress: Progress) -> None:
        self.read = Read()
        self._stored = stored
        self._wanted = wanted
        self._progress = progress
        self._seen = 0
        self._cameras: dict[str, bool] = {}

    def take(self, text: bytes, where: Callable[[], str], more: bytes | None = None) -> None:
        """`where` names the record, if that should be needed. more: a second JSON object with further keys of the
        record. Raises OSError as Stored.add does."""
        self._seen += 1
        if self._seen % TELL_EVERY == 0:
            self._progress(self._seen, None)
        try:
            record = json.loads(text)
            if more is not None and isinstance(record, dict) and isinstance(rest := json.loads(more), dict):
                record = rest | record
            camera, row = self._stored.maker.row(record)
        except BadRecord as error:
            self.read.fault(where(), str(error))
            return
        except (ValueError, RecursionError) as error:
            self.read.fault(where(), f"not JSON: {str(error).splitlines()[0]}")
            return
        fits = self._cameras.get(camera)
        if fits is None:
            fits = self._cameras[camera] = self._wanted.has_camera(camera)
        if not fits or not self._wanted.from_ns <= row[0] < self._wanted.until_ns:
            self.read.left_out += 1
            return
        self._stored.add(camera, row)
        self.read.kept += 1


def read_files(path: Path, stored: Stored, wanted: Wanted, progress: Progress) -> Read:
    """All `*.jsonl` of a folder in the order of their names, or one file. Raises ReadingError."""
    files = _files(path, wanted)
    taker = Taker(stored, wanted, progress)
    for file in files:
        try:
            opened = file.open("rb")
        except OSError as error:
            raise ReadingError(f"{file}: cannot be read: {error.strerror}") from None
        with opened:
            _take_lines(file, opened, taker)
    return taker.read


def _take_lines(file: Path, opened: BinaryIO, taker: Taker) -> None:
    for number, line in enumerate(_lines(file, opened), start=1):
        if line is None:
            taker.read.fault(f"{file}:{number}", f"longer than {MAX_LINE} bytes")
            continue
        text = line.strip()
        if not text:
            continue
        before = taker.read.bad
        taker.take(text, lambda number=number: f"{file}:{number}")  # type: ignore[misc]
        if taker.read.bad > before and not line.endswith(b"\n"):
            # Written by a process that was killed, or just being written.
            taker.read.bad = before
            taker.read.broken_ends += 1
            del taker.read.named[before:]


def _lines(file: Path, opened: BinaryIO) -> Iterator[bytes | None]:
    """Every line with its line break; None for one that is too long."""
    try:
        while line := opened.readline(MAX_LINE):
            if len(line) < MAX_LINE or line.endswith(b"\n"):
                yield line
                continue
            while (rest := opened.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                pass
            yield None
    except OSError as error:
        raise ReadingError(f"{file}: cannot be read to its end: {error.strerror}") from None


def _files(path: Path, wanted: Wanted) -> Sequence[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ReadingError(
            f"{path}: no such file or folder; expected what `linewatch run` records (section recording), "
            "kafka://host:port/topic, or redis"
        )
    try:
        found = sorted(file for file in path.iterdir() if file.suffix == ".jsonl" and file.is_file())
    except OSError as error:
        raise ReadingError(f"{path}: cannot be read: {error.strerror}") from None
    if not found:
        raise ReadingError(
            f"{path}: no .jsonl file there; `linewatch run` writes them where the configuration has "
            "recording: {dir: FOLDER}"
        )
    # A score is written after its frame was captured; a day more, for clocks that disagree.
    first = datetime.fromtimestamp(wanted.from_ns / 1e9, UTC).date() if wanted.from_ns else date.min
    return [file for file in found if (day := day_of(file)) is None or (first - day).days <= 1]
