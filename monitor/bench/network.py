"""A network to bench with: what it costs does not depend on what it has learned."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import nn

from models.calibration import Calibration
from models.checkpoint import save
from models.ganomaly import Architecture
from models.method_scorer import MethodScorer
from models.methods.ganomaly import Ganomaly
from models.preprocess import Picture, Preprocess
from monitor.bench.footage import MAX_PIXELS, Footage
from streams.codec import decode

LOOKED_AT: Final = 16
"""Pictures: enough for statistics that keep every layer's numbers in range."""


def network(folder: Path, size: int, footage: Footage, ngf: int = 64, seed: int = 1) -> Path:
    """Write a GANomaly checkpoint of this size into the folder: random weights, batch norm settled on the footage, and
    calibrated on it, so that its scores are finite and the service takes it. The same file for the same arguments.

    ValueError for a size or an ngf that GANomaly cannot have; CheckpointError where the file cannot be written.
    """
    arch, preprocess = Architecture(size=size, ngf=ngf), Preprocess(size, 3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = Ganomaly(arch)
    pictures = seen(footage, preprocess, LOOKED_AT)
    _settle(made, preprocess, pictures)
    scores = MethodScorer(made, None, preprocess=preprocess, device="cpu").score(pictures)
    path = folder / f"bench-{size}px-ngf{ngf}.safetensors"
    about = {"made_by": "linewatch bench", "weights": f"random, of seed {seed}", "pictures": len(pictures)}
    save(path, made, preprocess, calibration=Calibration.from_scores(scores), training=about)
    return path


def seen(footage: Footage, preprocess: Preprocess, most: int) -> Picture:
    """uint8 [n, S, S, C]: the first pictures of the footage as the network sees them, 1 <= n <= most."""
    return np.stack([preprocess.picture(decode(jpeg, MAX_PIXELS)) for jpeg in footage.jpegs[:most]])


@torch.no_grad()
def _settle(made: Ganomaly, preprocess: Preprocess, pictures: Picture) -> None:
    """Give batch norm the statistics of these pictures; untouched ones would let the numbers run away, or die out."""
    norms = [part for part in made.modules() if isinstance(part, nn.BatchNorm2d)]
    usual = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = None  # a plain mean over the batches
        norm.reset_running_stats()
    made.train()
    for start in range(0, len(pictures), 8):
        made.score(preprocess.to_tensor(pictures[start : start + 8], torch.device("cpu")))
    made.eval()
    for norm, momentum in zip(norms, usual, strict=True):
        norm.momentum = momentum
