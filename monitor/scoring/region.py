"""The part of a camera's picture that counts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final

import numpy as np

from monitor.scoring.polygon import Cells, Polygon, area, crossing_edges, wholly_inside, wholly_outside

LEAST_SHARE: Final = 0.01
"""Less of the picture than this is refused: on 64 pixels a side that is a patch of 41 of them."""

CHECKED_SIDE: Final = 256  # the grid on which a region is held against LEAST_SHARE before the network's is known
LEAST_AREA: Final = 1e-9


@dataclass(frozen=True)
class Region:
    """What lies in one of `inside` (everything, where there are none) and in none of `outside`."""

    inside: tuple[Polygon, ...] = ()
    outside: tuple[Polygon, ...] = ()

    @cached_property
    def id(self) -> str:
        """8 hexadecimal digits of the polygons, whatever their order; "" for the whole picture. Part of the key of a
        baseline, so that a changed region begins one of its own."""
        if self.is_everything:
            return ""
        polygons = [
            sorted([[float(share) for share in point] for point in polygon] for polygon in group)
            for group in (self.inside, self.outside)
        ]
        return hashlib.sha256(json.dumps(polygons).encode()).hexdigest()[:8]

    @cached_property
    def is_everything(self) -> bool:
        """Whether nothing is left out."""
        return not (self.inside or self.outside) or bool(self.mask(CHECKED_SIDE).all())

    def mask(self, side: int) -> Cells:
        """bool [side, side], read-only: the pixels of a picture stretched to this square that count, which are those
        that lie wholly inside; one that the border runs through does not. An edge within the picture takes away the
        pixels it runs through, also where another polygon begins there: polygons meant to join must overlap."""
        return _mask(self, side)

    def share(self, side: int = CHECKED_SIDE) -> float:
        """How much of the picture counts, 0 to 1, at this many pixels a side."""
        return float(self.mask(side).mean())

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; polygons as lists of [x, y]."""
        return {
            name: [[list(point) for point in polygon] for polygon in polygons]
            for name, polygons in (("inside", self.inside), ("outside", self.outside))
        }


WHOLE: Final = Region()


class RegionError(ValueError):
    """A region that cannot be used; the message begins with the camera or the pattern that it is of."""


RegionOf = Callable[[str], Region]
"""A camera's region. Cheap, from any thread."""


def check_region(region: Region, whose: str, side: int = CHECKED_SIDE) -> None:
    """RegionError, beginning with `whose` (a camera or a pattern), where a polygon is none, or less than LEAST_SHARE of
    the picture counts at this many pixels a side."""
    for key, polygons in (("region", region.inside), ("masks", region.outside)):
        for index, polygon in enumerate(polygons):
            if (crossing := crossing_edges(polygon)) is not None:
                raise RegionError(
                    f"{whose}: {key}[{index}]: the edges from corners {crossing[0]} and {crossing[1]} (from 0) cross: "
                    "give the corners in their order around the polygon"
                )
            if area(polygon) < LEAST_AREA:
                raise RegionError(
                    f"{whose}: {key}[{index}]: its {len(polygon)} corners lie on one line and enclose nothing: give at "
                    "least three that do not"
                )
    share = region.share(side)
    if share < LEAST_SHARE:
        left = "nothing" if share == 0 else f"only {share:.2%}"
        raise RegionError(
            f"{whose}: its region without its masks leaves {left} of the picture, at {side} pixels a side; at least "
            f"{LEAST_SHARE:.0%} must count. Corners are [x, y] from the top left, shares of width and height: enlarge "
            "region, or make masks smaller"
        )


def baseline_model(model_id: str, region: Region) -> str:
    """The model's name in the keys of baselines: with the region's id where there is one."""
    return f"{model_id}-{region.id}" if region.id else model_id


@lru_cache(maxsize=1024)
def _mask(region: Region, side: int) -> Cells:
    if side < 1:
        raise ValueError(f"a mask has {side} pixels a side: expected at least 1")
    mask = np.full((side, side), not region.inside)
    for polygon in region.inside:
        mask |= wholly_inside(polygon, side)
    for polygon in region.outside:
        mask &= wholly_outside(polygon, side)
    mask.setflags(write=False)
    return mask
