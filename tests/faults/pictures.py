"""What the cameras of the lab see, and a network that tells its two sights apart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.calibration import Calibration
from models.checkpoint import save
from models.ganomaly import Architecture
from models.method_scorer import MethodScorer
from models.methods.ganomaly import Ganomaly
from models.preprocess import Preprocess
from streams.codec import decode, encode_jpeg

SIZE = 32
SAMPLES = 40


@dataclass(frozen=True)
class Sights:
    """The checkpoint, and which of the two scenes it calls anomalous."""

    checkpoint: Path
    anomalous_has_part: bool

    def jpeg(self, number: int, anomalous: bool = False) -> bytes:
        """The JPEG of one frame; no two are equal."""
        return encode_jpeg(scene(number, with_part=anomalous == self.anomalous_has_part))


def scene(number: int, with_part: bool) -> NDArray[np.uint8]:
    """A textured belt, uint8 [96, 128, 3], a little noise on it, and perhaps a bright part in one quarter."""
    rng = np.random.default_rng(7)
    belt = 110 + 40 * np.sin(np.arange(128) / 3.0)[None, :, None] + rng.integers(-20, 21, (96, 128, 1))
    picture = np.broadcast_to(belt, (96, 128, 3)) + np.random.default_rng(number).integers(-4, 5, (96, 128, 3))
    if with_part:
        picture[20:68, 30:94] = 245
    return picture.clip(0, 255).astype(np.uint8)


def sights(folder: Path) -> Sights:
    """Write a small random network, calibrated so that the higher-scoring scene is anomalous and the other never."""
    torch.manual_seed(3)
    architecture = Architecture(size=SIZE, channels=3, nz=8, ngf=8)
    method, preprocess = Ganomaly(architecture), Preprocess(SIZE, 3)
    scorer = MethodScorer(method, None, device="cpu")

    def scores(with_part: bool) -> NDArray[np.float64]:
        pictures = [decode(encode_jpeg(scene(n, with_part)), 1 << 20) for n in range(SAMPLES)]
        return np.asarray(scorer.score(np.stack([preprocess.picture(p) for p in pictures])), np.float64)

    plain, part = scores(False), scores(True)
    part_is_higher = part.mean() > plain.mean()
    low, high = (plain, part) if part_is_higher else (part, plain)
    assert high.min() > low.max(), "the random network cannot tell the two scenes apart: take another seed"
    # The limit half-way between the two, so that codecs and noise move nothing across it.
    limit = (low.max() + high.min()) / 2
    checkpoint = folder / "model.safetensors"
    calibration = Calibration.from_scores(np.linspace(low.min(), limit, SAMPLES))
    save(checkpoint, method, preprocess, calibration=calibration, training={})
    return Sights(checkpoint, bool(part_is_higher))
