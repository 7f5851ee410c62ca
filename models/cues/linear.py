"""Principal components: a linear code of a vector, learned in closed form."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SPREAD_FLOOR = 1e-3  # of the first component's variance
RANK = 1e-6  # of the first component's variance
EVEN = 0.8
"""How far components of little spread are raised: 0 leaves distances as they are, 1 counts each component alike."""


class Linear(nn.Module):
    """mean: [D]. components: [k, D], orthonormal rows, zero where there were too few pictures. scale: [k]."""

    mean: Tensor
    components: Tensor
    scale: Tensor

    def __init__(self, length: int, most: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(length))
        self.register_buffer("components", torch.zeros(most, length))
        self.register_buffer("scale", torch.ones(most))

    def fit(self, rows: Tensor, most: int | None = None) -> Linear:
        """rows: [N, D]. most: use no more components than this."""
        held = len(self.components)
        most = min(held if most is None else most, held, len(rows) - 1, rows.shape[1])
        self.mean.copy_(rows.mean(0))
        centred = rows - self.mean
        self.components.zero_()
        self.scale.fill_(1)
        if most < 1 or not bool(centred.any()):
            return self
        if len(rows) <= rows.shape[1]:  # fewer pictures than pixels: the small Gram matrix has the same spectrum
            variance, left = torch.linalg.eigh(centred @ centred.T)
            right = centred.T @ left.flip(1)[:, :most]
            components = (right / right.norm(dim=0).clamp_min(1e-12)).T
        else:
            variance, right = torch.linalg.eigh(centred.T @ centred)
            components = right.flip(1)[:, :most].T
        variance = variance.flip(0)[:most] / len(rows)
        # Beyond the rank of the rows there is only rounding, which is no direction.
        most = int((variance > RANK * variance[0]).sum())
        if most < 1:
            return self
        self.components[:most], variance = components[:most], variance[:most]
        variance = variance.clamp_min(float(variance[0]) * SPREAD_FLOOR).clamp_min(1e-12)
        self.scale[:most] = variance.sqrt() ** -EVEN
        return self

    def code(self, rows: Tensor) -> Tensor:
        """[..., D] -> [..., k], scaled so that no component drowns the others."""
        return (rows - self.mean) @ self.components.T * self.scale

    def rebuild(self, rows: Tensor) -> Tensor:
        """[..., D] -> [..., D]."""
        return (rows - self.mean) @ self.components.T @ self.components + self.mean
