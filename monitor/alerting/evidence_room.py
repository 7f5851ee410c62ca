"""How much evidence lies on disk, and what of it goes: by age, and by size."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
OURS = re.compile(r"(?:[0-9a-f]{1,64}|none)-(?:evidence\.jpg|heatmap\.jpg|clip\.mp4)")
HALF_WRITTEN = re.compile(r"\..*\.part")
HALF_WRITTEN_S = 3600.0
"""What a process that was killed had begun to write is removed after so long."""

DOWN_TO = 0.9
"""A folder that is too large is brought down to this share of its limit, so that it is not swept at every picture."""
COUNT_EVERY = 0.05
"""After so large a share of the limit was written, the folder is counted anew: other workers may write there too."""
COUNT_AT_LEAST = 0.01
"""And not sooner than after this one, even where nothing can be deleted."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of the folder. written_s: since the epoch."""

    path: str
    written_s: float
    size: int


class EvidenceRoom:
    """Thread-safe. Any number of processes may look after the same folder: what one deletes first, the others miss
    without harm. Only files that are named as ours are ever deleted: in folders that are named by a day, and
    beside these what was never finished.

    Between two sweeps the folder grows past its limit by 5 % of it for each process at most, and by what is written
    while a sweep runs.
    """

    def __init__(self, folder: Path, keep_s: float, max_bytes: int | None) -> None:
        """max_bytes: None for no limit."""
        self._folder = folder
        self._keep_s = keep_s
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._one_at_a_time = threading.Lock()
        self._counting = False
        self._written = 0
        self._count_at = 0
        """Bytes written here when the folder is to be counted next."""

    def wrote(self, count: int) -> None:
        """So many bytes were written. Sweeps early, in a thread of its own, where it may be too much by now."""
        if self._max_bytes is None:
            return
        with self._lock:
            self._written += count
            if self._counting or self._written < self._count_at:
                return
            self._counting = True
        threading.Thread(target=self._count, name="evidence-sweep", daemon=True).start()

    def _count(self) -> None:
        try:
            gone = self.sweep(time.time())
            if gone:
                log.info("evidence_swept_early", files=gone, folder=str(self._folder))
        except Exception:
            log.exception("evidence_sweep_failed")
        finally:
            self._counting = False

    def sweep(self, now_s: float) -> int:
        """Delete what is too old, what is too much (oldest first), and emptied folders; how many files went. now_s:
        since the epoch."""
        with self._one_at_a_time:
            begun_at = self._written
            folders, kept, leftovers = self._look_round()
            old = [file for file in kept if file.written_s < now_s - self._keep_s]
            rest = [file for file in kept if file.written_s >= now_s - self._keep_s]
            for file in leftovers:
                if file.written_s < now_s - HALF_WRITTEN_S:
                    _remove(file)
            gone = sum(_remove(file) for file in old)
            gone += self._make_room(rest, begun_at)
            for folder in folders:
                _remove_empty(folder)
            return gone

    def files(self) -> Iterator[Kept]:
        """The files that are whole, in no order."""
        yield from self._look_round()[1]

    def _make_room(self, files: list[Kept], begun_at: int) -> int:
        """Delete the oldest of these where they are too much; how many went. begun_at: what was written before they
        were counted."""
        if self._max_bytes is None:
            return 0
        total, gone = sum(file.size for file in files), 0
        if total > self._max_bytes:
            files.sort(key=lambda file: (file.written_s, file.path))
            for file in files:
                if total <= self._max_bytes * DOWN_TO:
                    break
                if _remove(file):
                    gone += 1
                if not os.path.lexists(file.path):  # another worker may have been first
                    total -= file.size
        if total > self._max_bytes:
            log.warning(
                "evidence_too_large",
                folder=str(self._folder),
                bytes=total,
                max_bytes=self._max_bytes,
                remedy="files there cannot be deleted: give the service's user the right to",
            )
        room = max(self._max_bytes - total, self._max_bytes * COUNT_AT_LEAST)
        with self._lock:
            self._count_at = begun_at + round(min(room, self._max_bytes * COUNT_EVERY))
        return gone

    def _look_round(self) -> tuple[list[str], list[Kept], list[Kept]]:
        """The folders of days; the files there that are whole; those that were never finished."""
        folders: list[str] = []
        whole: list[Kept] = []
        leftovers: list[Kept] = []
        for day in _entries(self._folder):
            if HALF_WRITTEN.fullmatch(day.name):  # a film that was being made
                _note(day, leftovers)
            if not DAY.fullmatch(day.name):
                continue
            folders.append(day.path)
            for entry in _entries(day.path):
                if OURS.fullmatch(entry.name):
                    _note(entry, whole)
                elif HALF_WRITTEN.fullmatch(entry.name):
                    _note(entry, leftovers)
        return folders, whole, leftovers


def _note(entry: os.DirEntry[str], into: list[Kept]) -> None:
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:  # another worker was faster
        return
    into.append(Kept(entry.path, found.st_mtime, found.st_size))


def _entries(folder: Path | str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:  # not there yet, no folder, or gone this moment
        return []


def _remove(file: Kept) -> bool:
    """Whether it was us who removed it."""
    try:
        os.unlink(file.path)
    except FileNotFoundError:
        return False
    except OSError as error:
        log.info("evidence_sweep", file=os.path.basename(file.path), error=error.strerror)
        return False
    return True


def _remove_empty(folder: str) -> None:
    with suppress(OSError):  # it is not empty, or another worker was faster
        os.rmdir(folder)
