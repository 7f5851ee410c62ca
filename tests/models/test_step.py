"""One step: what is updated from what, in which order, and the discriminator begun anew."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

import models.step
from models import losses
from models.ganomaly import Architecture, Discriminator, Generator, Judged
from models.losses import Weights
from models.step import Step


@pytest.fixture
def step(small: Architecture) -> Step:
    torch.manual_seed(1)
    return Step(Generator(small), Discriminator(small))


@pytest.fixture
def x() -> Tensor:
    return torch.rand(4, 3, 32, 32) * 2 - 1


def authors_step(generator: Generator, discriminator: Discriminator, x: Tensor) -> None:
    """The reference's order written out plainly, four passes through the discriminator."""
    adam = {"lr": 2e-4, "betas": (0.5, 0.999)}
    optimiser_g = torch.optim.Adam(generator.parameters(), **adam)  # type: ignore[arg-type]
    optimiser_d = torch.optim.Adam(discriminator.parameters(), **adam)  # type: ignore[arg-type]
    made = generator(x)
    real, fake = discriminator(x).logit, discriminator(made.rebuilt.detach()).logit
    optimiser_g.zero_grad()
    loss_g = losses.generator(
        losses.adversarial(discriminator(x).features, discriminator(made.rebuilt).features),
        losses.contextual(x, made.rebuilt),
        losses.encoding(made.code, made.code_again),
        Weights(),
    )
    torch.autograd.backward(loss_g, retain_graph=True)
    optimiser_g.step()
    optimiser_d.zero_grad()
    torch.autograd.backward(losses.discriminator(real, fake))
    optimiser_d.step()


def test_same_gradients_as_the_authors_four_passes(step: Step, x: Tensor) -> None:
    generator, discriminator = copy.deepcopy((step.generator, step.discriminator))
    authors_step(generator, discriminator, x)
    step(x)
    for ours, theirs in ((step.generator, generator), (step.discriminator, discriminator)):
        for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            assert a.grad is not None and b.grad is not None, name
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-3, atol=1e-6, msg=name)


def test_generator_is_updated_before_the_discriminator(step: Step, x: Tensor) -> None:
    order: list[str] = []
    step.optimiser_g.register_step_pre_hook(lambda *_: order.append("generator"))
    step.optimiser_d.register_step_pre_hook(lambda *_: order.append("discriminator"))
    step(x)
    step(x)
    assert order == ["generator", "discriminator"] * 2


def test_discriminator_loss_is_of_the_pictures_before_the_update(step: Step, x: Tensor) -> None:
    generator, discriminator = copy.deepcopy((step.generator, step.discriminator))
    logits = discriminator(x).logit, discriminator(generator(x).rebuilt).logit
    expected = losses.discriminator(*logits).item()
    assert step(x).discriminator == pytest.approx(expected, rel=1e-5)


def test_adam_has_the_paper_settings(step: Step) -> None:
    for optimiser in (step.optimiser_g, step.optimiser_d):
        assert optimiser.defaults["lr"] == 2e-4
        assert optimiser.defaults["betas"] == (0.5, 0.999)
        assert optimiser.defaults["weight_decay"] == 0


def weights(network: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in network.parameters()]


def test_a_collapsed_discriminator_is_begun_anew(step: Step, x: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    # Real pictures get a logit far above 0 and rebuilt ones far below: nothing left to teach.
    teach = step.discriminator.forward

    def sure(pictures: Tensor) -> Judged:
        judged = teach(pictures)
        return Judged(judged.logit * 1e-3 + (50.0 if pictures is x else -50.0), judged.features)

    monkeypatch.setattr(step.discriminator, "forward", sure)
    with torch.no_grad():
        for p in step.discriminator.parameters():
            p.mul_(60)
    made = step(x)
    assert made.d_reset
    assert made.discriminator < 1e-5
    assert step.resets == 1
    step.discriminator.requires_grad_(False)
    for name, module in step.discriminator.named_modules():
        if isinstance(module, nn.Conv2d):
            assert float(module.weight.std()) == pytest.approx(0.02, rel=0.3), name
        elif isinstance(module, nn.BatchNorm2d):
            assert not module.bias.any(), name


def test_a_healthy_discriminator_is_left_alone(step: Step, x: Tensor) -> None:
    before = weights(step.discriminator)
    made = step(x)
    assert not made.d_reset and step.resets == 0
    moved = [float((a - b).abs().max()) for a, b in zip(before, weights(step.discriminator), strict=True)]
    assert 0 < max(moved) < 1e-3


def test_threshold_of_the_collapse_is_the_authors() -> None:
    assert models.step.COLLAPSED == 1e-5
