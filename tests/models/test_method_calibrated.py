"""The calibrated mode: the contract, what it finds, and how honest its threshold is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from models.checkpoint import load
from models.ganomaly import Architecture
from models.method import Method
from models.methods.calibrated import MOST_HELD_OUT, Calibrated
from models.preprocess import Picture
from models.train import train
from models.training_config import TrainConfig, for_line
from tests.models.method_contract import MethodContract

Scene = Callable[..., Picture]
CONFIG = TrainConfig(
    method="calibrated",
    architecture=Architecture(size=32, channels=3, nz=8, ngf=4),
    batch=8,
    average=0.9,
    max_steps=20,
    minutes=None,
    evaluate_every=10,
    device="cpu",
    precision="fp32",
)


class TestCalibrated(MethodContract):
    kind: type[Method] = Calibrated
    count = 60
    # Differences of nearly equal squares are rounded differently in batches of another shape; the scorer's have one.
    rtol, atol = 5e-3, 1e-3


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, scene: Scene) -> Path:
    out = tmp_path_factory.mktemp("calibrated") / "model.safetensors"
    torch.set_num_threads(1)
    train(scene(80), CONFIG, out)
    return out


def test_finds_the_missing_piece_after_a_few_steps(trained: Path, scene: Scene) -> None:
    scorer = load(trained, device="cpu")
    normal, spoilt = scorer.score(scene(40, seed=7)), scorer.score(scene(40, seed=8, fault=True))
    assert (spoilt[:, None] > normal[None]).mean() > 0.99
    calibration = scorer.info.calibration
    assert calibration is not None
    # The threshold was drawn above scores of pictures that had not been learned from.
    assert (normal > calibration.threshold).mean() <= 0.1
    assert (spoilt > calibration.threshold).mean() >= 0.9


def test_the_heat_is_where_the_piece_is_missing(trained: Path, scene: Scene) -> None:
    scorer = load(trained, device="cpu")
    heat = scorer.heats(scene(20, seed=9, fault=True)).mean(0)
    assert heat[6:16, 16:26].mean() > 2 * heat[16:26, 6:16].mean()


def test_learned_held_out_pictures_do_not_flatter_the_threshold(trained: Path, scene: Scene) -> None:
    """The memory holds them by now, so they score lower than pictures that it has never met."""
    scorer = load(trained, device="cpu")
    known = scene(80)
    fresh = scorer.score(scene(80, seed=21))
    assert scorer.info.calibration is not None
    assert np.median(scorer.score(known)) < np.median(fresh)
    honest = dict(scorer.info.calibration.quantiles)[0.5]
    assert honest == pytest.approx(np.median(fresh), rel=0.5)


def test_every_held_out_picture_has_a_score(scene: Scene) -> None:
    method = Calibrated(CONFIG.architecture).eval()
    x = torch.from_numpy(scene(MOST_HELD_OUT + 30)).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        honest = method.settle(x[:20], x[10:])
    assert honest is not None and honest.shape == (MOST_HELD_OUT + 20,)
    assert torch.isfinite(honest).all() and bool((honest >= 0).all())


def test_the_weights_are_shares(trained: Path) -> None:
    weights = load(trained, device="cpu")._method.get_buffer("weights")
    assert float(weights.sum()) == pytest.approx(1, abs=1e-5) and bool((weights >= 0).all())


def test_its_size_for_a_line_is_larger() -> None:
    assert for_line("calibrated").architecture.size == 128
