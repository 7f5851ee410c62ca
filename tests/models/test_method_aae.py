"""The adversarial autoencoder: who is real, who is fake, and who learns from it."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy

from models.ganomaly import Architecture
from models.method import Learning
from models.methods.aae import HIDDEN, Aae
from models.precision import place
from tests.models.method_contract import CPU, MethodContract, judge


class TestAae(MethodContract):
    kind = Aae
    count = 60
    lower = 0.8


@pytest.fixture
def method(small: Architecture) -> Aae:
    torch.manual_seed(1)
    method = place(Aae(small), CPU)
    method.begin(Learning())
    return method


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(2)
    return torch.rand(8, 3, 32, 32) * 2 - 1


def test_a_step_is_the_references(method: Aae, x: Tensor) -> None:
    """L_G = 0.001 BCE + 0.999 L1, then the prior against codes that are detached; from probabilities."""
    plain = copy.deepcopy(method).train()
    torch.manual_seed(7)
    prior = torch.randn(8, plain.arch.nz)
    code = plain.encoder(x).flatten(1)
    real, fake = torch.ones(8), torch.zeros(8)
    con = (x - plain.decoder(code[..., None, None])).abs().mean()
    adv = binary_cross_entropy(plain.discriminator(code).sigmoid(), real)
    coding = [*plain.encoder.parameters(), *plain.decoder.parameters()]
    gradients = list(torch.autograd.grad(0.001 * adv + 0.999 * con, coding))
    wrong = binary_cross_entropy(plain.discriminator(code.detach()).sigmoid(), fake)
    loss_d = (binary_cross_entropy(plain.discriminator(prior).sigmoid(), real) + wrong) / 2
    gradients += torch.autograd.grad(loss_d, list(plain.discriminator.parameters()))

    torch.manual_seed(7)
    told = method.step(x)
    expected = {"con": con.item(), "adv": adv.item(), "discriminator": loss_d.item()}
    assert told == {name: pytest.approx(value, rel=1e-4) for name, value in expected.items()}
    assert next(iter(told)) == "con"
    for (name, ours), theirs in zip(method.named_parameters(), gradients, strict=True):
        torch.testing.assert_close(ours.grad, theirs, rtol=1e-3, atol=1e-6, msg=name)


def test_each_side_has_an_optimiser_of_its_own(small: Architecture) -> None:
    method = Aae(small)
    optimisers = method.begin(Learning(lr=0.1))
    owned = {name: {id(p) for group in o.param_groups for p in group["params"]} for name, o in optimisers.items()}
    assert owned["discriminator"] == {id(p) for p in method.discriminator.parameters()}
    coding = [*method.encoder.parameters(), *method.decoder.parameters()]
    assert owned["autoencoder"] == {id(p) for p in coding}
    assert all(o.defaults["lr"] == 0.1 for o in optimisers.values())


def test_the_discriminator_judges_codes_through_two_layers(small: Architecture) -> None:
    method = Aae(small)
    layers = [m for m in method.discriminator.modules() if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in layers] == [(small.nz, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, 1)]
    assert method.discriminator(torch.zeros(5, small.nz)).shape == (5,)


def test_the_discriminator_learns_what_the_prior_is(method: Aae, x: Tensor) -> None:
    """Codes of an encoder that stands still, far from the prior."""
    with torch.no_grad():
        method.encoder.last.weight.mul_(100)
    for group in method.optimiser_g.param_groups:
        group["lr"] = 0.0
    told = [method.step(x)["discriminator"] for _ in range(30)]
    assert told[-1] < 0.5 * told[0]
    with torch.no_grad():
        prior = method.discriminator(torch.randn(200, method.arch.nz))
        codes = method.discriminator(method.train().encoder(x).flatten(1))
    assert prior.mean() > 0 > codes.mean()


def test_the_score_is_the_reconstruction_error(method: Aae, x: Tensor) -> None:
    method.eval()
    gap = x - judge(method, "rebuild", x)
    torch.testing.assert_close(judge(method, "score", x), gap.square().mean((1, 2, 3)))
    method.norm = "absolute"
    torch.testing.assert_close(judge(method, "score", x), gap.abs().mean((1, 2, 3)))
    assert judge(method, "features", x).shape == (8, HIDDEN)
