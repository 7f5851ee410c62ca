"""Polygons over a grid of square cells: which cells lie wholly inside, and which wholly outside.

Exact up to rounding, unlike a drawing routine, which also fills the pixels that an edge only touches: what counts must
not depend by one pixel on what does not.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]
Polygon = tuple[Point, ...]
"""Corners in their order around, as shares of the picture's width and height from its top left. Closed by itself."""

Cells = NDArray[np.bool_]
"""A value for each cell of the grid, bool [S, S]: rows, then columns."""

ROUNDING: Final = 1e-9  # in cells: an edge that lies on a grid line by design may miss it by so much


def wholly_inside(polygon: Polygon, side: int) -> Cells:
    """The cells of which every point lies inside (where edges cross: inside by the even-odd rule)."""
    return _centres_inside(polygon, side) & ~_crossed(polygon, side)


def wholly_outside(polygon: Polygon, side: int) -> Cells:
    """The cells of which no point lies inside. A cell that an edge passes through is in neither of the two."""
    return ~_centres_inside(polygon, side) & ~_crossed(polygon, side)


def area(polygon: Polygon) -> float:
    """Share of the picture, for a polygon whose edges do not cross."""
    x, y = np.asarray(polygon, dtype=np.float64).T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def crossing_edges(polygon: Polygon) -> tuple[int, int] | None:
    """Two edges that cross, by the corner that each begins at, counted from 0; None where none do."""
    begin = np.asarray(polygon, dtype=np.float64)
    along = np.roll(begin, -1, axis=0) - begin

    def side_of(corners: NDArray[np.float64]) -> NDArray[np.float64]:
        """[i, j]: on which side of edge i corner j lies, 0 where on it."""
        away = corners[None] - begin[:, None]
        across = along[:, None, 0] * away[..., 1] - along[:, None, 1] * away[..., 0]
        return np.where(np.abs(across) < ROUNDING, 0.0, np.sign(across))

    parted = side_of(begin) * side_of(begin + along) < 0  # edge i has edge j's two corners on different sides
    both = np.argwhere(parted & parted.T)
    return (int(both[0][0]), int(both[0][1])) if len(both) else None


def _centres_inside(polygon: Polygon, side: int) -> Cells:
    """Even-odd: how many edges a ray to the right meets."""
    centres = np.arange(side) + 0.5
    inside = np.zeros((side, side), dtype=bool)
    for (x1, y1), (x2, y2) in _edges(polygon, side):
        rows = np.flatnonzero((y1 > centres) != (y2 > centres))
        if len(rows):
            at = x1 + (centres[rows] - y1) * (x2 - x1) / (y2 - y1)
            inside[rows] ^= centres[None, :] < at[:, None]
    return inside


def _crossed(polygon: Polygon, side: int) -> Cells:
    """The cells with an edge in their open interior: by separating axes, the two of the cell and the edge's normal."""
    crossed = np.zeros((side, side), dtype=bool)
    for (x1, y1), (x2, y2) in _edges(polygon, side):
        length = float(np.hypot(x2 - x1, y2 - y1))
        left, right = _span(x1, x2, side)
        top, bottom = _span(y1, y2, side)
        if length < ROUNDING or left >= right or top >= bottom:
            continue
        columns, rows = np.arange(left, right + 1), np.arange(top, bottom + 1)
        away = ((x2 - x1) * (rows[:, None] - y1) - (y2 - y1) * (columns[None, :] - x1)) / length
        corners = np.stack([away[:-1, :-1], away[:-1, 1:], away[1:, :-1], away[1:, 1:]])
        crossed[top:bottom, left:right] |= (corners.min(0) < -ROUNDING) & (corners.max(0) > ROUNDING)
    return crossed


def _span(one: float, other: float, side: int) -> tuple[int, int]:
    """The first cell, and the one after the last, whose open interior the way from one to the other has a part in."""
    least, most = min(one, other), max(one, other)
    return max(0, int(np.floor(least + ROUNDING))), min(side, int(np.ceil(most - ROUNDING)))


def _edges(polygon: Polygon, side: int) -> list[tuple[Point, Point]]:
    """In cells."""
    corners = [(x * side, y * side) for x, y in polygon]
    return list(zip(corners, corners[1:] + corners[:1], strict=True))
