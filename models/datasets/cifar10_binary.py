"""CIFAR-10 in its official binary form: six files of rows, each a label and 3 x 1024 bytes (red, green, blue)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from models.datasets.archive import members
from models.datasets.source import Entry
from models.preprocess import Picture

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PUBLISHED = 60_000
SIDE = 32
ROW = 1 + 3 * SIDE * SIDE
MOST_ROWS = 10_000
BATCHES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")


@dataclass(frozen=True)
class Cifar10Binary:
    """A Source. path: the folder or the archive. places: (batch, row in it) by row of entries."""

    path: Path
    entries: tuple[Entry, ...]
    places: tuple[tuple[str, int], ...]
    title: str = "CIFAR-10, official binary version"
    classes: tuple[str, ...] = CLASSES
    channels: int = 3
    published: int = PUBLISHED

    def pictures(self, rows: Collection[int]) -> Iterator[tuple[int, Picture | str]]:
        wanted: dict[str, list[tuple[int, int]]] = {}
        for row in rows:
            batch, within = self.places[row]
            wanted.setdefault(batch, []).append((row, within))
        for batch, content in _batches(self.path):
            for row, within in wanted.pop(batch, []):
                planes = content[within, 1:].reshape(3, SIDE, SIDE)
                yield row, np.ascontiguousarray(planes[::-1].transpose(1, 2, 0))  # OpenCV's order: blue first


def open_binary(path: Path) -> Cifar10Binary:
    """path: the folder cifar-10-batches-bin or its archive. ValueError, with the file's name, where a
    batch is missing or wrong."""
    labels = {batch: content[:, 0].copy() for batch, content in _batches(path)}
    missing = [batch for batch in BATCHES if batch not in labels]
    if missing:
        raise ValueError(f"{path}: {missing[0]} is missing: CIFAR-10's binary version is {', '.join(BATCHES)}")
    places: dict[Entry, tuple[str, int]] = {}
    numbers: dict[tuple[int, int], int] = {}
    for batch in BATCHES:
        part = int(batch == BATCHES[-1])
        for within, kind in enumerate(labels[batch].tolist()):
            number = numbers.get((kind, part), 0)
            numbers[kind, part] = number + 1
            places[Entry(kind, part, number)] = (batch, within)
    entries = sorted(places)
    return Cifar10Binary(path, tuple(entries), tuple(places[entry] for entry in entries))


def _batches(path: Path) -> Iterator[tuple[str, Picture]]:
    """(name of the batch, uint8 [N, ROW])."""
    if path.is_dir():
        for batch in BATCHES:
            file = path / batch
            if file.is_file():
                yield batch, _rows(str(file), file.stat().st_size, file.read_bytes)
        return
    seen: set[str] = set()
    for member in members(path):
        batch = PurePosixPath(member.name).name
        if batch in BATCHES:
            if batch in seen:
                raise ValueError(f"{path}: holds {batch} twice")
            seen.add(batch)
            yield batch, _rows(f"{path}: {member.name}", member.size, member.content)


def _rows(name: str, size: int, content: Callable[[], bytes]) -> Picture:
    if size == 0 or size % ROW or size > MOST_ROWS * ROW:
        raise ValueError(
            f"{name}: has {size} bytes: expected rows of {ROW} bytes, {MOST_ROWS} at most; fetch the file again"
        )
    read = content()
    if len(read) != size:
        raise ValueError(f"{name}: changed while it was read")
    rows = np.frombuffer(read, np.uint8).reshape(-1, ROW)
    if rows[:, 0].max() >= len(CLASSES):
        raise ValueError(f"{name}: holds the label {rows[:, 0].max()}: expected 0 to 9")
    return rows
