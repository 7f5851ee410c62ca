"""Skip-GANomaly: the U-Net's shape, the losses, the score."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from models.ganomaly import SIZES, Architecture
from models.losses import Weights
from models.method import Learning
from models.methods.skip_ganomaly import SkipGanomaly, SkipGenerator
from tests.models.method_contract import MethodContract


class TestSkipGanomaly(MethodContract):
    kind = SkipGanomaly
    uses_norm = False


@pytest.fixture
def method(small: Architecture) -> SkipGanomaly:
    torch.manual_seed(1)
    method = SkipGanomaly(small)
    method.begin(Learning())
    for _ in range(3):
        method.step(torch.rand(8, 3, 32, 32) * 2 - 1)
    return method


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(2)
    return torch.rand(3, 3, 32, 32) * 2 - 1


@pytest.mark.parametrize("size", SIZES)
def test_the_picture_is_halved_to_one_pixel(size: int) -> None:
    down: list[tuple[int, int]] = []
    up: list[tuple[int, int]] = []
    with torch.device("meta"):
        network = SkipGenerator(Architecture(size=size, ngf=4))
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(lambda _, __, out: down.append((out.shape[1], out.shape[2])))
            elif isinstance(module, nn.ConvTranspose2d):
                module.register_forward_hook(lambda _, into, __: up.append((into[0].shape[1], into[0].shape[2])))
        network(torch.empty(2, 3, size, size))
    widths = [4, 8, 16, 32, 32, 32, 32, 32][: size.bit_length() - 1]
    sides = [size >> level for level in range(1, size.bit_length())]
    assert down == list(zip(widths, sides, strict=True))
    # On the way up, every map but the innermost is joined with that of the way down.
    joined = [(2 * width, side) for width, side in zip(widths, sides, strict=True)]
    assert up == [(widths[-1], 1), *joined[-2::-1]]


def test_a_single_picture_can_be_learned_from(method: SkipGanomaly, x: Tensor) -> None:
    assert all(torch.tensor(list(method.step(x[:1]).values())).isfinite())


def test_details_reach_the_end_past_the_bottleneck(method: SkipGanomaly, x: Tensor) -> None:
    method.eval()
    with torch.no_grad():
        for parameter in method.generator.down[-1].parameters():
            parameter.zero_()  # nothing passes the innermost level
        made = method.rebuild(x)
    assert not torch.equal(made[0], made[1])


def test_losses_are_the_authors(method: SkipGanomaly, x: Tensor) -> None:
    method.begin(Learning(weights=Weights(2.0, 30.0, 5.0)))
    before = copy.deepcopy(method).train()
    told = method.step(x)
    with torch.no_grad():
        made = before.generator(x)
        real, fake = before.discriminator(x), before.discriminator(made)
        adv, con = -logsigmoid(fake.logit).mean(), (x - made).abs().mean()
        lat = (real.features - fake.features).square().mean()
        loss_d = -logsigmoid(real.logit).mean() - logsigmoid(-fake.logit).mean() + lat
    expected = {"generator": 2 * adv + 30 * con + 5 * lat, "adv": adv, "con": con, "lat": lat, "discriminator": loss_d}
    assert told == pytest.approx({name: value.item() for name, value in expected.items()}, rel=1e-4)


def test_the_weight_of_the_residual_is_the_authors() -> None:
    assert Learning().weights == (1, 50, 1)


def test_the_score_is_the_papers(method: SkipGanomaly, x: Tensor) -> None:
    method.eval()
    with torch.no_grad():
        made = method.generator(x)
        f, again = method.discriminator(x).features, method.discriminator(made).features
        scores = method.score(x)
    assert f.shape == (3, method.arch.nz, 1, 1)
    for i in range(3):
        expected = 0.9 * (x[i] - made[i]).square().mean() + 0.1 * (f[i] - again[i]).square().mean()
        torch.testing.assert_close(scores[i], expected, rtol=1e-5, atol=0)


def test_a_collapsed_discriminator_is_begun_anew(
    method: SkipGanomaly, x: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert method.resets == 0
    monkeypatch.setattr("models.step.COLLAPSED", 1e9)
    with torch.no_grad():
        method.discriminator.classifier.weight.fill_(7)
    method.step(x)
    assert method.resets == 1
    assert float(method.discriminator.classifier.weight.detach().abs().max()) < 0.2
