"""A memory of codes of normal tiles: how far is a code from the nearest that was ever normal, here or near by?"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

FAR = 1e8  # the square of a code's length where the memory is not full: nothing is ever near to that


class Memory(nn.Module):
    """bank: [g * g, d, most], the codes of up to `most` normal pictures, by their place on the grid. squares: [g * g,
    1, most], the square of each code's length. reach: how many cells of the grid away a normal code may have been seen;
    on a fixed camera a part has its place, give or take.

    The distance is Euclidean. Squares are expanded, which is fast, and exact to about a thousandth of a code's length.
    """

    bank: Tensor
    squares: Tensor

    def __init__(self, grid: int, length: int, reach: int, most: int) -> None:
        super().__init__()
        self.grid, self.reach, self.most = grid, reach, most
        self.register_buffer("bank", torch.zeros(grid * grid, length, most))
        self.register_buffer("squares", torch.full((grid * grid, 1, most), FAR))

    def fill(self, codes: Tensor) -> None:
        """codes: [N, g, g, d]. Of more than `most` pictures as many are kept, evenly spread over the sequence."""
        chosen = torch.linspace(0, len(codes) - 1, min(self.most, len(codes))).round().long()
        kept = codes[chosen.to(codes.device)].flatten(1, 2).permute(1, 2, 0)
        self.bank.zero_()
        self.squares.fill_(FAR)
        self.bank[..., : len(chosen)] = kept
        self.squares[..., : len(chosen)] = kept.square().sum(1, keepdim=True)

    def distance(self, codes: Tensor) -> Tensor:
        """[B, g, g, d] -> [B, g, g]."""
        count, grid, _, length = codes.shape
        span = 2 * self.reach + 1
        # For each place of the bank the codes of all cells within reach, so that the bank is read once, as it lies.
        framed = pad(codes, (0, 0, self.reach, self.reach, self.reach, self.reach))
        around = framed.unfold(1, span, 1).unfold(2, span, 1)  # [B, g, g, d, span, span]
        asked = around.permute(1, 2, 4, 5, 0, 3).reshape(grid * grid, span * span * count, length)
        gaps = torch.baddbmm(self.squares, asked, self.bank, alpha=-2).amin(-1)
        gaps = gaps.reshape(grid, grid, span, span, count)
        best = codes.new_full((grid, grid, count), float("inf"))
        for down in range(span):
            for right in range(span):
                there, here = _overlap(grid, down - self.reach, right - self.reach)
                best[here] = torch.minimum(best[here], gaps[:, :, down, right][there])
        return (best.permute(2, 0, 1) + codes.square().sum(-1)).clamp_min(0).sqrt()


def _overlap(grid: int, down: int, right: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The places of the bank whose neighbour so far down and right is on the grid, and those neighbours."""
    there = (slice(max(0, -down), grid - max(0, down)), slice(max(0, -right), grid - max(0, right)))
    here = (slice(max(0, down), grid - max(0, -down)), slice(max(0, right), grid - max(0, -right)))
    return there, here
