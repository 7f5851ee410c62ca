"""What a bench found, as a file: rows, what was asked, and the machine."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from monitor.bench.machine import machine
from monitor.whole_file import write_whole


class DocumentError(ValueError):
    """A file that holds no bench's findings, or that cannot be read."""


@dataclass(frozen=True)
class Document:
    """part: the bench ("stages"), and the file's name. asked: its options. began_at: ISO 8601, UTC. notes: what a
    reader of the rows must know."""

    part: str
    asked: dict[str, Any]
    rows: list[dict[str, Any]]
    machine: dict[str, Any]
    began_at: str
    notes: list[str]

    @classmethod
    def of(
        cls, part: str, asked: Mapping[str, Any], rows: Iterable[Mapping[str, Any]], notes: Iterable[str] = ()
    ) -> Document:
        """Found just now on this machine."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(part, dict(asked), [dict(row) for row in rows], machine(), now, list(notes))

    def write(self, folder: Path) -> Path:
        """Write `<part>.json` into the folder, made where it is not there. OSError where that fails,
        ValueError for a number that is none."""
        path = folder / f"{self.part}.json"
        write_whole(path, (json.dumps(asdict(self), indent=2, allow_nan=False) + "\n").encode())
        return path

    @classmethod
    def read(cls, path: Path) -> Document:
        """DocumentError, naming the file, where it cannot be used."""
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
            return cls(**held)
        except OSError as error:
            raise DocumentError(f"{path}: {error.strerror}") from None
        except (ValueError, TypeError) as error:
            raise DocumentError(f"{path}: not written by `linewatch bench`: {error}") from None
