"""A moving average of the generator's weights over the last steps.

From step to step the second encoder runs after the first without ever quite reaching it, and that
gap is in every score, normal or not. In the average it cancels out: on a film of 165 training
frames, after 400 steps, the median score of held-out normal frames fell to a sixth, those of
anomalies by about a tenth.
The networks, the losses and the steps stay the paper's; only what is kept at the end differs.
"""

from __future__ import annotations

import copy

import torch
from torch import nn

from models.ganomaly import Generator


class Average:
    """decay: share of the old average that each step keeps, in [0, 1). With 0 there is no
    average, and `generator` is the one that is trained."""

    def __init__(self, trained: Generator, decay: float) -> None:
        self._trained, self._decay = trained, decay
        self.updates = 0
        self.generator = trained
        if decay:
            self.generator = copy.deepcopy(trained).eval().requires_grad_(False)

    def update(self) -> None:
        """After each step. Early steps count more, so that the untrained beginning is forgotten."""
        if not self._decay:
            return
        self.updates += 1
        share = 1 - min(self._decay, (1 + self.updates) / (10 + self.updates))
        pairs = zip(_tensors(self.generator), _tensors(self._trained), strict=True)
        with torch.no_grad():
            for kept, new in pairs:
                if kept.is_floating_point():
                    kept.lerp_(new, share)
                else:
                    kept.copy_(new)


def _tensors(network: nn.Module) -> list[torch.Tensor]:
    """Weights, and batch norm's running statistics with them."""
    return [*network.parameters(), *network.buffers()]
