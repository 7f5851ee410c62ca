from __future__ import annotations

import pytest
import torch

from models.augment import Augment


@pytest.fixture
def x() -> torch.Tensor:
    torch.manual_seed(2)
    return (torch.rand(6, 3, 32, 32) * 2 - 1).contiguous(memory_format=torch.channels_last)


def test_off_changes_nothing(x: torch.Tensor) -> None:
    assert Augment()(x) is x


@pytest.mark.parametrize("change", [{"shift_px": 2.0}, {"light": 0.2}, {"noise": 0.05}])
def test_changes_within_the_range_and_differently_each_time(x: torch.Tensor, change: dict[str, float]) -> None:
    augment = Augment(**change)
    before = x.clone()
    once, again = augment(x), augment(x)
    assert torch.equal(x, before)
    assert once.shape == x.shape and once.abs().max() <= 1
    assert once.is_contiguous(memory_format=torch.channels_last)
    assert not torch.equal(once, again)


def test_shift_moves_no_further_than_told() -> None:
    torch.manual_seed(0)
    x = torch.full((200, 1, 32, 32), -1.0)
    x[:, :, 16, 16] = 1.0
    mass = Augment(shift_px=1.5)(x)[:, 0] + 1
    rows = (mass.sum(2) * torch.arange(32)).sum(1) / mass.sum((1, 2)) - 16
    assert 1.2 < float(rows.abs().max()) <= 1.55


def test_same_seed_same_change(x: torch.Tensor) -> None:
    augment = Augment(1.0, 0.1, 0.01)
    torch.manual_seed(9)
    once = augment(x)
    torch.manual_seed(9)
    assert torch.equal(augment(x), once)


@pytest.mark.parametrize("change", [{"shift_px": -1.0}, {"light": float("nan")}, {"noise": -0.1}])
def test_refuses_less_than_nothing(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        Augment(**change)
