"""How far a picture's steady structure lies from where it used to be."""

from __future__ import annotations

from typing import Final, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.judging.health.reference import TILE, TILES, Floats, Reference
from monitor.scoring.sight import GREY_SHAPE

REACH: Final = 8
"""So many reduced pixels are searched around; structure that went further counts as gone."""

_EMPTY: Final = 0.15  # share of its usual detail below which a tile holds nothing that could be found elsewhere
_FOUND: Final = 0.5  # agreement at the best place, averaged over the tiles
_BETTER: Final = 0.15  # and so much more than where it should be
_STAY: Final = 0.003  # a pixel of way must be worth this: along a straight edge all places fit alike


def displacement(reference: Reference, seen: Floats) -> float:
    """As a share of the picture's width; 0 where the structure is in its place or nowhere to be found.

    seen: the picture's detail. Every tile's structure is looked for around its place, and what tiles all over the
    picture agree on is believed. A shift is what they all share. A turn or a zoom moves opposite sides in different
    ways: it counts with what the side moved that moved less, so that one part out of its place is none.
    """
    padded = cv2.copyMakeBorder(seen, REACH, REACH, REACH, REACH, cv2.BORDER_CONSTANT, value=0)
    maps = np.zeros((*TILES, 2 * REACH + 1, 2 * REACH + 1), np.float32)
    steady = reference.agreement > 0
    for row, column in np.argwhere(steady).tolist():
        top, left = row * TILE, column * TILE
        around = padded[top : top + TILE + 2 * REACH, left : left + TILE + 2 * REACH]
        # An even surface agrees with nothing; what noise it has must not be taken for structure.
        if cv2.norm(around) ** 2 > _EMPTY * float(reference.template_energy[row, column]):
            template = reference.template[top : top + TILE, left : left + TILE]
            found = cv2.matchTemplate(around, template, cv2.TM_CCORR_NORMED)
            maps[row, column] = np.where(np.isfinite(found), found, 0)
    if shared := _way(maps[steady]):
        return shared / GREY_SHAPE[1]
    sides = ((np.s_[:, :1], np.s_[:, -1:]), (np.s_[:1], np.s_[-1:]))
    turned = (min(_way(maps[a][steady[a]]), _way(maps[b][steady[b]])) for a, b in sides)
    return max(turned) / GREY_SHAPE[1]


def _way(maps: NDArray[np.float32]) -> float:
    """How far these tiles [N, Y, X] moved together, in reduced pixels."""
    if not len(maps):
        return 0.0
    mean = cast("Floats", maps.mean(axis=0)) - _STAY * _FAR
    y, x = divmod(int(mean.argmax()), mean.shape[1])
    if not (0 < y < 2 * REACH and 0 < x < 2 * REACH):
        return 0.0  # the best lies farther away, or nowhere
    if mean[y, x] < _FOUND or mean[y, x] - mean[REACH, REACH] < _BETTER:
        return 0.0
    return float(np.hypot(_peak(mean[:, x], y) - REACH, _peak(mean[y], x) - REACH))


def _peak(values: NDArray[np.float32], at: int) -> float:
    """Where the parabola through the greatest value and its neighbours has its top."""
    if not 0 < at < len(values) - 1:
        return float(at)
    before, top, after = (float(v) for v in values[at - 1 : at + 2])
    bend = before - 2 * top + after
    return at + (0.5 * (before - after) / bend if bend < 0 else 0.0)


_axis = np.arange(-REACH, REACH + 1, dtype=np.float32)
_FAR: Final = np.hypot(*np.meshgrid(_axis, _axis)).astype(np.float32)
