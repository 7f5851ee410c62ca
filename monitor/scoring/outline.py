"""A region, drawn over a picture."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.scoring.polygon import Polygon
from monitor.scoring.region import Region

Pixels = NDArray[np.uint8]

REGION_COLOUR: Final = (255, 255, 255)
MASK_COLOUR: Final = (255, 0, 255)
"""Blue, green, red. Neither is among the colours of a heat map."""

_DIMMED: Final = 0.35
_FRACTION_BITS: Final = 4  # corners are placed to a sixteenth of a pixel


def outline(pixels: Pixels, region: Region) -> Pixels:
    """A copy of uint8 [H, W, 3] BGR with the polygons' edges: white around what counts, magenta around masks."""
    drawn = pixels.copy()
    thin = max(1, round(min(pixels.shape[:2]) / 400))
    for polygons, colour in ((region.inside, REGION_COLOUR), (region.outside, MASK_COLOUR)):
        for polygon in polygons:
            corners = [_corners(polygon, pixels)]
            for line_colour, thickness in (((0, 0, 0), 4 * thin), (colour, 2 * thin)):  # seen on any ground
                cv2.polylines(drawn, corners, True, line_colour, thickness, cv2.LINE_AA, _FRACTION_BITS)
    return drawn


def dim_outside(pixels: Pixels, region: Region, side: int) -> Pixels:
    """A copy of uint8 [H, W, 3] BGR, dark where nothing counts to a network of this many pixels a side; its pixels are
    seen along the border."""
    height, width = pixels.shape[:2]
    counts = cv2.resize(region.mask(side).astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    return np.where(counts[..., None] > 0, pixels, (pixels * _DIMMED).astype(np.uint8))


def _corners(polygon: Polygon, pixels: Pixels) -> NDArray[np.int32]:
    """In sixteenths of a pixel; an edge on the picture's border is drawn within it."""
    height, width = pixels.shape[:2]
    shares = np.asarray(polygon, dtype=np.float64)
    places = np.clip(shares * (width, height) - 0.5, 0, (width - 1, height - 1))
    return np.asarray((places * (1 << _FRACTION_BITS)).round(), dtype=np.int32)
