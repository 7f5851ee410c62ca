"""One picture, measured: all that the judging of a camera's health needs of it, a few kilobytes.

`measure` runs in the decoding threads; OpenCV lets go of the GIL.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final, cast

import cv2
import numpy as np
from numpy.typing import NDArray

GREY_SHAPE: Final = (60, 80)
"""Rows and columns of the reduced picture, whatever the picture's own shape."""

BLACK_UP_TO: Final = 20
BURNT_FROM: Final = 250

_TAKEN_WIDTH: Final = 640  # larger pictures are thinned to about this width before anything is computed
_SHARPNESS_WIDTH: Final = 320  # the scale on which sharpness is measured: fine enough for a blur of two pixels at 640,
# coarse enough to average the sensor's noise
_EDGES: Final = 0.995  # the sharpest half percent of the picture stands for its edges
_CHECKED_ROWS: Final = 48


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """A picture's measures.

    grey: uint8 [60, 80], the picture reduced by averaging. aspect: width by height of the full picture.
    black, burnt: shares of the picture that are nearly 0 and nearly 255. fine: how strongly the sharpest edges stand
    out from a 3 pixel surrounding at 320 pixels' width, in grey levels. checksum: of every n-th row of the full
    picture, equal for pictures that are equal to the last bit.
    """

    grey: NDArray[np.uint8]
    aspect: float
    black: float
    burnt: float
    fine: float
    checksum: int


def enough_for(width: int, height: int) -> tuple[int, int]:
    """The least width and height to which a picture of this size may be reduced before it is measured."""
    return _medium_size(width, height)


def measure(pixels: NDArray[np.uint8], size: tuple[int, int] | None = None) -> Sight:
    """Measure uint8 [H, W, 3] BGR. size: width and height in full, where the picture was reduced by averaging.
    Raises cv2.error or ValueError where that is no picture."""
    height, width = pixels.shape[:2]
    checksum = zlib.crc32(pixels[:: max(1, height // _CHECKED_ROWS)].tobytes())
    if size is None or size == (width, height):
        medium = _medium(pixels)
    else:
        width, height = size
        whole = cast("NDArray[np.uint8]", cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY))
        medium = _averaged(whole, _medium_size(width, height))
    grey = _reduced(medium)
    edges = cv2.absdiff(medium, cv2.blur(medium, (3, 3)))
    return Sight(
        grey=grey,
        aspect=width / height,
        black=np.count_nonzero(grey <= BLACK_UP_TO) / grey.size,
        burnt=np.count_nonzero(grey >= BURNT_FROM) / grey.size,
        fine=_quantile(_histogram(edges[::2]), _EDGES),
        checksum=checksum,
    )


def reduced(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The reduced grey picture alone, uint8 [60, 80], of uint8 [H, W, 3] BGR."""
    return _reduced(_medium(pixels))


def _reduced(medium: NDArray[np.uint8]) -> NDArray[np.uint8]:
    # Two halvings that meet the pixels exactly are four times quicker than one reduction to a quarter.
    rows, columns = GREY_SHAPE
    half = cv2.resize(medium, (2 * columns, 2 * rows), interpolation=cv2.INTER_AREA)
    return cast("NDArray[np.uint8]", cv2.resize(half, (columns, rows), interpolation=cv2.INTER_AREA))


def _medium(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey at a width of about 320, averaged; smaller pictures keep their size."""
    height, width = pixels.shape[:2]
    size = _medium_size(width, height)
    if (thin := round(width / _TAKEN_WIDTH)) > 1:
        thinned = (max(1, width // thin), max(1, height // thin))
        pixels = cast("NDArray[np.uint8]", cv2.resize(pixels, thinned, interpolation=cv2.INTER_NEAREST))
    return _averaged(cast("NDArray[np.uint8]", cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)), size)


def _medium_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of what a picture of this size is measured in."""
    for scale in (_TAKEN_WIDTH, _SHARPNESS_WIDTH):
        if (times := round(width / scale)) > 1:
            width, height = max(1, width // times), max(1, height // times)
    return width, height


def _averaged(grey: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    if grey.shape[::-1] == size:
        return grey
    return cast("NDArray[np.uint8]", cv2.resize(grey, size, interpolation=cv2.INTER_AREA))


def _histogram(picture: cv2.typing.MatLike) -> NDArray[np.float32]:
    """Shares of the 256 levels."""
    counts = cv2.calcHist([picture], [0], None, [256], [0, 256]).ravel()
    return cast("NDArray[np.float32]", counts / np.float32(max(1, picture.size)))


def _quantile(shares: NDArray[np.float32], share: float) -> float:
    """The level below which this share lies, interpolated within the level: integers alone would be too coarse."""
    below = np.cumsum(shares)
    level = int(np.searchsorted(below, share))
    if level >= 255:
        return 255.0
    before = float(below[level - 1]) if level else 0.0
    return level + (share - before) / max(float(shares[level]), 1e-9)
