"""Small displacements that count as normal: a product lies a little higher, lower or askew."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

SHIFT = 1 / 32  # of the picture's side
TURN = 0.06  # radians

MOVES = (
    (SHIFT, 0.0, 0.0),
    (-SHIFT, 0.0, 0.0),
    (0.0, SHIFT, 0.0),
    (0.0, -SHIFT, 0.0),
    (0.0, 0.0, TURN),
    (0.0, 0.0, -TURN),
)
"""(right, down, turn) of each."""


def moved(x: Tensor) -> Iterator[Tensor]:
    """[B, C, S, S] -> len(MOVES) of the same shape; what is uncovered at the edge repeats it."""
    for right, down, turn in MOVES:
        cos, sin = math.cos(turn), math.sin(turn)
        matrix = torch.tensor([[cos, -sin, 2 * right], [sin, cos, 2 * down]], device=x.device)
        grid = affine_grid(matrix.expand(len(x), 2, 3), list(x.shape), align_corners=False)
        yield grid_sample(x, grid, padding_mode="border", align_corners=False)
