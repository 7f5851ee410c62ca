"""A moving average of a method's weights over the last steps.

From step to step GANomaly's second encoder runs after the first without ever quite reaching it, and
that gap is in every score, normal or not. In the average it cancels out: on a film of 165 training
frames, after 400 steps, the median score of held-out normal frames fell to a sixth, those of
anomalies by about a tenth.
The networks, the losses and the steps stay the paper's; only what is kept at the end differs.
"""

from __future__ import annotations

import copy

import torch

from models.method import Method


class Average:
    """decay: share of the old average that each step keeps, in [0, 1). With 0, or for a method that has nothing to
    average, there is none, and `method` is the one that is trained. Otherwise it is a twin whose averaged parts are
    its own and whose other parts are the trained ones."""

    def __init__(self, trained: Method, decay: float) -> None:
        self._trained = trained
        self._decay = decay if trained.averaged else 0.0
        self.updates = 0
        self.method = trained
        if self._decay:
            self.method = copy.copy(trained)
            self.method._modules = dict(trained._modules)
            for name in trained.averaged:
                self.method._modules[name] = copy.deepcopy(trained.get_submodule(name)).eval().requires_grad_(False)

    def update(self) -> None:
        """After each step. Early steps count more, so that the untrained beginning is forgotten."""
        if not self._decay:
            return
        self.updates += 1
        share = 1 - min(self._decay, (1 + self.updates) / (10 + self.updates))
        pairs = zip(_tensors(self.method), _tensors(self._trained), strict=True)
        with torch.no_grad():
            for kept, new in pairs:
                if kept.is_floating_point():
                    kept.lerp_(new, share)
                else:
                    kept.copy_(new)


def _tensors(method: Method) -> list[torch.Tensor]:
    """Weights, and batch norm's running statistics with them."""
    parts = [method.get_submodule(name) for name in method.averaged]
    return [tensor for part in parts for tensor in (*part.parameters(), *part.buffers())]
