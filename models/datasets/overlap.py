"""Pictures that are in training and in the test alike."""

from __future__ import annotations

from collections import defaultdict
from hashlib import sha256
from pathlib import Path

from models.datasets.labelled import Dataset

CHUNK = 1 << 20


def overlap(found: Dataset) -> tuple[tuple[Path, Path], ...]:
    """(test picture, training picture) with the same bytes, one pair for each such test picture.

    Only files of equal length are read. Equal pictures in files that differ are not found. A file
    that cannot be read is left out here; load tells of it.
    """
    trained: dict[int, list[Path]] = defaultdict(list)
    for picture in found.train:
        trained[_length(picture.path)].append(picture.path)
    hashes: dict[Path, bytes] = {}
    pairs = []
    for picture in found.test:
        candidates = trained.get(_length(picture.path), [])
        for path in [picture.path, *candidates] if candidates else []:
            if path not in hashes:
                hashes[path] = _content(path)
        twin = next((path for path in candidates if hashes[path] and hashes[path] == hashes[picture.path]), None)
        if twin is not None:
            pairs.append((picture.path, twin))
    return tuple(pairs)


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _content(path: Path) -> bytes:
    """Nothing where the file cannot be read."""
    digest = sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    except OSError:
        return b""
    return digest.digest()
