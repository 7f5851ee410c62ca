"""From files to the network's pictures."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from models.datasets.labelled import Labelled, Loaded
from models.preprocess import Picture, Preprocess

WORKERS = 4  # OpenCV lets go of the GIL while it decodes


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


def decoded(encoded: bytes) -> Picture | str:
    """uint8 [H, W, 3] in OpenCV's channel order, or why there is none."""
    if not encoded:
        return "the file is empty"
    try:
        pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    except (cv2.error, MemoryError) as error:
        return why(error)
    return "not a picture that OpenCV can decode" if pixels is None else np.asarray(pixels, np.uint8)


def why(error: Exception) -> str:
    """One line about it."""
    if isinstance(error, OSError):
        return error.strerror or "cannot be read"
    return " ".join(str(error).split())[:200] or "too large for memory"


def _read(path: Path, preprocess: Preprocess) -> Picture | str:
    """The picture at the network's size, or why there is none."""
    try:
        pixels = decoded(path.read_bytes())
        return pixels if isinstance(pixels, str) else preprocess.picture(pixels)
    except (OSError, cv2.error, ValueError, MemoryError) as error:
        return why(error)
