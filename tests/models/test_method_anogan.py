"""AnoGAN: the search for z, and the score at its end."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from models.ganomaly import Architecture
from models.method import Learning
from models.methods.anogan import AnoGan
from tests.models.method_contract import MethodContract


class Hasty(AnoGan):
    """AnoGAN that searches no longer than a test may last."""

    search_steps = 8
    look_steps = 8


class TestAnoGan(MethodContract):
    kind = Hasty
    count = 60
    uses_norm = False


@pytest.fixture
def method(small: Architecture) -> AnoGan:
    """Trained a little, so that the statistics of batch norm are pictures'."""
    torch.manual_seed(1)
    method = AnoGan(small)
    method.begin(Learning())
    for _ in range(3):
        method.step(torch.rand(8, 3, 32, 32) * 2 - 1)
    return method.eval()


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(2)
    return torch.rand(3, 3, 32, 32) * 2 - 1


def score_at(method: AnoGan, x: Tensor, z: Tensor) -> Tensor:
    """The paper's, written out."""
    with torch.no_grad():
        made = method.generator(z)
        features, again = method.discriminator(x).features, method.discriminator(made).features
        residual = torch.stack([(a - b).abs().sum() for a, b in zip(x, made, strict=True)])
        apart = torch.stack([(a - b).abs().sum() for a, b in zip(features, again, strict=True)])
        return 0.9 * residual + 0.1 * apart


def test_without_a_search_the_score_is_the_papers_at_the_first_z(method: AnoGan, x: Tensor) -> None:
    method.search_steps = 0
    expected = score_at(method, x, method.start.expand(3, -1, -1, -1))
    torch.testing.assert_close(method.score(x), expected, rtol=1e-5, atol=0)


def test_a_longer_search_finds_a_more_similar_picture(method: AnoGan, x: Tensor) -> None:
    scores = []
    for method.search_steps in (0, 10, 60):
        scores.append(method.score(x))
    assert (scores[1] < scores[0]).all() and (scores[2] < scores[1]).all(), scores


def test_the_search_finds_a_picture_that_the_generator_drew(method: AnoGan, x: Tensor) -> None:
    with torch.no_grad():
        drawn = method.generator(torch.rand(1, method.arch.nz, 1, 1) * 2 - 1)
    method.search_steps = 200
    assert method.score(drawn) < 0.1 * method.score(x).min()
    assert (method.rebuild(drawn) - drawn).abs().mean() < 0.1 * (method.rebuild(x) - x).abs().mean()


def test_the_paper_searches_five_hundred_steps() -> None:
    assert AnoGan.search_steps == 500


def test_the_search_moves_z_and_no_weight(method: AnoGan, x: Tensor) -> None:
    method.zero_grad()
    method.search_steps = 3
    before = {name: value.clone() for name, value in method.state_dict().items()}
    method.score(x)
    assert all(parameter.grad is None for parameter in method.parameters())
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())


def test_z_is_drawn_evenly_from_minus_one_to_one() -> None:
    start = AnoGan(Architecture(size=32, nz=4000, ngf=2)).start
    assert -1 <= float(start.min()) < -0.99 and 0.99 < float(start.max()) <= 1
    assert float(start.mean()) == pytest.approx(0, abs=0.05)


def test_the_discriminator_learns_before_the_generator(small: Architecture, x: Tensor) -> None:
    method = AnoGan(small)
    optimisers = method.begin(Learning())
    order: list[str] = []
    for name, optimiser in optimisers.items():
        optimiser.register_step_pre_hook(lambda *_, name=name: order.append(name))
    method.step(x)
    assert order == ["discriminator", "generator"]


def test_a_collapsed_discriminator_is_begun_anew(
    small: Architecture, x: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = AnoGan(small)
    method.begin(Learning())
    method.step(x)
    assert method.resets == 0
    monkeypatch.setattr("models.step.COLLAPSED", 1e9)
    with torch.no_grad():
        for parameter in method.discriminator.parameters():
            parameter.fill_(7)
    method.step(x)
    assert method.resets == 1
    assert all(float(parameter.detach().abs().max()) < 2 for parameter in method.discriminator.parameters())


def test_warming_up_does_not_search_to_the_end(method: AnoGan, x: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    search = AnoGan._search

    def counted(self: AnoGan, x: Tensor, features: Tensor | None, steps: int, lr: float) -> Tensor:
        asked.append(steps)
        return search(self, x, features, steps, lr)

    monkeypatch.setattr(AnoGan, "_search", counted)
    method.warm_up(x)
    assert asked == [1]
