"""Gaussian smoothing of maps."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad


def smooth(maps: Tensor, sigma: float) -> Tensor:
    """[B, h, w] -> the same, sigma in places of the map; mirrored at the edge."""
    reach = min(int(3 * sigma + 0.5), maps.shape[-1] - 1)
    places = torch.arange(-reach, reach + 1, device=maps.device, dtype=maps.dtype)
    kernel = torch.exp(-places.square() / (2 * sigma * sigma))
    kernel = kernel / kernel.sum()
    framed = pad(maps[:, None], (reach, reach, reach, reach), mode="reflect")
    return conv2d(conv2d(framed, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))[:, 0]
