from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.calibration import MOVED_MARGIN, SEEN_MARGIN, Calibration, moved

SCORES = st.lists(st.floats(0, 1e6), min_size=1, max_size=200)


@given(SCORES, SCORES)
def test_holds_for_any_scores(seen: list[float], disturbed: list[float]) -> None:
    made = Calibration.from_scores(np.array(seen), np.array(disturbed))
    assert made.count == len(seen)
    assert (made.low, made.high) == (min(seen), max(seen))
    values = [value for _, value in made.quantiles]
    # interpolation may round in the last digit
    assert all(a <= b * (1 + 1e-9) for a, b in pairwise(values))
    assert (values[0], values[-1]) == (made.low, made.high)
    assert made.threshold >= max(float(np.quantile(seen, 0.99)), float(np.median(disturbed)))
    assert Calibration.from_dict(json.loads(json.dumps(made.to_dict()))) == made


def test_threshold_is_above_what_was_seen_and_what_was_moved() -> None:
    seen = np.array([1.0, 2.0])
    assert Calibration.from_scores(seen).threshold == pytest.approx(SEEN_MARGIN * 1.99)
    assert Calibration.from_scores(seen, np.array([1.2])).threshold == pytest.approx(SEEN_MARGIN * 1.99)
    assert Calibration.from_scores(seen, np.array([9.0])).threshold == MOVED_MARGIN * 9


def test_one_odd_picture_among_the_moved_does_not_lift_the_line() -> None:
    seen, disturbed = np.array([1.0, 2.0]), np.full(80, 3.0)
    before = Calibration.from_scores(seen, disturbed).threshold
    disturbed[5] = 1000.0
    assert Calibration.from_scores(seen, disturbed).threshold == before


def test_one_odd_picture_among_hundreds_does_not_lift_the_line() -> None:
    seen = np.linspace(1.0, 2.0, 400)
    before = Calibration.from_scores(seen).threshold
    seen[7] = 1000.0
    assert Calibration.from_scores(seen).threshold == pytest.approx(before, rel=0.01)


def test_scale_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    seen, disturbed = rng.lognormal(size=40), rng.lognormal(1, size=80)
    once = Calibration.from_scores(seen, disturbed).threshold
    assert Calibration.from_scores(seen * 1e-6, disturbed * 1e-6).threshold == pytest.approx(once * 1e-6)


def test_identical_pictures_have_a_line_above_them() -> None:
    made = Calibration.from_scores(np.full(30, 0.2))
    assert made.low == made.high == 0.2 < made.threshold


@pytest.mark.parametrize(
    ("scores", "told"),
    [
        ([], "at least one"),
        ([1.0, np.nan], "1 of 2"),
        ([np.inf], "no numbers"),
        ([-1.0], "negative"),
        ([[1.0]], r"shape \[1, 1\]"),
    ],
)
def test_refuses_what_are_no_scores(scores: list[float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Calibration.from_scores(np.array(scores, dtype=np.float64))


@pytest.mark.parametrize(
    "change",
    [{"count": 0}, {"low": 5.0}, {"threshold": float("nan")}, {"quantiles": [[0.5, "x"]]}],
)
def test_refuses_a_dictionary_that_makes_no_sense(change: dict[str, object]) -> None:
    values = Calibration.from_scores(np.array([1.0, 2.0])).to_dict()
    with pytest.raises(ValueError):
        Calibration.from_dict({**values, **change})


def test_pictures_move_in_eight_directions_and_keep_their_edge() -> None:
    picture = np.zeros((1, 32, 32, 3), np.uint8)
    picture[0, 10, 20] = 200
    picture[0, :, 0] = 50
    places = []
    for part in moved(picture, 2):
        assert part.shape == picture.shape
        row, column = np.argwhere(part[0, ..., 0] == 200)[0]
        places.append((row - 10, column - 20))
        assert (part[0, :, 0] == 50).any() or column > 20 or (part[0, :, 0] == 0).all()
    steps = (-2, 0, 2)
    assert sorted(places) == sorted((y, x) for y in steps for x in steps if (y, x) != (0, 0))
