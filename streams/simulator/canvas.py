"""Drawing ground for sprites: polar coordinates, a coverage mask, colours, and the final cut-out.

Sprites are drawn several times too large and shrunk at the end, which smooths every edge.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from typing import Final, cast

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Colour = tuple[float, float, float]
"""Blue, green, red, each in [0, 1]."""

OVERSAMPLING: Final = 3
LIGHT_ANGLE: Final = np.deg2rad(-125.0)
"""Where the lamp stands, as an angle in the picture (y points down): the upper left."""

_MARGIN: Final = 1.32  # half the sprite's side, in part radii: room for shadow and loose objects
_SHADOW_OFFSET: Final = (0.05, 0.07)  # x, y in part radii
_SHADOW_STRENGTH: Final = 0.6


@dataclass
class Canvas:
    """A square around a part's centre. `r` is 1 at the part's rim; angles are in radians."""

    radius_px: float
    x: Floats = field(init=False)
    y: Floats = field(init=False)
    r: Floats = field(init=False)
    theta: Floats = field(init=False)
    colour: Floats = field(init=False)
    solid: Mask = field(init=False)

    def __post_init__(self) -> None:
        half = int(np.ceil(self.radius_px * _MARGIN)) * OVERSAMPLING
        axis = (np.arange(2 * half, dtype=np.float32) - half + 0.5) / np.float32(self.radius_px * OVERSAMPLING)
        self.x, self.y = np.meshgrid(axis, axis)
        self.r = np.hypot(self.x, self.y)
        self.theta = np.arctan2(self.y, self.x)
        self.colour = np.zeros((*self.r.shape, 3), np.float32)
        self.solid = np.zeros(self.r.shape, np.bool_)

    @property
    def unit_px(self) -> float:
        """Canvas pixels in one part radius."""
        return self.radius_px * OVERSAMPLING

    def paint(self, where: Mask, colour: Colour, shade: Floats | float = 1.0) -> None:
        """Lay an opaque colour, multiplied by a shade, where the mask is set."""
        shades = np.broadcast_to(np.asarray(shade, np.float32), self.r.shape)[where]
        self.colour[where] = shades[:, None] * np.asarray(colour, np.float32)
        self.solid |= where

    def tint(self, strength: Floats, colour: Colour) -> None:
        """Mix a colour over what is painted; strength [H, W] is in [0, 1]."""
        where = self.solid & (strength > 0)
        amount = strength[where][:, None].astype(np.float32)
        self.colour[where] += amount * (np.asarray(colour, np.float32) - self.colour[where])

    def cut(self, where: Mask) -> None:
        """Take material away: the belt shows through."""
        self.solid &= ~where

    def copy(self) -> Canvas:
        """A canvas to go on from; what is never drawn on is shared."""
        twin = copy(self)
        twin.colour, twin.solid = self.colour.copy(), self.solid.copy()
        return twin

    def disc(self, x: float, y: float, radius: float) -> Mask:
        """Mask of a disc; all in part radii."""
        inside: Mask = np.hypot(self.x - x, self.y - y) < radius
        return inside

    def stroke(self, points: npt.NDArray[np.float64], widths: npt.NDArray[np.float64]) -> Mask:
        """Mask of a polyline through points [N, 2], its pieces widths [N - 1]; in part radii."""
        drawn = np.zeros(self.r.shape, np.uint8)
        in_px = np.rint(points * self.unit_px + self.r.shape[0] / 2).astype(int).tolist()
        for start, end, width in zip(in_px, in_px[1:], widths, strict=False):
            cv2.line(drawn, start, end, 255, max(1, round(float(width) * self.unit_px)))
        return drawn > 0

    def cut_out(self) -> Floats:
        """The sprite [S, S, 4], float32 in [0, 255]: premultiplied BGR and alpha, with shadow."""
        alpha = self.solid.astype(np.float32)
        dx, dy = (offset * self.unit_px for offset in _SHADOW_OFFSET)
        shift = np.asarray([[1.0, 0.0, dx], [0.0, 1.0, dy]])
        shadow = cv2.warpAffine(alpha, shift, alpha.shape[::-1])
        shadow = cv2.GaussianBlur(shadow, (0, 0), 0.05 * self.unit_px) * _SHADOW_STRENGTH
        sprite = np.empty((*alpha.shape, 4), np.float32)
        sprite[..., :3] = np.clip(self.colour, 0.0, 1.0) * alpha[..., None]
        sprite[..., 3] = alpha + (1.0 - alpha) * shadow
        side = alpha.shape[0] // OVERSAMPLING
        small = cv2.resize(sprite * 255.0, (side, side), interpolation=cv2.INTER_AREA)
        return cast(Floats, small)


def smooth_noise(rng: np.random.Generator, side: int, grain: int) -> Floats:
    """Random field [side, side] in [0, 1]; `grain` is the number of bumps along a side."""
    coarse = rng.random((grain, grain), dtype=np.float32)
    return cast(Floats, np.clip(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), 0.0, 1.0))
