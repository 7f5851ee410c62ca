"""Maps of different cues, made comparable: each place in units of what normal pictures do there."""

from __future__ import annotations

import torch
from torch import Tensor, nn

WHOLE_SHARE = 0.3  # of the map's overall spread, added to each place's own: what never moved is not infinitely sure
TOP = 0.01  # share of the places that count as the picture's worst


class Standard(nn.Module):
    """low, spread: [h, w]. A map becomes (map - low) / spread; a picture's number is how far its unusual places stand
    out: half their root mean square, half the mean of the worst hundredth, then in units of normal pictures again."""

    low: Tensor
    spread: Tensor
    centre: Tensor
    width: Tensor

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.register_buffer("low", torch.zeros(height, width))
        self.register_buffer("spread", torch.ones(height, width))
        self.register_buffer("centre", torch.zeros(2))
        self.register_buffer("width", torch.ones(2))

    def fit(self, maps: Tensor) -> None:
        """maps: [N, h, w] of normal pictures that the cue has not learned from."""
        overall = float(maps.std()) or 1e-6
        self.low.copy_(maps.mean(0))
        own = maps.std(0) if len(maps) > 1 else torch.zeros_like(self.low)
        self.spread.copy_(own + WHOLE_SHARE * overall + 1e-6)
        pooled = self._pooled(self.standardised(maps))
        centre = pooled.median(0).values
        self.centre.copy_(centre)
        self.width.copy_((pooled.quantile(0.9, 0) - centre).clamp_min(1e-3))

    def standardised(self, maps: Tensor) -> Tensor:
        return (maps - self.low) / self.spread

    def number(self, maps: Tensor) -> Tensor:
        """[B, h, w] -> [B]: 0 for the usual normal picture, 1 for one that is worse than nine in ten."""
        return ((self._pooled(self.standardised(maps)) - self.centre) / self.width).mean(1)

    def _pooled(self, maps: Tensor) -> Tensor:
        flat = maps.flatten(1)
        worst = flat.topk(max(1, round(TOP * flat.shape[1])), dim=1).values.mean(1)
        return torch.stack([flat.clamp_min(0).square().mean(1).sqrt(), worst], 1)
