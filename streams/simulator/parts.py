"""The good part: a turned steel flange with a hub, a bore and six bolt holes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from streams.simulator.canvas import LIGHT_ANGLE, Canvas, Colour, Floats

BOLT_HOLES: Final = 6
BOLT_CIRCLE: Final = 0.725  # the circle the bolt holes sit on, in part radii
_BOLT_HOLE_RADIUS: Final = 0.15
_HUB: Final = 0.46
_BORE: Final = 0.25
_DARK: Final[Colour] = (0.05, 0.05, 0.05)


@dataclass(frozen=True)
class PartLook:
    """What differs between cameras: size in pixels, and the metal's tint (BGR near 1)."""

    radius_px: float
    tint: Colour


def good_part(look: PartLook, holes: int = BOLT_HOLES) -> Canvas:
    """The flange with the first `holes` of its six bolt holes drilled, to be drawn on."""
    return _drawn(look, holes).copy()


@lru_cache(maxsize=8)
def _drawn(look: PartLook, holes: int) -> Canvas:
    canvas = Canvas(look.radius_px)
    _flange(canvas, look.tint)
    _hub(canvas, look.tint)
    for number in range(holes):
        angle = np.deg2rad(30.0) + number * 2 * np.pi / BOLT_HOLES
        x, y = BOLT_CIRCLE * np.cos(angle), BOLT_CIRCLE * np.sin(angle)
        drill(canvas, float(x), float(y), _BOLT_HOLE_RADIUS, look.tint)
    drill(canvas, 0.0, 0.0, _BORE, look.tint)
    return canvas


def metal(canvas: Canvas, base: float) -> Floats:
    """Shade of turned metal: a conical glint, and the fine rings that the lathe leaves."""
    rings = np.random.default_rng(7).normal(0.0, 0.035, 400).astype(np.float32)
    lathe = rings[np.minimum((canvas.r * 120).astype(np.int32), 399)]
    turn = canvas.theta - np.float32(LIGHT_ANGLE)
    glint = 0.11 * np.cos(2 * turn) + 0.10 * np.maximum(np.cos(turn), 0.0) ** 12
    glint += 0.07 * np.maximum(-np.cos(turn), 0.0) ** 12
    shade: Floats = np.asarray(base + glint + lathe, np.float32)
    return shade


def facing(canvas: Canvas) -> Floats:
    """How far an outward slope faces the lamp, in [-1, 1]; negate it for an inward slope."""
    turned: Floats = np.cos(canvas.theta - np.float32(LIGHT_ANGLE))
    return turned


def drill(canvas: Canvas, x: float, y: float, radius: float, tint: Colour) -> None:
    """A countersunk hole: a bevel that catches the light, a dark wall, and belt below."""
    r = np.hypot(canvas.x - x, canvas.y - y)
    turned = np.cos(np.arctan2(canvas.y - y, canvas.x - x) - np.float32(LIGHT_ANGLE))
    bevel = np.asarray(0.62 - 0.30 * turned, np.float32)
    canvas.paint(r < radius * 1.22, tint, bevel)
    canvas.paint(r < radius, _DARK)
    canvas.cut(np.hypot(canvas.x - x - 0.02, canvas.y - y - 0.025) < radius * 0.86)


def _flange(canvas: Canvas, tint: Colour) -> None:
    rim = canvas.r < 1.0
    canvas.paint(rim, tint, metal(canvas, 0.64))
    chamfer = rim & (canvas.r > 0.945)
    canvas.paint(chamfer, tint, np.asarray(0.60 + 0.32 * facing(canvas), np.float32))
    canvas.paint((canvas.r > 0.535) & (canvas.r < 0.55), tint, 0.42)


def _hub(canvas: Canvas, tint: Colour) -> None:
    # The hub stands higher: a soft shadow falls on the flange away from the lamp.
    away = np.clip(1.0 - (canvas.r - _HUB) / 0.09, 0.0, 1.0) * np.clip(0.3 - facing(canvas), 0, 1)
    canvas.tint(np.where(canvas.r > _HUB, 0.55 * away, 0.0).astype(np.float32), _DARK)
    hub = canvas.r < _HUB
    canvas.paint(hub, tint, np.asarray(0.62 + 0.34 * facing(canvas), np.float32))
    canvas.paint(canvas.r < _HUB - 0.05, tint, metal(canvas, 0.76))
