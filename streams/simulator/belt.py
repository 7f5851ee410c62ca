"""The still background of the line: the belt with its seams, the rails, and the fall of light."""

from __future__ import annotations

from typing import Final, cast

import cv2
import numpy as np
import numpy.typing as npt

from streams.simulator.canvas import Floats

Image = npt.NDArray[np.uint8]

_RAIL_SHARE: Final = 0.085  # of the picture's height, at top and bottom each
_WEAVE_PX: Final = 8


def belt_tile(width: int, height: int, hue: tuple[float, float, float]) -> Image:
    """One period of the belt, uint8 BGR [height, width, 3]; it repeats without a visible join.

    The seam sits in the tile's first columns, midway between two parts. The weave and the wear
    are the same in each period: a belt that is one loop of equal slats.
    """
    rng = np.random.default_rng(11)
    yy, xx = np.mgrid[0:height, 0:width].astype(np.float32)
    columns = max(1, round(width / _WEAVE_PX))
    weave = np.sin(2 * np.pi * (xx * columns / width)) * np.sin(2 * np.pi * yy / _WEAVE_PX)
    grain = rng.normal(0.0, 3.0, (height, width)).astype(np.float32)
    wear = cv2.resize(rng.normal(0.0, 4.0, (6, 8)).astype(np.float32), (width, height))
    fade = np.sin(np.pi * xx / width) ** 0.5  # wear fades to nothing where tiles meet
    value = 50.0 + 4.5 * weave + grain + wear * fade
    seam = max(2, width // 80)
    value[:, :seam] = 22.0
    value[:, seam : seam + max(1, seam // 2)] = 92.0
    bolts_y = (np.arange(5) + 0.5) * height / 5
    coloured = np.clip(value[..., None] * np.asarray(hue, np.float32), 0, 255)
    tile: Image = coloured.astype(np.uint8)
    for y in bolts_y:
        cv2.circle(tile, (seam + 7, round(float(y))), 2, (118, 122, 124), -1, cv2.LINE_AA)
    return tile


def lay_rails(frame: Image) -> None:
    """Draw the two fixed guide rails over the picture's upper and lower edge, in place."""
    height, width = frame.shape[:2]
    thick = round(height * _RAIL_SHARE)
    brushed = np.random.default_rng(13).normal(0.0, 5.0, (thick, 1)).astype(np.float32)
    roundness = np.sin(np.linspace(0.25, np.pi - 0.2, thick, dtype=np.float32))[:, None]
    metal = np.repeat(70 + 95 * roundness + brushed, width, axis=1)
    rail = (np.clip(metal, 0, 255)[..., None] * np.asarray([1.0, 0.98, 0.94])).astype(np.uint8)
    line = max(2, thick // 6)
    frame[:thick] = rail
    frame[-thick:] = rail[::-1]
    for row in (slice(thick - line, thick), slice(height - thick, height - thick + line)):
        frame[row] = (28, 170, 225)  # the safety-yellow lip
    for row, strength in ((thick, 0.45), (thick + 1, 0.6), (thick + 2, 0.8)):
        frame[row] = (frame[row] * strength).astype(np.uint8)


def fall_of_light(width: int, height: int) -> Floats:
    """Gain [height, width, 3] of a lamp at the upper left: brightest there, darker in corners."""
    yy, xx = np.mgrid[0:height, 0:width].astype(np.float32)
    far = np.hypot((xx / width - 0.44) * 1.1, yy / height - 0.42)
    gain = np.clip(1.10 - 0.62 * far**2, 0.0, 1.2)
    return cast(Floats, np.repeat(gain[..., None], 3, axis=2).astype(np.float32))
