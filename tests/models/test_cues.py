"""The parts of the calibrated score, each against what it promises."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.cues.closed import LinearPicture, TileMemory, cross, pixels
from models.cues.faults import faulty
from models.cues.linear import Linear
from models.cues.memory import Memory
from models.cues.moves import MOVES, moved
from models.cues.smooth import smooth
from models.cues.standard import Standard
from models.cues.tiles import cut, lay, shrink
from models.cues.weighing import weigh


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


# Tiles.


@settings(deadline=None)
@given(side=st.sampled_from([4, 8, 16]), overlap=st.booleans(), channels=st.sampled_from([1, 3]))
def test_tiles_laid_again_are_the_picture(side: int, overlap: bool, channels: int) -> None:
    stride = side // 2 if overlap else side
    x = torch.rand(2, channels, 32, 32)
    tiles = cut(x, side, stride)
    assert tiles.shape == (2, (32 - side) // stride + 1, (32 - side) // stride + 1, channels, side, side)
    torch.testing.assert_close(tiles[1, 1, 0], x[1, :, stride : stride + side, :side])
    torch.testing.assert_close(lay(tiles.mean(3), stride), x.mean(1))


def test_shrinking_averages_areas() -> None:
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert shrink(x, 2)[0, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert shrink(x, 4) is x


# Memory.


def slow_nearest(codes: Tensor, bank: Tensor, reach: int) -> Tensor:
    count, grid = codes.shape[:2]
    found = torch.empty(count, grid, grid)
    for b in range(count):
        for i in range(grid):
            for j in range(grid):
                rows = slice(max(0, i - reach), i + reach + 1)
                columns = slice(max(0, j - reach), j + reach + 1)
                stored = bank[:, rows, columns].flatten(0, 2)
                found[b, i, j] = (stored - codes[b, i, j]).norm(dim=1).min()
    return found


@settings(max_examples=20, deadline=None)
@given(grid=st.integers(1, 4), reach=st.integers(0, 2), stored=st.integers(1, 5))
def test_nearest_is_the_nearest_within_reach(grid: int, reach: int, stored: int) -> None:
    codes, bank = torch.randn(3, grid, grid, 6), torch.randn(stored, grid, grid, 6)
    memory = Memory(grid, 6, reach, most=8)
    memory.fill(bank)
    torch.testing.assert_close(memory.distance(codes), slow_nearest(codes, bank, reach), atol=1e-3, rtol=1e-3)


def test_a_memory_knows_what_it_holds_and_keeps_no_more_than_fits() -> None:
    memory = Memory(grid=2, length=3, reach=0, most=4)
    codes = torch.randn(6, 2, 2, 3) * 5
    memory.fill(codes[:3])
    assert memory.distance(codes[:3]).max() < 1e-2
    assert memory.distance(codes[4:]).min() > 0.1
    memory.fill(codes)  # the first and the last of an even spread are always among them
    assert memory.distance(codes[[0, 5]]).max() < 1e-2


# Principal components.


def test_components_rebuild_what_lies_in_their_span() -> None:
    basis = torch.randn(3, 40)
    rows = torch.randn(30, 3) @ basis + 2
    linear = Linear(40, 5).fit(rows)
    torch.testing.assert_close(linear.rebuild(rows), rows, atol=1e-3, rtol=1e-3)
    other = torch.randn(4, 40)
    assert (other - linear.rebuild(other)).abs().mean() > 0.5


@pytest.mark.parametrize("count", [1, 2, 4, 100])
def test_any_number_of_rows_will_do(count: int) -> None:
    linear = Linear(20, 8).fit(torch.randn(count, 20), most=30)
    assert torch.isfinite(linear.code(torch.randn(2, 20))).all()
    held = linear.components[linear.components.norm(dim=1) > 0]
    assert len(held) == min(8, count - 1)
    torch.testing.assert_close(held @ held.T, torch.eye(len(held)), atol=1e-4, rtol=0)


def test_rows_that_are_all_the_same_have_no_components_to_speak_of() -> None:
    linear = Linear(20, 8).fit(torch.ones(10, 20))
    assert torch.isfinite(linear.rebuild(torch.ones(1, 20))).all()


def test_learning_again_forgets() -> None:
    first, second = torch.randn(6, 20), torch.randn(3, 20)
    again = Linear(20, 8).fit(first).fit(second)
    fresh = Linear(20, 8).fit(second)
    torch.testing.assert_close(again.rebuild(first), fresh.rebuild(first))


# Standardising.


def test_a_place_is_measured_by_what_it_usually_does() -> None:
    usual = torch.rand(50, 4, 4) * 0.1
    usual[:, 0, 0] = torch.rand(50) * 5  # a place where much happens
    standard = Standard(4, 4)
    standard.fit(usual)
    quiet, lively = usual[:1].clone(), usual[:1].clone()
    quiet[0, 2, 2] = 2.0
    lively[0, 0, 0] = 4.0
    assert float(standard.number(quiet)) > 3 > abs(float(standard.number(lively)))


@settings(deadline=None)
@given(scale=st.floats(1e-3, 1e3), lift=st.floats(-10, 10))
def test_the_scale_of_a_cue_does_not_matter(scale: float, lift: float) -> None:
    maps, new = torch.rand(40, 3, 3), torch.rand(5, 3, 3) * 2
    one, other = Standard(3, 3), Standard(3, 3)
    one.fit(maps)
    other.fit(maps * scale + lift)
    torch.testing.assert_close(one.number(new), other.number(new * scale + lift), atol=0.05, rtol=0.05)


def test_one_normal_picture_in_ten_is_above_one() -> None:
    maps = torch.rand(400, 5, 5)
    standard = Standard(5, 5)
    standard.fit(maps)
    numbers = standard.number(maps)
    assert abs(float(numbers.median())) < 0.2
    assert 0.05 < float((numbers > 1).float().mean()) < 0.15


def test_maps_that_never_vary_are_no_division_by_zero() -> None:
    standard = Standard(3, 3)
    standard.fit(torch.ones(1, 3, 3))
    assert torch.isfinite(standard.number(torch.rand(2, 3, 3))).all()


# Weights.


def test_the_cue_that_sees_counts() -> None:
    clean = torch.randn(200, 3)
    seen = torch.randn(200, 3) + torch.tensor([0.0, 3.0, 1.0])
    weights = weigh(clean, seen, torch.ones(3))
    assert float(weights.sum()) == pytest.approx(1)
    assert weights[1] > 1.5 * weights[2] and weights[2] > 3 * weights[0] and bool((weights >= 0).all())


def test_the_prior_is_what_the_faults_are_weighed_by() -> None:
    clean, seen = torch.randn(200, 2), torch.randn(200, 2) + 2
    weights = weigh(clean, seen, torch.tensor([10.0, 1.0]))
    assert float(weights[0] / weights[1]) == pytest.approx(10, rel=0.5)


def test_where_no_cue_sees_anything_the_prior_rules() -> None:
    same = torch.zeros(5, 4)
    assert weigh(same, same, torch.ones(4)).tolist() == [0.25] * 4
    one = weigh(torch.zeros(1, 2), torch.zeros(1, 2), torch.tensor([3.0, 1.0]))
    assert one.tolist() == [0.75, 0.25]


# Painted faults, moves, smoothing.


@pytest.mark.parametrize("channels", [1, 3])
def test_faults_change_a_part_of_each_picture_and_repeat(channels: int) -> None:
    x = torch.rand(40, channels, 64, 64) * 2 - 1
    made = faulty(x, seed=3)
    assert made.shape == x.shape and made.dtype == x.dtype
    assert float(made.abs().max()) <= 1
    share = ((made - x).abs().amax(1) > 1e-3).float().mean((1, 2))
    assert (share > 0).float().mean() > 0.95 and share.max() < 0.5
    assert torch.equal(made, faulty(x, seed=3)) and not torch.equal(made, faulty(x, seed=4))


def test_a_move_shifts_by_a_thirty_second() -> None:
    x = torch.zeros(1, 1, 64, 64)
    x[0, 0, 32, 32] = 1
    copies = list(moved(x))
    assert len(copies) == len(MOVES) and all(copy.shape == x.shape for copy in copies)
    places = [tuple(int(v) for v in (copy[0, 0] == copy.max()).nonzero()[0]) for copy in copies[:4]]
    assert sorted(places) == [(30, 32), (32, 30), (32, 34), (34, 32)]


def test_smoothing_keeps_the_mean_and_lowers_a_peak() -> None:
    maps = torch.zeros(1, 16, 16)
    maps[0, 8, 8] = 1
    made = smooth(maps, 2.0)
    assert float(made.sum()) == pytest.approx(1, rel=1e-4) and float(made.max()) < 0.1
    torch.testing.assert_close(smooth(torch.ones(1, 2, 2), 2.0), torch.ones(1, 2, 2))


# Looking without having learned.


def pictures(count: int) -> Tensor:
    """A bright square whose place varies a little."""
    x = torch.full((count, 3, 32, 32), -0.5)
    for picture in x:
        top, left = torch.randint(8, 12, (2,)).tolist()
        picture[:, top : top + 10, left : left + 10] = 0.5
    return x + 0.02 * torch.randn_like(x)


@pytest.mark.parametrize("kind", ["linear", "tiles"])
def test_crossed_maps_are_of_pictures_that_were_not_learned(kind: str) -> None:
    x = pictures(24)
    cue = LinearPicture(3) if kind == "linear" else TileMemory(13, 3 * 64, 8, pixels(32, 8, 2))
    folds = [torch.arange(24) % 4 == number for number in range(4)]
    spoilt = x[folds[3]].clone()
    spoilt[:, :, 20:26, 20:26] = 1.0
    crossed = cross(cue, x, list(moved(x)), folds, spoilt)
    assert len(crossed.maps) == 24 and len(crossed.faulty) == 6
    afterwards = cue.map(cue.prepare(cue.look(x)))
    assert afterwards.mean() < crossed.maps.mean()  # now they have been learned
    assert crossed.faulty.amax((1, 2)).min() > crossed.maps.amax((1, 2)).median()
    worst = crossed.faulty.mean(0)
    row, column = divmod(int(worst.argmax()), worst.shape[1])
    scale = 32 / worst.shape[0]
    assert abs(row * scale - 21) < 7 and abs(column * scale - 21) < 7
