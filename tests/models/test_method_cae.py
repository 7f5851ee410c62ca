"""The convolutional autoencoder: GANomaly's first encoder and its decoder, and nothing else of it."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from models.ganomaly import Architecture, Generator
from models.method import Learning
from models.methods.cae import ConvolutionalAutoencoder
from models.precision import place
from tests.models.method_contract import CPU, MethodContract, Scene, batches, judge, tensor


class TestConvolutionalAutoencoder(MethodContract):
    kind = ConvolutionalAutoencoder
    count = 60
    lower = 0.8


@pytest.fixture
def method(small: Architecture) -> ConvolutionalAutoencoder:
    torch.manual_seed(1)
    method = place(ConvolutionalAutoencoder(small), CPU)
    method.begin(Learning())
    return method


@pytest.fixture
def x() -> Tensor:
    return torch.rand(4, 3, 32, 32) * 2 - 1


def test_the_networks_are_ganomalys(small: Architecture) -> None:
    with torch.device("meta"):
        ours, theirs = ConvolutionalAutoencoder(small), Generator(small)
    for one, other in ((ours.encoder, theirs.encoder1), (ours.decoder, theirs.decoder)):
        shapes = [{name: t.shape for name, t in network.state_dict().items()} for network in (one, other)]
        assert shapes[0] == shapes[1]
    own = sum(p.numel() for p in ours.parameters())
    assert own == sum(p.numel() for p in [*theirs.encoder1.parameters(), *theirs.decoder.parameters()])


def test_they_begin_as_ganomalys(method: ConvolutionalAutoencoder) -> None:
    method.requires_grad_(False)
    assert float(method.encoder.last.weight.std()) == pytest.approx(0.02, rel=0.1)
    assert float(method.decoder.pyramid[0][0].weight.std()) == pytest.approx(0.02, rel=0.1)  # type: ignore[index, union-attr]


def test_a_step_is_one_of_adam_down_the_mean_of_the_gaps(method: ConvolutionalAutoencoder, x: Tensor) -> None:
    plain = copy.deepcopy(method).train()
    adam = torch.optim.Adam(plain.parameters(), 2e-4, (0.5, 0.999))
    gap = (x - plain.decoder(plain.encoder(x))).abs().mean()
    torch.autograd.backward(gap)
    adam.step()
    assert method.step(x) == {"con": pytest.approx(gap.item(), rel=1e-5)}
    for (name, ours), theirs in zip(method.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-6, msg=name)


def test_a_rate_that_is_given_is_taken(small: Architecture) -> None:
    method = ConvolutionalAutoencoder(small)
    (optimiser,) = method.begin(Learning(lr=0.5, betas=(0.1, 0.2))).values()
    assert (optimiser.defaults["lr"], optimiser.defaults["betas"]) == (0.5, (0.1, 0.2))


def test_the_score_is_the_reconstruction_error(method: ConvolutionalAutoencoder, x: Tensor) -> None:
    method.eval()
    gap = x - judge(method, "rebuild", x)
    torch.testing.assert_close(judge(method, "score", x), gap.square().mean((1, 2, 3)))
    method.norm = "absolute"
    torch.testing.assert_close(judge(method, "score", x), gap.abs().mean((1, 2, 3)))
    torch.testing.assert_close(judge(method, "loss", x), gap.abs().mean())


def test_faults_score_above_what_is_normal(small: Architecture, scene: Scene) -> None:
    torch.manual_seed(0)
    method = place(ConvolutionalAutoencoder(small), CPU)
    method.begin(Learning(lr=2e-3))
    for batch in batches(tensor(scene(96, seed=1)), 100):
        method.step(batch)
    method.eval()
    normal, faulty = (judge(method, "score", tensor(scene(40, seed=2, fault=fault))) for fault in (False, True))
    above = (faulty[:, None] > normal).float().mean()
    assert above > 0.7, "as it stays with any seed; most bring it to 1"
