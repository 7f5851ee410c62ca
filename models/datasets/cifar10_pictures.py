"""CIFAR-10 as single pictures, train/<class>/NNNN.jpg and test/<class>/NNNN.jpg: in a tar archive or a folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from models.datasets.archive import members
from models.datasets.cifar10_binary import CLASSES, PUBLISHED
from models.datasets.naming import is_picture
from models.datasets.reading import decoded, why
from models.datasets.source import Entry
from models.preprocess import Picture

PARTS = ("train", "test")
MOST_BYTES = 1 << 16
"""Of one picture of 32 x 32 pixels, however it is stored."""
NAME = re.compile(r"(?:[^/]+/)?(train|test)/([^/]+)/([0-9]{1,6})\.(jpe?g|png|bmp)", re.IGNORECASE)


@dataclass(frozen=True)
class Cifar10Pictures:
    """A Source. path: the folder or the archive. rows: of entries, by name within path."""

    path: Path
    title: str
    entries: tuple[Entry, ...]
    rows: dict[str, int]
    classes: tuple[str, ...] = CLASSES
    channels: int = 3
    published: int = PUBLISHED

    def pictures(self, rows: Collection[int]) -> Iterator[tuple[int, Picture | str]]:
        wanted = frozenset(rows)
        for name, size, content in _files(self.path):
            row = self.rows.get(name)
            if row is None or row not in wanted:
                continue
            if size > MOST_BYTES:
                yield row, f"has {size} bytes: a picture of 32 x 32 pixels has {MOST_BYTES} at most"
                continue
            try:
                yield row, decoded(content())
            except OSError as error:
                if not self.path.is_dir():
                    raise
                yield row, why(error)


def open_pictures(path: Path) -> Cifar10Pictures:
    """path: the folder that holds train and test, or an archive of it. ValueError where a class is
    none of the ten, two pictures have one number, or there are none."""
    found: dict[Entry, str] = {}
    suffixes: set[str] = set()
    for name, _, _ in _files(path):
        parsed = NAME.fullmatch(name)
        if parsed is None:
            continue
        part, kind, number, suffix = parsed[1].lower(), parsed[2].lower(), int(parsed[3]), parsed[4].lower()
        if kind not in CLASSES:
            raise ValueError(f"{path}: holds {name}: CIFAR-10's classes are {', '.join(CLASSES)}")
        entry = Entry(CLASSES.index(kind), PARTS.index(part), number)
        if entry in found:
            raise ValueError(f"{path}: holds two pictures of one number: {found[entry]} and {name}")
        found[entry] = name
        suffixes.add("JPEG" if suffix in {"jpg", "jpeg"} else suffix.upper())
    if not found:
        raise ValueError(f"{path}: holds no train/<class>/NNNN.jpg or test/<class>/NNNN.jpg")
    entries = sorted(found)
    return Cifar10Pictures(
        path,
        f"CIFAR-10 as {' and '.join(sorted(suffixes))}",
        tuple(entries),
        {found[entry]: row for row, entry in enumerate(entries)},
    )


def _files(path: Path) -> Iterator[tuple[str, int, Callable[[], bytes]]]:
    """(name within path, size, what reads it)."""
    if not path.is_dir():
        for member in members(path):
            yield member.name, member.size, member.content
        return
    for part in PARTS:
        for file in sorted((path / part).glob("*/*")):
            if file.is_file() and is_picture(file.name):
                yield f"{part}/{file.parent.name}/{file.name}", file.stat().st_size, file.read_bytes
