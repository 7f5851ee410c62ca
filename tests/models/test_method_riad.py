"""RIAD: what is hidden from the U-Net, how pictures are compared, and that a fault stands out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from models.ganomaly import Architecture
from models.method import Learning
from models.methods import riad
from models.methods.riad import Riad
from tests.models.method_contract import MethodContract, batches, tensor


class TestRiad(MethodContract):
    kind = Riad
    uses_norm = False


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(2)
    return torch.rand(2, 3, 32, 32) * 2 - 1


@given(st.sampled_from([32, 64, 128, 256]), st.sampled_from([2, 4, 8, 16]))
def test_squares_are_dealt_out_evenly(size: int, side: int) -> None:
    dealt = riad._deal(size, side)
    assert dealt.shape == (size, size)
    squares = dealt[::side, ::side]
    assert torch.equal(dealt, squares.repeat_interleave(side, 0).repeat_interleave(side, 1))
    counts = squares.flatten().long().bincount(minlength=3)
    assert len(counts) == 3 and counts.sum() == (size // side) ** 2
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize(("size", "sides"), [(32, (2, 4, 8)), (64, (2, 4, 8, 16)), (256, (2, 4, 8, 16))])
def test_squares_are_the_papers_up_to_a_quarter_of_the_picture(size: int, sides: tuple[int, ...]) -> None:
    method = Riad(Architecture(size=size, ngf=2))
    assert method.sides == sides
    assert method.sets.shape == (len(sides), size, size)


@pytest.mark.parametrize("hidden", [0, 1, 2])
def test_what_is_restored_was_not_seen(x: Tensor, hidden: int) -> None:
    method = Riad(Architecture(size=32, ngf=4)).eval()
    for sets in method.sets:
        other = torch.where(sets == hidden, -x, x)
        with torch.no_grad():
            restored, again = method._restore(x, sets), method._restore(other, sets)
        assert torch.equal(restored[..., sets == hidden], again[..., sets == hidden])
        # The rest was drawn by those who did see the difference.
        assert not torch.equal(restored[..., sets != hidden], again[..., sets != hidden])


def test_identical_pictures_are_alike(x: Tensor) -> None:
    parts = riad._losses(x, x)
    assert list(parts) == ["l2", "ssim", "msgms"]
    assert [float(part) for part in parts.values()] == pytest.approx([0, 0, 0], abs=1e-5)
    assert float(riad._deviation(x, x).abs().max()) < 1e-5


def test_pictures_are_compared_at_four_scales(x: Tensor) -> None:
    assert [tuple(m.shape) for m in riad._similarities(x, -x)] == [(2, 1, side, side) for side in (32, 16, 8, 4)]


def test_gradients_are_prewitts() -> None:
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)  # one brighter with every column
    steepness = riad._steepness(ramp)
    # The operator reaches over two columns; at the border, where the picture is continued as it ends, over one.
    assert steepness[0, 0, 3].tolist() == pytest.approx([1, 4, 4, 4, 4, 4, 4, 1])
    torch.testing.assert_close(riad._steepness(ramp.mT), steepness.mT)


def test_a_missing_edge_is_found_where_it_was() -> None:
    flat = torch.zeros(1, 1, 32, 32)
    edge = flat.clone()
    edge[..., 16:] = 1
    full = riad._similarities(edge, flat)[0][0, 0]
    # At the edge, of half the range: a = (1/2)², b = 0.
    assert full[10, 15].item() == pytest.approx(0.0026 / (0.25 + 0.0026), rel=1e-2)
    assert full[10, 4].item() == pytest.approx(1)


def test_structural_similarity_of_even_pictures_is_that_of_their_light() -> None:
    dark, light = torch.full((1, 1, 32, 32), -0.6), torch.full((1, 1, 32, 32), 0.2)  # 0.2 and 0.6 of the range
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.04 + 0.36 + 1e-4)
    assert riad._ssim(dark, light).item() == pytest.approx(expected, rel=1e-4)


def test_structural_similarity_is_in_full_precision_wherever_it_is_asked_for(x: Tensor) -> None:
    plain = riad._ssim(x, 0.9 * x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(riad._ssim(x, 0.9 * x), plain)


@pytest.mark.parametrize(("size", "width"), [(32, 3), (64, 5), (256, 21)])
def test_the_map_is_smoothed_in_proportion(size: int, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    spot = torch.zeros(1, size, size)
    spot[0, size // 2, size // 2] = 1
    monkeypatch.setattr(riad, "_deviation", lambda x, y: spot)
    method = Riad(Architecture(size=size, ngf=2)).eval()
    with torch.no_grad():
        heat = method.heat(torch.zeros(1, 3, size, size))
        score = method.score(torch.zeros(1, 3, size, size))
    assert int((heat > 0).sum()) == width**2
    assert float(heat.max()) == pytest.approx(1 / width**2)
    assert score.tolist() == [float(heat.max())]


def test_a_fault_stands_out(scene: Callable[..., object]) -> None:
    torch.manual_seed(0)
    method = Riad(Architecture(size=32, ngf=4))
    method.begin(Learning(lr=3e-3))
    for batch in batches(tensor(scene(64, seed=1)), 60):
        method.step(batch)
    method.eval()
    with torch.no_grad():
        normal, faulty = method.score(tensor(scene(10, seed=2))), method.score(tensor(scene(10, seed=3, fault=True)))
        place = method.heat(tensor(scene(1, seed=3, fault=True)))[0].flatten().argmax().item()
    assert (faulty[:, None] > normal).float().mean() > 0.9
    # The upper right of the disc is missing.
    assert place // 32 < 20 and place % 32 > 12
