"""EGBAD: which pairs D tells apart, what the makers learn from it, and the score."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from models.ganomaly import Architecture
from models.method import Learning
from models.methods.egbad import Egbad
from tests.models.method_contract import MethodContract


class TestEgbad(MethodContract):
    kind = Egbad
    count = 150
    learning = Learning(lr=1e-3)
    uses_norm = False


@pytest.fixture
def method(small: Architecture) -> Egbad:
    torch.manual_seed(1)
    method = Egbad(small)
    method.begin(Learning(lr=1e-3))
    for _ in range(3):
        method.step(torch.rand(8, 3, 32, 32) * 2 - 1)
    return method


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(2)
    return torch.rand(3, 3, 32, 32) * 2 - 1


def test_the_settings_are_the_papers() -> None:
    assert (Egbad.nz, Egbad.lr, Egbad.average) == (200, 1e-5, 0.999)
    assert Learning().betas[0] == 0.5
    optimisers = Egbad(Architecture(size=32, nz=4, ngf=2)).begin(Learning())
    assert {optimiser.defaults["lr"] for optimiser in optimisers.values()} == {1e-5}


def test_the_score_is_the_papers(method: Egbad, x: Tensor) -> None:
    method.eval()
    with torch.no_grad():
        code = method.encoder(x)
        made = method.generator(code)
        f, again = method.discriminator(x, code).features, method.discriminator(made, code).features
        scores = method.score(x)
    assert f.shape == (3, 1024)
    for i in range(3):
        expected = 0.9 * (x[i] - made[i]).abs().sum() + 0.1 * (f[i] - again[i]).abs().sum()
        torch.testing.assert_close(scores[i], expected, rtol=1e-5, atol=0)


def test_the_discriminator_sees_picture_and_code(method: Egbad, x: Tensor) -> None:
    method.eval()
    z, other = torch.randn(2, 3, method.arch.nz, 1, 1).unbind()
    with torch.no_grad():
        logit = method.discriminator(x, z).logit
        assert logit.shape == (3,)
        assert not torch.equal(logit, method.discriminator(x, other).logit)
        assert not torch.equal(logit, method.discriminator(-x, z).logit)


def test_the_encoders_pair_counts_as_real_and_the_makers_want_the_opposite(method: Egbad, x: Tensor) -> None:
    for module in method.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    before = copy.deepcopy(method).train()
    torch.manual_seed(4)
    told = method.step(x)
    torch.manual_seed(4)
    z = torch.randn(3, method.arch.nz, 1, 1)
    with torch.no_grad():
        code, made = before.encoder(x), before.generator(z)
        real, fake = before.discriminator(x, code).logit, before.discriminator(made, z).logit
        expected = -0.5 * (logsigmoid(real).mean() + logsigmoid(-fake).mean())
        assert told["discriminator"] == pytest.approx(expected.item(), rel=1e-4)
        # The makers learn against the discriminator as it has become.
        before.discriminator.load_state_dict(method.discriminator.state_dict())
        real, fake = before.discriminator(x, code).logit, before.discriminator(made, z).logit
        assert told["generator"] == pytest.approx(-logsigmoid(fake).mean().item(), rel=1e-3)
        assert told["encoder"] == pytest.approx(-logsigmoid(-real).mean().item(), rel=1e-3)


def test_all_weights_begin_small(small: Architecture) -> None:
    method = Egbad(small)
    for name, module in method.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            assert float(module.weight.detach().std()) == pytest.approx(0.02, rel=0.3), name
            assert module.bias is None or not module.bias.any(), name


def test_a_collapsed_discriminator_is_begun_anew(method: Egbad, x: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    assert method.resets == 0
    monkeypatch.setattr("models.step.COLLAPSED", 1e9)
    with torch.no_grad():
        method.discriminator.last.weight.fill_(7)
    method.step(x)
    assert method.resets == 1
    assert float(method.discriminator.last.weight.detach().std()) == pytest.approx(0.02, rel=0.3)
