"""From mask files to the pixels of the network's picture that are at fault."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from models.datasets.labelled import Labelled
from models.datasets.reading import WORKERS, why

Mask = npt.NDArray[np.bool_]
COLOUR = 1 / 8
"""How far apart a pixel's channels are, as a share of their range, for it to be coloured and not a shade of grey."""


def load_masks(pictures: Sequence[Labelled], size: int) -> list[Mask | None]:
    """bool [size, size] for each picture, stretched to a square as the picture is: True where it is at fault.

    Empty for a normal picture; None for an anomalous one without a mask.
    ValueError where a mask cannot be read or shows no fault: figures from the other masks alone would
    not be the data set's.
    """
    if size < 1:
        raise ValueError(f"masks of size {size}: expected a side in pixels, at least 1")
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(lambda picture: _mask(picture, size), pictures))


def shrink(mask: Mask, size: int) -> Mask:
    """bool [H, W] -> [size, size]. True where at least half is at fault, and wherever there is a fault
    that no neighbouring such pixel stands for: a scratch thinner than a pixel stays, and a large
    fault does not grow. Every fault pixel of the original lies in a True pixel or next to one."""
    coverage = mask.astype(np.float32)
    for axis in (0, 1):
        shape = (coverage.shape[1], size) if axis == 0 else (size, coverage.shape[0])
        how = cv2.INTER_AREA if coverage.shape[axis] > size else cv2.INTER_NEAREST
        coverage = np.asarray(cv2.resize(coverage, shape, interpolation=how), np.float32)
    half = coverage >= 0.5
    spoken_for = np.asarray(cv2.dilate(half.astype(np.uint8), np.ones((3, 3), np.uint8))) > 0
    return np.asarray(half | ((coverage > 0) & ~spoken_for), np.bool_)


def fault_of(pixels: npt.NDArray[Any]) -> Mask:
    """[H, W] or [H, W, C] as OpenCV reads a file unchanged -> bool [H, W].

    Where pixels are coloured, those are the fault, on whatever black, white or grey; where the file is a
    cut-out, what is not transparent; otherwise what is bright (at least half of the range, or not
    black where nothing is that bright, as in files of label numbers).
    """
    top = float(np.iinfo(pixels.dtype).max) if pixels.dtype.kind == "u" else 1.0
    values = np.atleast_3d(pixels).astype(np.float32) / top
    channels = values.shape[2]
    seen = values[..., 3] >= 0.5 if channels == 4 else np.ones(values.shape[:2], np.bool_)
    shades = values[..., : 3 if channels >= 3 else 1]
    coloured = (shades.max(2) - shades.min(2) > COLOUR) & seen
    if coloured.any():
        return np.asarray(coloured, np.bool_)
    if not seen.all():
        return np.asarray(seen, np.bool_)
    bright = shades.max(2)
    return np.asarray(bright >= 0.5 if (bright >= 0.5).any() else bright > 0, np.bool_)


def _mask(picture: Labelled, size: int) -> Mask | None:
    if not picture.anomalous:
        return np.zeros((size, size), np.bool_)
    if picture.mask is None:
        return None
    fault = fault_of(_pixels(picture.mask))
    if not fault.any():
        raise ValueError(f"{picture.mask}: shows no fault: expected bright or coloured pixels; mend or remove the file")
    return shrink(fault, size)


def _pixels(path: Path) -> npt.NDArray[Any]:
    try:
        encoded = np.frombuffer(path.read_bytes(), np.uint8)
        pixels = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED) if encoded.size else None
    except (OSError, cv2.error, MemoryError) as error:
        raise ValueError(f"{path}: the mask cannot be read: {why(error)}") from None
    if pixels is None:
        raise ValueError(f"{path}: the mask is not a picture that OpenCV can decode; mend or remove the file")
    return np.asarray(pixels)
