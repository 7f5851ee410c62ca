"""Rows of any number, sorted by camera and time, in the memory that one camera's busiest day takes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from monitor.replay.rows import ROW, Row, RowMaker, Rows

BUFFERED = 200_000
"""Rows held before they go to disk."""
CHUNK = 4096
DAY_NS = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Stretch:
    """count scores from first_ns to last_ns."""

    count: int
    first_ns: int
    last_ns: int

    def joined(self, other: Stretch | None) -> Stretch:
        """Both together."""
        if other is None:
            return self
        return Stretch(self.count + other.count, min(self.first_ns, other.first_ns), max(self.last_ns, other.last_ns))


class Stored:
    """The scores of every camera in a temporary folder; use it as a context manager, so that the folder goes again.

    Filled with `add` in any order, then `sort`ed once: by camera and time, frames that came twice once.
    """

    def __init__(self, maker: RowMaker) -> None:
        self.maker = maker
        self.duplicates = 0
        self.models: dict[tuple[str, str], Stretch] = {}
        """What there is of a camera and a model (as a baseline's key calls it)."""
        self._folder = tempfile.TemporaryDirectory(prefix="linewatch-replay-")
        self._buffers: dict[tuple[str, int], list[Row]] = {}
        self._buffered = 0
        self._files: dict[tuple[str, int], Path] = {}

    def __enter__(self) -> Stored:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    def add(self, camera: str, row: Row) -> None:
        """Take a row in. Raises OSError where the temporary folder's disk is full."""
        self._buffers.setdefault((camera, row[0] // DAY_NS), []).append(row)
        self._buffered += 1
        if self._buffered >= BUFFERED:
            self._flush()

    def sort(self) -> None:
        """Bring everything in order, a camera's day at a time. Raises OSError as `add` does."""
        self._flush()
        for (camera, _), file in self._files.items():
            rows = np.fromfile(file, ROW)
            # Frames with one capture time are the same one only where their origin is the same as well.
            order = np.lexsort((rows["number"], rows["place"], rows["seq"], rows["time_ns"]))
            rows = rows[order]
            again = np.zeros(len(rows), bool)
            again[1:] = True
            for name in ("time_ns", "seq", "place", "number"):
                again[1:] &= rows[name][1:] == rows[name][:-1]
            self.duplicates += int(again.sum())
            rows = rows[~again]
            rows.tofile(file)
            self._note(camera, rows)

    def leave_out(self, camera: str) -> None:
        """Have nothing of a camera any more."""
        self._files = {key: file for key, file in self._files.items() if key[0] != camera}
        self.models = {key: found for key, found in self.models.items() if key[0] != camera}

    def cameras(self) -> list[str]:
        """In alphabetical order."""
        return sorted({camera for camera, _ in self._files})

    def rows(self, camera: str) -> Iterator[Rows]:
        """The rows of one camera by time, at most CHUNK at once."""
        for (_, _), file in sorted(item for item in self._files.items() if item[0][0] == camera):
            with file.open("rb") as opened:
                while len(rows := np.fromfile(opened, ROW, CHUNK)):
                    yield rows

    def stretch(self) -> Stretch | None:
        """All scores of all cameras; None where there is none."""
        whole: Stretch | None = None
        for found in self.models.values():
            whole = found.joined(whole)
        return whole

    def _note(self, camera: str, rows: Rows) -> None:
        for code in np.unique(rows["model"]):
            times = rows["time_ns"][rows["model"] == code]
            key = (camera, self.maker.models[int(code)])
            self.models[key] = Stretch(len(times), int(times[0]), int(times[-1])).joined(self.models.get(key))

    def _flush(self) -> None:
        for key, rows in self._buffers.items():
            file = self._files.setdefault(key, Path(self._folder.name) / f"{len(self._files)}.rows")
            with file.open("ab") as opened:
                opened.write(np.array(rows, ROW).tobytes())
        self._buffers.clear()
        self._buffered = 0
