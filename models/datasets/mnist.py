"""MNIST: four IDX files, 60,000 + 10,000 grey pictures of 28 x 28 pixels."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.datasets.idx import read_idx
from models.datasets.source import Entry
from models.preprocess import Picture

DIGITS = tuple(str(digit) for digit in range(10))
PARTS = ("train", "t10k")
PUBLISHED = 70_000


@dataclass(frozen=True)
class Mnist:
    """A Source. images: uint8 [H, W] by row of entries, as read."""

    title: str
    entries: tuple[Entry, ...]
    images: tuple[Picture, ...]
    classes: tuple[str, ...] = DIGITS
    channels: int = 1
    published: int = PUBLISHED

    def pictures(self, rows: Collection[int]) -> Iterator[tuple[int, Picture | str]]:
        for row in rows:
            yield row, np.repeat(self.images[row][..., np.newaxis], 3, axis=2)


def holds_mnist(folder: Path) -> bool:
    """Whether one of the four files is there."""
    return any(_file(folder, part, what) is not None for part in PARTS for what in ("images", "labels"))


def open_mnist(folder: Path) -> Mnist:
    """ValueError, with the file's name, where one of the four is missing or wrong."""
    images: dict[Entry, Picture] = {}
    for part, name in enumerate(PARTS):
        pictures, labels = _pair(folder, name)
        numbers = [0] * len(DIGITS)
        for picture, label in zip(pictures, labels.tolist(), strict=True):
            images[Entry(label, part, numbers[label])] = picture
            numbers[label] += 1
    entries = sorted(images)
    return Mnist("MNIST", tuple(entries), tuple(images[entry] for entry in entries))


def _pair(folder: Path, part: str) -> tuple[Picture, Picture]:
    """Pictures [N, H, W] and labels [N] of one part."""
    paths = []
    for what in ("images", "labels"):
        path = _file(folder, part, what)
        if path is None:
            raise ValueError(f"{folder}: {_names(part, what)[0]} is missing (plain or .gz): MNIST is four files")
        paths.append(path)
    pictures, labels = read_idx(paths[0], 3), read_idx(paths[1], 1)
    if len(pictures) != len(labels):
        raise ValueError(f"{paths[1]}: holds {len(labels)} labels, but {paths[0].name} {len(pictures)} pictures")
    if labels.max() >= len(DIGITS):
        raise ValueError(f"{paths[1]}: holds the label {labels.max()}: expected 0 to 9")
    return pictures, labels


def _file(folder: Path, part: str, what: str) -> Path | None:
    return next((folder / name for name in _names(part, what) if (folder / name).is_file()), None)


def _names(part: str, what: str) -> list[str]:
    """Plain before packed; some copies have a dot where the original has a hyphen."""
    rank = 3 if what == "images" else 1
    return [f"{part}-{what}{dot}idx{rank}-ubyte{suffix}" for suffix in ("", ".gz") for dot in ("-", ".")]
