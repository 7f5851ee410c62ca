"""Overlapping tiles of a picture, all of one size, on a square grid."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import fold, interpolate, unfold


def shrink(x: Tensor, side: int) -> Tensor:
    """[B, C, S, S] -> [B, C, side, side] by averaging areas; unchanged where it is that size."""
    return x if x.shape[-1] == side else interpolate(x, size=(side, side), mode="area")


def cut(x: Tensor, side: int, stride: int) -> Tensor:
    """[B, C, S, S] -> [B, g, g, C, side, side], g = (S - side) // stride + 1."""
    count, channels, whole, _ = x.shape
    grid = (whole - side) // stride + 1
    pieces = unfold(x, side, stride=stride)  # [B, C * side * side, g * g]
    return pieces.transpose(1, 2).reshape(count, grid, grid, channels, side, side)


def lay(tiles: Tensor, stride: int) -> Tensor:
    """[B, g, g, side, side] -> [B, S, S]: each place the mean of the tiles that cover it."""
    count, grid, _, side, _ = tiles.shape
    whole = (grid - 1) * stride + side
    columns = tiles.reshape(count, grid * grid, side * side).transpose(1, 2)
    summed = fold(columns, (whole, whole), side, stride=stride)
    covered = fold(columns.new_ones(1, side * side, grid * grid), (whole, whole), side, stride=stride)
    return (summed / covered)[:, 0]
