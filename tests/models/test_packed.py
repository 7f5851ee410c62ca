"""Packed networks are the same networks."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models import packed
from models.calibration import Calibration
from models.checkpoint import load, save
from models.ganomaly import Architecture, Generator
from models.method_scorer import MethodScorer
from models.methods.calibrated import Calibrated
from models.methods.ganomaly import Ganomaly
from models.packed import Packed, can_pack, pack
from models.precision import has_fast_bf16
from models.preprocess import Preprocess

CPU = torch.device("cpu")
KNOWN = Calibration.from_scores(np.linspace(1, 2, 20))
KINDS = {
    "small": Architecture(size=32, nz=16, ngf=8),
    "grey": Architecture(size=32, channels=1, nz=16, ngf=8),
    "extra layers": Architecture(size=64, nz=16, ngf=8, extra_layers=2),
    "first padding 4": Architecture(size=64, nz=16, ngf=8, first_padding=4),
    "the paper's, with deep layers": Architecture(size=64),
}


def settled(network: nn.Module) -> nn.Module:
    """In evaluation mode, with batch norm statistics and weights unlike the initial ones."""
    torch.manual_seed(2)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 1.5)
            nn.init.normal_(part.bias, 0, 0.1)
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize("arch", KINDS.values(), ids=KINDS.keys())
@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-5), (torch.bfloat16, 0.02)], ids=str)
def test_gives_what_the_network_gives(arch: Architecture, dtype: torch.dtype, near: float) -> None:
    torch.manual_seed(1)
    network = settled(Generator(arch))
    x = torch.rand(3, arch.channels, arch.size, arch.size) * 2 - 1
    expected = network(x)
    pack(network, dtype)
    for found, wanted in zip(network(x), expected, strict=True):
        assert found.shape == wanted.shape
        scale = float(wanted.abs().max())
        np.testing.assert_allclose(found.float().numpy(), wanted.numpy(), rtol=0, atol=near * scale)
    assert all(found.dtype == dtype for found in network(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_deep_layers_as_products_of_matrices(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every layer that could be one is made one, odd sides and several pictures among them."""
    monkeypatch.setattr(packed, "MANY_BYTES", 0)
    monkeypatch.setattr(packed, "FEW_PIXELS", 1 << 20)
    torch.manual_seed(1)
    down = nn.Sequential(nn.Conv2d(6, 10, 4, 2, 1, bias=False), nn.BatchNorm2d(10), nn.LeakyReLU(0.2))
    up = nn.Sequential(nn.ConvTranspose2d(10, 6, 4, 2, 1), nn.BatchNorm2d(6), nn.ReLU())
    network = settled(nn.Sequential(down, up))
    for side in (2, 6, 7, 8):
        mine = copy.deepcopy(network)
        pack(mine, dtype)
        x = torch.randn(3, 6, side, side)
        expected = network(x)
        near = 1e-5 if dtype == torch.float32 else 0.03
        np.testing.assert_allclose(mine(x).float().numpy(), expected.numpy(), rtol=0, atol=near * float(expected.max()))


def test_leaves_alone_what_it_does_not_know() -> None:
    network = nn.Sequential(
        nn.Sequential(nn.Conv2d(4, 4, 3, groups=2), nn.ReLU()),
        nn.Sequential(nn.Conv2d(4, 4, 3, padding="same"), nn.ReLU()),
        nn.Sequential(nn.Conv2d(4, 4, 3), nn.GELU()),
        nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU()),
    )
    x = torch.randn(2, 4, 9, 9)
    network.eval()
    expected = network(x)
    pack(network, torch.float32)
    assert sum(isinstance(part, Packed) for part in network.modules()) == 2  # GELU stands behind one
    torch.testing.assert_close(network(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [Ganomaly, Calibrated])
def test_a_model_that_serves_has_the_scores_and_the_name_that_it_was_evaluated_with(
    kind: type[Ganomaly | Calibrated], tmp_path: Path
) -> None:
    torch.manual_seed(4)
    method = kind(Architecture(size=64, nz=16, ngf=8))
    settled(method)
    path = tmp_path / "model.safetensors"
    save(path, method, Preprocess(64, 3), calibration=KNOWN, training={})
    pictures = np.random.default_rng(0).integers(0, 256, (11, 64, 64, 3), dtype=np.uint8)
    evaluated, serving = load(path, "cpu"), load(path, "cpu", threads=2)
    np.testing.assert_allclose(serving.score(pictures), evaluated.score(pictures), rtol=1e-3)
    np.testing.assert_allclose(serving.heats(pictures), evaluated.heats(pictures), rtol=0.01, atol=0.01)
    assert serving.info == evaluated.info
    half = load(path, "cpu", "bf16", threads=2)
    np.testing.assert_allclose(half.score(pictures), evaluated.score(pictures), rtol=0.05)
    assert half.info.model_id == evaluated.info.model_id


def test_serves_unpacked_where_pytorch_lacks_the_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "_OPERATORS", ("of_another_day",))
    assert not can_pack(CPU)
    scorer = MethodScorer(Ganomaly(KINDS["small"]), KNOWN, device="cpu", threads=1)
    assert np.isfinite(scorer.score(np.zeros((3, 32, 32, 3), np.uint8))).all()


def test_precision_auto_follows_the_processor() -> None:
    scorer = MethodScorer(Ganomaly(KINDS["small"]), KNOWN, device="cpu", precision="auto", threads=1)
    assert scorer.info.precision == ("bf16" if has_fast_bf16(CPU) else "fp32")
