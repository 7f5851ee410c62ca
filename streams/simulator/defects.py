"""The planted defects, each drawn as a sprite that takes the place of the good part's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from streams.simulator.canvas import Canvas, Colour, Floats, smooth_noise
from streams.simulator.parts import BOLT_CIRCLE, PartLook, drill, good_part

_BRASS: Final[Colour] = (0.42, 0.80, 1.02)
_OIL: Final[Colour] = (0.05, 0.09, 0.15)
_BARE_METAL: Final[Colour] = (0.98, 0.98, 1.0)
_GROOVE: Final[Colour] = (0.09, 0.09, 0.10)
_HANDLE: Final[Colour] = (0.06, 0.09, 0.86)
_SHAFT: Final[Colour] = (0.88, 0.88, 0.88)


def defective_part(kind: str, look: PartLook, rng: np.random.Generator) -> Floats:
    """Sprite [S, S, 4] of a part with this defect; KeyError if there is no such kind.

    The generator decides where on the part the defect sits, so no two look alike.
    """
    return _PAINTERS[kind](look, rng).cut_out()


def _broken_edge(look: PartLook, rng: np.random.Generator) -> Canvas:
    canvas = good_part(look)
    middle, half_width = rng.uniform(-np.pi, np.pi), np.deg2rad(rng.uniform(58, 68))
    away = np.abs((canvas.theta - np.float32(middle) + np.pi) % (2 * np.pi) - np.pi)
    jagged = 0.16 * (smooth_noise(rng, canvas.r.shape[0], 26) - 0.5)
    # The break runs deeper in its middle, like a bite.
    depth = 0.30 + 0.62 * (away / half_width) ** 4 + jagged
    fresh = canvas.r > depth - 0.05
    canvas.tint((0.75 * fresh * (away < half_width * 1.05)).astype(np.float32), _BARE_METAL)
    canvas.cut((canvas.r > depth) & (away < half_width * 1.05))
    return canvas


def _stain(look: PartLook, rng: np.random.Generator) -> Canvas:
    canvas = good_part(look)
    angle = rng.uniform(-np.pi, np.pi)
    off_x, off_y = canvas.x - 0.34 * np.cos(angle), canvas.y - 0.34 * np.sin(angle)
    edge = 0.50 + 0.55 * (smooth_noise(rng, canvas.r.shape[0], 7) - 0.5)
    inside = np.clip((edge + 0.12 - np.hypot(off_x, off_y)) / 0.10, 0.0, 1.0)
    for _ in range(5):
        turn, far = angle + rng.uniform(-0.9, 0.9), rng.uniform(0.75, 0.92)
        splash = canvas.disc(float(far * np.cos(turn)), float(far * np.sin(turn)), rng.uniform(0.04, 0.09))
        inside = np.maximum(inside, splash)
    canvas.tint((0.93 * inside).astype(np.float32), _OIL)
    return canvas


def _missing_holes(look: PartLook, rng: np.random.Generator) -> Canvas:
    return good_part(look, holes=0)


def _wrong_part(look: PartLook, rng: np.random.Generator) -> Canvas:
    """A square brass plate with four holes, from another line."""
    canvas = Canvas(look.radius_px)
    turn = rng.uniform(np.deg2rad(8), np.deg2rad(26))
    x = np.abs(canvas.x * np.cos(turn) + canvas.y * np.sin(turn))
    y = np.abs(canvas.y * np.cos(turn) - canvas.x * np.sin(turn))
    corner, half = 0.16, 0.80
    outside = np.hypot(np.maximum(x - half + corner, 0), np.maximum(y - half + corner, 0)) - corner
    canvas.paint(outside < 0.0, _BRASS, 0.52)
    brushed = rng.normal(0.0, 0.03, 300).astype(np.float32)[(y * 180).astype(np.int32) % 300]
    glint = 0.70 - 0.22 * (canvas.x + canvas.y) + brushed
    canvas.paint(outside < -0.035, _BRASS, glint.astype(np.float32))
    for number in range(4):
        angle = turn + np.pi / 4 + number * np.pi / 2
        place = BOLT_CIRCLE * 1.08
        drill(canvas, float(place * np.cos(angle)), float(place * np.sin(angle)), 0.11, _BRASS)
    return canvas


def _scratches(look: PartLook, rng: np.random.Generator) -> Canvas:
    """Gouges right across the part, as if it was dragged over an edge."""
    canvas = good_part(look)
    direction = rng.uniform(0.0, np.pi)
    for offset in (-0.55, -0.33, -0.16, 0.08, 0.30, 0.52):
        turn = direction + rng.uniform(-0.10, 0.10)
        along = np.asarray([np.cos(turn), np.sin(turn)])
        across = np.asarray([-along[1], along[0]])
        reach = 0.98 * np.sqrt(1.0 - offset**2)
        steps = np.linspace(-reach * rng.uniform(0.8, 1.0), reach * rng.uniform(0.8, 1.0), 32)
        bend = rng.uniform(-0.06, 0.06) * (steps / reach) ** 2
        points = steps[:, None] * along + (offset + bend)[:, None] * across
        # Thickest in the middle, and running out at both ends; a raised burr beside each groove.
        widths = 0.075 * np.sin(np.pi * np.arange(1, 32) / 32) ** 0.6
        for shift, colour in ((-0.022, _BARE_METAL), (0.012, _GROOVE)):
            canvas.tint(0.95 * canvas.stroke(points + shift, widths).astype(np.float32), colour)
    return canvas


def _foreign_object(look: PartLook, rng: np.random.Generator) -> Canvas:
    """A screwdriver left lying on the part."""
    canvas = good_part(look)
    turn = rng.uniform(-0.75, 0.75) + (np.pi if rng.random() < 0.5 else 0.0)
    # Coordinates of the tool: u along it, towards the tip; v across it.
    u = canvas.x * np.cos(turn) + canvas.y * np.sin(turn)
    v = canvas.y * np.cos(turn) - canvas.x * np.sin(turn) - rng.uniform(-0.15, 0.15)
    grip_end, collar, tip = -1.12, 0.08, 1.14
    waist = 0.27 - 0.06 * np.exp(-(((u + 0.12) / 0.11) ** 2))
    rounded = np.sqrt(np.clip(1.0 - (np.clip(grip_end + 0.22 - u, 0.0, None) / 0.22) ** 2, 0, 1))
    grip = (u > grip_end) & (u < collar) & (np.abs(v) < waist * rounded)
    blade = 0.062 + 0.035 * np.clip((u - tip + 0.16) / 0.10, 0.0, 1.0)
    shaft = (u >= collar) & (u < tip) & (np.abs(v) < blade)
    fallen_x, fallen_y = 0.055, 0.075  # its own shadow on the part below
    depth = round(fallen_y * canvas.unit_px), round(fallen_x * canvas.unit_px)
    shadow = np.roll(grip | shaft, depth, axis=(0, 1))
    canvas.tint((0.55 * shadow).astype(np.float32), (0.03, 0.03, 0.03))
    lit = np.cos(v / 0.07) * 0.35 + 0.62
    canvas.paint(shaft, _SHAFT, lit.astype(np.float32))
    bulge = 1.0 - 0.75 * (np.abs(v + 0.07) / 0.35) ** 1.5
    ridges = np.where((u > -0.92) & (u < -0.26), 0.16 * np.cos(v / 0.022), 0.0)
    canvas.paint(grip, _HANDLE, np.clip(bulge + ridges, 0.15, 1.1).astype(np.float32))
    gloss = np.exp(-(((v + 0.11) / 0.03) ** 2)) * (u > -1.0) * (u < -0.02) * grip
    canvas.tint((0.55 * gloss).astype(np.float32), (0.85, 0.87, 1.0))
    canvas.paint((u > collar - 0.05) & (u < collar + 0.03) & (np.abs(v) < 0.16), (0.25, 0.25, 0.27))
    return canvas


def _missing_part(look: PartLook, rng: np.random.Generator) -> Canvas:
    return Canvas(look.radius_px)


_PAINTERS: Final[dict[str, Callable[[PartLook, np.random.Generator], Canvas]]] = {
    "broken edge": _broken_edge,
    "stain": _stain,
    "missing holes": _missing_holes,
    "wrong part": _wrong_part,
    "scratches": _scratches,
    "foreign object": _foreign_object,
    "missing part": _missing_part,
}
