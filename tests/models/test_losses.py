"""The losses against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from models import losses
from models.losses import Weights


def test_adversarial_is_the_mean_squared_gap_of_features() -> None:
    real = torch.tensor([[[[1.0, 2.0]]]])
    fake = torch.tensor([[[[0.0, 5.0]]]])
    assert losses.adversarial(real, fake).item() == pytest.approx((1 + 9) / 2)


def test_contextual_is_the_mean_absolute_gap() -> None:
    x, rebuilt = torch.tensor([1.0, -1.0, 0.5, 0.0]), torch.tensor([0.0, -1.0, -0.5, 1.0])
    assert losses.contextual(x, rebuilt).item() == pytest.approx(3 / 4)


def test_encoding_is_the_mean_squared_gap_and_trains_both_encoders() -> None:
    z = torch.tensor([[1.0, 3.0]], requires_grad=True)
    again = torch.tensor([[0.0, 1.0]], requires_grad=True)
    loss = losses.encoding(z, again)
    assert loss.item() == pytest.approx((1 + 4) / 2)
    torch.autograd.backward(loss)
    assert z.grad is not None and again.grad is not None
    assert z.grad.tolist() == [[1.0, 2.0]]
    assert again.grad.tolist() == [[-1.0, -2.0]]


def test_generator_weighs_1_50_1() -> None:
    adv, con, enc = (torch.tensor(v) for v in (0.2, 0.3, 0.4))
    assert losses.generator(adv, con, enc, Weights()).item() == pytest.approx(0.2 + 15.0 + 0.4)
    assert losses.generator(adv, con, enc, Weights(2, 3, 4)).item() == pytest.approx(2.9)


def test_discriminator_is_half_of_both_cross_entropies() -> None:
    real, fake = torch.tensor([0.0, math.log(3)]), torch.tensor([0.0, 0.0])
    # P(real) 1/2 and 3/4; P(fake is real) 1/2 twice
    by_hand = 0.5 * ((math.log(2) + math.log(4 / 3)) / 2 + math.log(2))
    assert losses.discriminator(real, fake).item() == pytest.approx(by_hand)


def test_discriminator_stays_finite_where_a_probability_would_be_0() -> None:
    assert losses.discriminator(torch.tensor([-500.0]), torch.tensor([500.0])).item() == 500.0


def test_code_distance_in_both_norms() -> None:
    z, again = torch.zeros(2, 4, 1, 1), torch.zeros(2, 4, 1, 1)
    again[0, 1], again[0, 2] = 3.0, -1.0
    assert losses.code_distance(z, again).tolist() == [2.5, 0.0]
    assert losses.code_distance(z, again, "absolute").tolist() == [1.0, 0.0]
    with pytest.raises(ValueError, match="squared, absolute"):
        losses.code_distance(z, again, "l2")  # type: ignore[arg-type]


def test_code_distance_counts_in_float32() -> None:
    z = torch.full((1, 64, 1, 1), 100.0, dtype=torch.bfloat16)
    assert losses.code_distance(z, torch.zeros_like(z)).item() == 10_000.0
