"""Small changes that a fixed camera sees. Off by default: the paper trains without."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample


@dataclass(frozen=True)
class Augment:
    """shift: furthest shift either way, in pixels of the network's input. light: largest change
    of brightness and of contrast, as a share of the range. noise: standard deviation of what is
    added to every pixel, as a share of the range. All 0 changes nothing."""

    shift_px: float = 0.0
    light: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not value >= 0:
                raise ValueError(f"augment {name} is {value}: choose 0 (off) or more")

    @property
    def off(self) -> bool:
        return not (self.shift_px or self.light or self.noise)

    def __call__(self, x: Tensor) -> Tensor:
        """float [B, C, S, S] in [-1, 1] -> the same shape and range. Draws from PyTorch's
        generator of the CPU, so that a resumed run draws on as if it had not stopped."""
        if self.off:
            return x
        count, _, _, side = x.shape
        if self.shift_px:
            move = _uniform(count, 2, 1) * (2 * self.shift_px / side)  # the grid spans [-1, 1]
            turn = torch.eye(2).expand(count, 2, 2)
            grid = affine_grid(torch.cat([turn, move], 2).to(x.device), list(x.shape), align_corners=False)
            x = grid_sample(x, grid, padding_mode="reflection", align_corners=False)
        if self.light:
            gain = 1 + _uniform(count, 1, 1, 1).to(x.device) * self.light
            lift = _uniform(count, 1, 1, 1).to(x.device) * self.light
            x = x * gain + lift
        if self.noise:
            x = x + torch.randn(x.shape).to(x.device) * (2 * self.noise)
        return x.clamp(-1, 1).contiguous(memory_format=torch.channels_last)


def _uniform(*shape: int) -> Tensor:
    return torch.rand(*shape) * 2 - 1
