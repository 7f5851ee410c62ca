"""Pictures in folders: what is normal, what is not, and their pixels."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from models.preprocess import Picture, Preprocess

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
NORMAL_NAMES = frozenset({"good", "normal", "ok"})
MASK_NAMES = frozenset({"ground_truth", "masks", "mask"})
WORKERS = 4  # OpenCV lets go of the GIL while it decodes


@dataclass(frozen=True)
class Labelled:
    """kind: the name of the folder that the picture lies in ("good", "broken_large")."""

    path: Path
    anomalous: bool
    kind: str


@dataclass(frozen=True)
class Dataset:
    """train: normal pictures. test: labelled ones, empty where the folder has none."""

    train: tuple[Labelled, ...]
    test: tuple[Labelled, ...]


@dataclass(frozen=True)
class Loaded:
    """pictures: uint8 [N, S, S, C]. kept: what they are, N of them, in the order given.
    unreadable: (path, reason) of the rest."""

    pictures: Picture
    kept: tuple[Labelled, ...]
    unreadable: tuple[tuple[Path, str], ...]


def find(root: Path) -> Dataset:
    """The pictures below a folder, in natural order (2 before 10).

    Three layouts: MVTec's (train/good, test/good, test/<kind of fault>); one folder per class
    (normal, good or ok beside others; no split, so test has them all and train the normal ones);
    and a folder of pictures, all taken for normal. Masks are left out.
    ValueError where root is no folder or holds no picture.
    """
    if not root.is_dir():
        raise ValueError(f"{root}: is no folder: expected one with pictures")
    if (root / "train").is_dir() or (root / "test").is_dir():
        train = [p for p in _below(root / "train", root / "train") if not p.anomalous]
        test = _below(root / "test", root / "test")
    elif any(child.is_dir() and _is_normal(child.name) for child in root.iterdir()):
        test = _below(root, root)
        train = [p for p in test if not p.anomalous]
    else:
        train = [Labelled(p.path, False, p.kind) for p in _below(root, root)]
        test = []
    if not train and not test:
        raise ValueError(f"{root}: holds no picture ({', '.join(sorted(SUFFIXES))})")
    return Dataset(tuple(train), tuple(test))


def load(pictures: Sequence[Labelled], preprocess: Preprocess) -> Loaded:
    """Read and preprocess. A file that cannot be read is listed, never fatal."""
    with ThreadPoolExecutor(WORKERS) as pool:
        read = list(pool.map(lambda picture: _read(picture.path, preprocess), pictures))
    kept = [i for i, result in enumerate(read) if not isinstance(result, str)]
    side, channels = preprocess.size, preprocess.channels
    stacked = np.empty((len(kept), side, side, channels), np.uint8)
    for row, i in enumerate(kept):
        stacked[row] = read[i]
    return Loaded(
        stacked,
        tuple(pictures[i] for i in kept),
        tuple((pictures[i].path, r) for i, r in enumerate(read) if isinstance(r, str)),
    )


def _read(path: Path, preprocess: Preprocess) -> Picture | str:
    """The picture, or why there is none."""
    try:
        encoded = np.frombuffer(path.read_bytes(), np.uint8)
        if encoded.size == 0:
            return "the file is empty"
        decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
        if decoded is None:
            return "not a picture that OpenCV can decode"
        return preprocess.picture(np.asarray(decoded, np.uint8))
    except OSError as error:
        return error.strerror or "cannot be read"
    except (cv2.error, ValueError, MemoryError) as error:
        return " ".join(str(error).split())[:200] or "too large for memory"


def _below(folder: Path, root: Path) -> list[Labelled]:
    """Every picture below folder; the first folder under root says what it is."""
    found: list[Labelled] = []
    for directory, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name.lower() not in MASK_NAMES]
        within = Path(directory).relative_to(root).parts
        kind = within[0] if within else Path(directory).name
        for name in names:
            if Path(name).suffix.lower() in SUFFIXES and not name.startswith("."):
                found.append(Labelled(Path(directory) / name, not _is_normal(kind), kind))
    return sorted(found, key=lambda picture: _natural(picture.path))


def _is_normal(name: str) -> bool:
    return name.lower() in NORMAL_NAMES


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Digits compare as numbers."""
    parts = re.split(r"(\d+)", str(path))
    return [(0, int(p), "") if p.isdigit() else (1, 0, p.lower()) for p in parts]
