"""The variational autoencoder: its bound is the theory's, held against torch's own distributions."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from models.ganomaly import Architecture
from models.method import Learning
from models.methods import vae
from models.methods.vae import Vae
from models.precision import place
from tests.models.method_contract import CPU, MethodContract, Scene, batches, judge, tensor

PIXELS = 3 * 32 * 32


class TestVae(MethodContract):
    kind = Vae
    uses_norm = False
    count = 60
    lower = 0.8


@pytest.fixture
def method(small: Architecture) -> Vae:
    torch.manual_seed(1)
    method = place(Vae(small), CPU)
    with torch.no_grad():  # codes whose variance is not 1
        method.encoder.last.weight.mul_(20)
    method.begin(Learning())
    return method


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(2)
    return torch.rand(4, 3, 32, 32) * 2 - 1


def bound(x: Tensor, rebuilt: Tensor, code: Normal) -> Tensor:
    """-ELBO of each picture for one z, in nats, from the definitions; without the constant of the Gaussian."""
    likelihood = Normal(rebuilt, vae.SIGMA)
    constant = math.log(vae.SIGMA) + math.log(2 * math.pi) / 2
    prior = Normal(torch.zeros_like(code.loc), torch.ones_like(code.scale))
    recon = -(likelihood.log_prob(x) + constant).sum((1, 2, 3))
    return recon + vae.BETA * kl_divergence(code, prior).sum((1, 2, 3))


def test_the_encoder_gives_two_numbers_for_one_of_the_code(method: Vae, small: Architecture, x: Tensor) -> None:
    assert method.encoder(x).shape == (4, 2 * small.nz, 1, 1)
    assert method.eval().features(x).shape == (4, small.nz)


def test_the_score_is_the_negative_bound_at_the_mean(method: Vae, x: Tensor) -> None:
    method.eval()
    with torch.no_grad():
        method.encoder.last.weight.mul_(25)  # batch norm without its statistics makes little of a picture
        mean, log_variance = method.encoder(x).chunk(2, dim=1)
        code = Normal(mean, (log_variance / 2).exp())
        rebuilt = method.decoder(mean)
    assert kl_divergence(code, Normal(torch.zeros_like(mean), 1.0)).sum() > 1, "the second term must count here"
    torch.testing.assert_close(judge(method, "rebuild", x), rebuilt)
    torch.testing.assert_close(judge(method, "score", x), bound(x, rebuilt, code) / PIXELS)
    torch.testing.assert_close(judge(method, "loss", x), (bound(x, rebuilt, code) / PIXELS).mean())


def test_a_step_goes_down_the_bound_at_a_sample(method: Vae, x: Tensor) -> None:
    method.train()
    torch.manual_seed(7)
    mean, log_variance = method.encoder(x).chunk(2, dim=1)
    code = Normal(mean, (log_variance / 2).exp())
    expected = bound(x, method.decoder(mean + code.scale * torch.randn_like(mean)), code).mean() / PIXELS
    gradients = torch.autograd.grad(expected, list(method.parameters()))

    torch.manual_seed(7)
    told = method.step(x)
    assert told["negative_elbo"] == pytest.approx(expected.item(), rel=1e-4)
    assert told["negative_elbo"] == pytest.approx(told["recon"] + vae.BETA * told["kl"], rel=1e-5)
    for (name, ours), theirs in zip(method.named_parameters(), gradients, strict=True):
        assert ours.grad is not None
        assert (ours.grad - theirs).norm() < 1e-3 * theirs.norm(), name


def test_training_samples_and_scoring_does_not(method: Vae, small: Architecture, x: Tensor) -> None:
    seen = []
    for seed in (1, 2):
        again = place(Vae(small), CPU)
        again.load_state_dict(method.state_dict())
        again.begin(Learning())
        torch.manual_seed(seed)
        seen.append(again.step(x))
    assert seen[0]["recon"] != seen[1]["recon"]
    assert seen[0]["kl"] == seen[1]["kl"]


def test_a_picture_beyond_all_measure_has_a_score(method: Vae, x: Tensor) -> None:
    with torch.no_grad():
        method.encoder.last.weight.mul_(1e3)
    with torch.no_grad():
        assert method.encoder(x).abs().max() > 88, "its exponential would overflow"
    scores = judge(method.eval(), "score", x)
    assert scores.isfinite().all() and scores.min() > 1


def test_faults_score_above_what_is_normal(small: Architecture, scene: Scene) -> None:
    torch.manual_seed(0)
    method = place(Vae(small), CPU)
    method.begin(Learning(lr=2e-3))
    for batch in batches(tensor(scene(96, seed=1)), 100):
        method.step(batch)
    method.eval()
    normal, faulty = (judge(method, "score", tensor(scene(40, seed=2, fault=fault))) for fault in (False, True))
    above = (faulty[:, None] > normal).float().mean()
    assert above > 0.7, "as it stays with any seed; most bring it to 1"
