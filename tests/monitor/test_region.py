"""What counts of a camera's picture: polygons, masks, ids, the look-up over `cameras`, and the drawing."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.preprocess import Preprocess
from monitor.line_settings import CameraRules
from monitor.scoring.outline import dim_outside, outline
from monitor.scoring.polygon import Polygon, area, crossing_edges, wholly_inside, wholly_outside
from monitor.scoring.region import WHOLE, Region, baseline_model, check_region
from monitor.scoring.regions import Regions

SQUARE: Polygon = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))
LEFT: Polygon = ((0, 0), (0.5, 0), (0.5, 1), (0, 1))
EVERYTHING: Polygon = ((0, 0), (1, 0), (1, 1), (0, 1))
BOW_TIE: Polygon = ((0.1, 0.1), (0.9, 0.9), (0.9, 0.1), (0.1, 0.9))
ARROW: Polygon = ((0.1, 0.1), (0.9, 0.5), (0.1, 0.9), (0.4, 0.5))


@st.composite
def polygons(draw: st.DrawFn) -> Polygon:
    """Star-shaped around a point, so that no edges cross; convex or not, cut off at the picture's border or not."""
    x, y = draw(st.floats(0, 1)), draw(st.floats(0, 1))
    radii = draw(st.lists(st.floats(0.02, 0.9), min_size=3, max_size=9))
    turn = draw(st.floats(0, 1))
    angles = [2 * math.pi * (i + turn) / len(radii) for i in range(len(radii))]
    return tuple((x + r * math.cos(a), y + r * math.sin(a)) for r, a in zip(radii, angles, strict=True))


def distances(polygon: Polygon, width: int, height: int) -> NDArray[np.float64]:
    """[height, width]: OpenCV's word on how far, in pixels, each pixel's centre lies within (outside: below 0)."""
    corners = np.asarray([(x * width, y * height) for x, y in polygon], np.float32)
    return np.array(
        [[cv2.pointPolygonTest(corners, (c + 0.5, r + 0.5), True) for c in range(width)] for r in range(height)]
    )


@given(polygons(), st.sampled_from([5, 16, 33]))
@example(ARROW, 16)
def test_cells_are_inside_or_outside_as_a_whole(polygon: Polygon, side: int) -> None:
    inside, outside = wholly_inside(polygon, side), wholly_outside(polygon, side)
    far = distances(polygon, side, side)
    half_diagonal, half_side, float32 = math.sqrt(0.5), 0.5, 1e-3
    assert inside[far > half_diagonal + float32].all() and outside[far < -half_diagonal - float32].all()
    assert not inside[far < half_side - float32].any() and not outside[far > -half_side + float32].any()
    assert not (inside & outside).any()


@pytest.mark.parametrize("side", [8, 64, 100, 256])
def test_edges_on_grid_lines_take_no_pixel_away(side: int) -> None:
    mask = Region((SQUARE,)).mask(side)
    quarter = side // 4
    assert mask[quarter:-quarter, quarter:-quarter].all() and mask.sum() == (side - 2 * quarter) ** 2
    without = Region((), (SQUARE,)).mask(side)
    assert (without == ~mask).all()


def test_what_counts_is_in_one_polygon_and_in_no_mask() -> None:
    right: Polygon = ((0.5, 0), (1, 0), (1, 1), (0.5, 1))
    assert Region((LEFT, right)).mask(64).all()
    both = Region((LEFT, SQUARE))
    assert both.share() == 0.5 + 0.125
    assert Region((LEFT, SQUARE), (SQUARE,)).share() == 0.375
    assert Region((SQUARE, SQUARE)).mask(64).sum() == 32 * 32  # where two lie on each other, it still counts


def test_a_mask_is_at_any_side_and_cannot_be_changed() -> None:
    region = Region((ARROW,))
    assert region.mask(1).shape == (1, 1) and region.mask(17).shape == (17, 17)
    assert region.mask(64) is region.mask(64)
    with pytest.raises(ValueError, match="read-only"):
        region.mask(64)[0, 0] = True
    with pytest.raises(ValueError, match="at least 1"):
        region.mask(0)


def test_the_id_is_that_of_the_polygons() -> None:
    region = Region((SQUARE, LEFT))
    assert len(region.id) == 8 and int(region.id, 16) >= 0
    assert region.id == Region((LEFT, SQUARE)).id == "7c201a83"  # kept in Redis: it must not change between releases
    others = {Region((SQUARE,)).id, Region((), (SQUARE,)).id, Region((SQUARE,), (LEFT,)).id, region.id}
    assert len(others) == 4
    moved = ((0.2501, 0.25), *SQUARE[1:])
    assert Region((moved, LEFT)).id != region.id


def test_the_whole_picture_has_no_id() -> None:
    assert WHOLE.id == "" and WHOLE.is_everything
    assert Region((EVERYTHING,)).id == "" and Region((EVERYTHING, SQUARE)).id == ""
    assert baseline_model("0123456789ab", WHOLE) == "0123456789ab"
    assert baseline_model("0123456789ab", Region((SQUARE,))) == f"0123456789ab-{Region((SQUARE,)).id}"


def test_a_region_is_told_as_it_was_written() -> None:
    told = Region((SQUARE,), (LEFT,)).to_dict()
    assert told == {"inside": [[list(p) for p in SQUARE]], "outside": [[list(p) for p in LEFT]]}


def tiny(size: float) -> Polygon:
    return ((0, 0), (size, 0), (size, size), (0, size))


@pytest.mark.parametrize(
    ("region", "said"),
    [
        (Region((BOW_TIE,)), r"region\[0\]: the edges from corners 0 and 2 .* cross: give the corners in their order"),
        (Region((SQUARE,), (LEFT, BOW_TIE)), r"masks\[1\]: the edges"),
        (Region((((0, 0), (0.5, 0.5), (1, 1)),)), r"region\[0\]: its 3 corners lie on one line"),
        (Region((SQUARE,), (EVERYTHING,)), "leaves nothing of the picture, at 256 pixels a side; at least 1% must"),
        (Region((tiny(0.09),)), r"leaves only 0\.81% of the picture"),
    ],
)
def test_a_region_that_cannot_be_meant_is_refused(region: Region, said: str) -> None:
    with pytest.raises(ValueError, match=rf"^line-3: .*{said}"):
        check_region(region, "line-3")


def test_enough_must_be_left_for_the_network() -> None:
    strip = Region((((0, 0.49), (1, 0.49), (1, 0.512), (0, 0.512)),))
    check_region(strip, "line-3")  # 3 rows of 256
    with pytest.raises(ValueError, match="leaves nothing of the picture, at 32 pixels a side"):
        check_region(strip, "line-3", side=32)
    check_region(Region((tiny(0.11),)), "line-3", side=64)


@given(polygons())
@example(ARROW)
@example((*SQUARE, SQUARE[0]))  # closed once more, as some tools write it
@example((SQUARE[0], (0.5, 0.25), *SQUARE[1:]))  # a corner in the middle of an edge
def test_polygons_whose_edges_do_not_cross_are_taken(polygon: Polygon) -> None:
    assert crossing_edges(polygon) is None
    assert area(polygon) > 0


@given(polygons(), st.integers(20, 90), st.integers(20, 90), st.booleans(), st.integers(0, 1000))
def test_what_counts_is_not_touched_by_pixels_that_lie_outside(
    polygon: Polygon, width: int, height: int, masked: bool, seed: int
) -> None:
    """Whatever the camera's own size, and also where it is smaller than the network's picture."""
    prep = Preprocess(32, 3)
    draw = np.random.default_rng(seed)
    frame = draw.integers(0, 256, (height, width, 3), dtype=np.uint8)
    region = Region((), (polygon,)) if masked else Region((polygon,))
    far = distances(polygon, width, height)
    away = far > math.sqrt(0.5) + 1e-3 if masked else far < -math.sqrt(0.5) - 1e-3
    other = np.where(away[..., None], draw.integers(0, 256, frame.shape, dtype=np.uint8), frame)
    counts = region.mask(32)
    assert (prep.picture(frame)[counts] == prep.picture(other)[counts]).all()


def rules(match: str, **values: object) -> CameraRules:
    return CameraRules.model_validate({"match": match, **values})


def test_each_camera_has_the_region_that_was_said_first() -> None:
    regions = Regions(
        [
            rules("line-3", masks=[LEFT]),
            rules("line-9", region=[]),
            rules("line-*", region=[SQUARE]),
            rules("*", masks=[ARROW]),
        ]
    )
    assert regions("line-3") == Region((SQUARE,), (LEFT,))
    assert regions("line-4") == Region((SQUARE,), (ARROW,))
    assert regions("line-9") == Region((), (ARROW,))
    assert regions("line-4") is regions("line-4")
    assert Regions(())("line-3") == WHOLE


def test_entries_and_cameras_are_checked_by_name() -> None:
    Regions([rules("line-*", region=[LEFT])], side=64).check(["line-1"])
    with pytest.raises(ValueError, match=r"line-\*: its region without its masks leaves nothing"):
        Regions([rules("line-*", region=[LEFT], masks=[LEFT])]).check()
    together = Regions([rules("line-3", masks=[LEFT]), rules("*", region=[LEFT])])
    together.check(["line-4"])
    with pytest.raises(ValueError, match=r"^line-3: "):
        together.check(["line-4", "line-3"])


def test_the_whole_picture_counts_where_a_camera_unforeseen_would_have_nothing() -> None:
    together = Regions([rules("line-3", masks=[LEFT]), rules("*", region=[LEFT])])
    assert together("line-3") == WHOLE
    strip = ((0, 0.49), (1, 0.49), (1, 0.512), (0, 0.512))
    assert Regions([rules("*", region=[strip])], side=32)("line-3") == WHOLE


def test_the_outline_is_white_around_what_counts_and_magenta_around_masks() -> None:
    pixels = np.full((120, 160, 3), 90, np.uint8)
    mask: Polygon = ((0.4, 0.4), (0.6, 0.4), (0.6, 0.6), (0.4, 0.6))
    drawn = outline(pixels, Region((SQUARE,), (mask,)))
    assert drawn.shape == pixels.shape and drawn.dtype == np.uint8
    assert (pixels == 90).all()

    def near(row: float, column: float) -> NDArray[np.uint8]:
        r, c = round(row * 120), round(column * 160)
        return drawn[r - 2 : r + 3, c - 2 : c + 3].reshape(-1, 3)

    edge, hole = near(0.5, 0.25), near(0.4, 0.5)
    assert (edge.min(1) > 150).any() and (edge.max(1) < 40).any()  # on any ground one of the two is seen
    assert ((hole[:, 0] > 150) & (hole[:, 1] < 40) & (hole[:, 2] > 150)).any()
    assert (near(0.32, 0.5) == 90).all() and (near(0.1, 0.1) == 90).all()
    assert (outline(pixels, WHOLE) == pixels).all()


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 500, 3), (2000, 20, 3)])
def test_any_picture_can_be_drawn_on(shape: tuple[int, ...]) -> None:
    drawn = outline(np.zeros(shape, np.uint8), Region((EVERYTHING, ARROW)))
    assert drawn.shape == shape and drawn.max() > 0


def test_what_does_not_count_is_dark_to_the_networks_pixel() -> None:
    pixels = np.full((64, 128, 3), 200, np.uint8)
    dimmed = dim_outside(pixels, Region((SQUARE,)), 8)
    assert (dimmed[16:48, 32:96] == 200).all()
    assert (dimmed == 200).all(axis=2).sum() == 32 * 64 and dimmed[0, 0, 0] == 70
