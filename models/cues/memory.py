"""A memory of codes of normal tiles: how far is a code from the nearest that was ever normal, here or near by?"""

from __future__ import annotations

import torch
from torch import Tensor, nn

FAR = 1e4  # where the memory is not yet full


class Memory(nn.Module):
    """bank: [most, g, g, d], the codes of up to `most` normal pictures. reach: how many cells of the grid away a normal
    code may have been seen; on a fixed camera a part has its place, give or take.

    The distance is Euclidean. Filled with more than `most` pictures it keeps them evenly spread over the sequence."""

    bank: Tensor
    held: Tensor

    def __init__(self, grid: int, length: int, reach: int, most: int) -> None:
        super().__init__()
        self.reach = reach
        self.register_buffer("bank", torch.full((most, grid, grid, length), FAR))
        self.register_buffer("held", torch.zeros(1))

    def fill(self, codes: Tensor) -> None:
        """codes: [N, g, g, d]."""
        most = len(self.bank)
        chosen = torch.linspace(0, len(codes) - 1, min(most, len(codes))).round().long()
        self.bank.fill_(FAR)
        self.bank[: len(chosen)] = codes[chosen.to(codes.device)]
        self.held.fill_(len(chosen))

    def distance(self, codes: Tensor) -> Tensor:
        """[B, g, g, d] -> [B, g, g]."""
        held = max(1, int(self.held.item()))
        return nearest(codes, self.bank[:held], self.reach)


def nearest(codes: Tensor, bank: Tensor, reach: int) -> Tensor:
    """codes [B, g, g, d], bank [M, g, g, d] -> [B, g, g]: the distance to the nearest code of the bank at most `reach`
    cells away. Squares are expanded, which is fast and exact to about a thousandth of a code's length."""
    grid = codes.shape[1]
    best = codes.new_full(codes.shape[:3], float("inf"))
    lengths = bank.square().sum(-1)  # [M, g, g]
    own = codes.square().sum(-1)
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            here = _overlap(grid, down, right)
            there = _overlap(grid, -down, -right)
            query = codes[:, *here].permute(1, 2, 0, 3)  # [h, w, B, d]
            stored = bank[:, *there].permute(1, 2, 3, 0)  # [h, w, d, M]
            gap = own[:, *here].permute(1, 2, 0)[..., None] - 2 * query @ stored
            gap = (gap + lengths[:, *there].permute(1, 2, 0)[:, :, None]).amin(-1).permute(2, 0, 1)
            best[:, *here] = torch.minimum(best[:, *here], gap)
    return best.clamp_min(0).sqrt()


def _overlap(grid: int, down: int, right: int) -> tuple[slice, slice]:
    return slice(max(0, -down), grid - max(0, down)), slice(max(0, -right), grid - max(0, right))
