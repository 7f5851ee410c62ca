"""Small networks and pictures that every test of this floor shares."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from models.calibration import Calibration
from models.ganomaly import Architecture
from models.method_scorer import MethodScorer
from models.methods.ganomaly import Ganomaly
from models.preprocess import Picture

pytest.register_assert_rewrite("tests.models.method_contract")

Scene = Callable[..., Picture]
SMALL = Architecture(size=32, channels=3, nz=16, ngf=8)


@pytest.fixture(autouse=True)
def _one_thread(one_thread: None) -> None:
    """For every test of this floor."""


@pytest.fixture
def small() -> Architecture:
    return SMALL


@pytest.fixture
def ganomaly(small: Architecture) -> Ganomaly:
    """Untrained, with batch norm statistics unlike the initial ones."""
    torch.manual_seed(5)
    made = Ganomaly(small)
    for _ in range(3):
        x = torch.rand(8, 3, 32, 32) * 2 - 1
        made.generator(x)
        made.discriminator(x)
    return made.eval()


@pytest.fixture
def calibration() -> Calibration:
    return Calibration.from_scores(np.linspace(0.1, 0.2, 40))


@pytest.fixture
def scorer(ganomaly: Ganomaly, calibration: Calibration) -> MethodScorer:
    return MethodScorer(ganomaly, calibration, device="cpu", precision="fp32")


@pytest.fixture(scope="session")
def scene() -> Scene:
    """Makes pictures: see _scene."""
    return _scene


def _scene(count: int, seed: int = 0, fault: bool = False) -> Picture:
    """uint8 [count, 32, 32, 3]: a bright disc on a dark belt, its place and the light a little
    different each time; with a fault, a piece of the disc is missing."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:32, 0:32]
    pictures = np.empty((count, 32, 32, 3), np.uint8)
    for picture in pictures:
        y, x = 16 + rng.uniform(-1.5, 1.5, 2)
        disc = (rows - y) ** 2 + (columns - x) ** 2 < 81
        if fault:
            disc &= ~((rows < y) & (columns > x))
        light = rng.uniform(0.95, 1.05)
        grey = np.where(disc, 200.0, 50.0) * light + rng.normal(0, 3, (32, 32))
        picture[...] = np.clip(grey[..., None] * [1.0, 0.9, 0.7], 0, 255)
    return pictures
