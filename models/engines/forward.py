"""From pixels on the device to scores on the device: one forward pass, as it is run and recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from models.precision import autocast
from models.preprocess import IMAGENET_MEAN, IMAGENET_STD, Preprocess


class Normalise:
    """Preprocess.to_tensor's arithmetic, to the last bit, of pixels that are on the device already. Its constants are
    there from the start: what is recorded may fetch nothing from the host."""

    def __init__(self, preprocess: Preprocess, place: torch.device) -> None:
        self._half = preprocess.normalisation == "half"
        rows = (IMAGENET_MEAN, IMAGENET_STD)
        self._mean, self._std = (torch.tensor(row, device=place).reshape(3, 1, 1) for row in rows)

    def __call__(self, pixels: Tensor) -> Tensor:
        """uint8 [B, S, S, C] -> float32 [B, C, S, S], channels last in memory."""
        x = pixels.permute(0, 3, 1, 2).float()
        if self._half:
            return x.div_(127.5).sub_(1.0)
        return x.div_(255).sub_(self._mean).div_(self._std)


@dataclass(frozen=True)
class Forward:
    """judge: a method's `score`, or its `warm_up`, whose pass leaves the scores as they were."""

    judge: Callable[[Tensor], Tensor | None]
    normalise: Normalise
    place: torch.device
    bf16: bool

    def __call__(self, pixels: Tensor, scores: Tensor) -> None:
        """pixels: uint8 [B, S, S, C]; scores: float32 [B], written."""
        # Not inference_mode: a method may need gradients of its own (AnoGAN searches with them).
        with torch.no_grad(), autocast(self.place, self.bf16):
            found = self.judge(self.normalise(pixels))
        if found is not None:
            scores.copy_(found.detach().reshape(scores.shape))
