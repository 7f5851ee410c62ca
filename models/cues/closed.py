"""The cues that are learned in closed form from a few hundred pictures: no steps, no gradients."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.cues.linear import Linear
from models.cues.memory import Memory
from models.cues.smooth import smooth
from models.cues.tiles import cut, shrink

LINEAR_SIDE = 32
LINEAR_MOST = 128  # components
LINEAR_SHARE = 0.9  # of the number of pictures; the moved copies keep the subspace from holding each of them exactly
LINEAR_ROWS = 1000  # pictures, moved ones among them, that a subspace is fitted to
LINEAR_SIGMA = 1.0
TILE_ROWS = 20_000
AT_ONCE = 16  # pictures
MEMORY_MOST = 512
MEMORY_REACH = 1

Encode = Callable[[Tensor], Tensor]
"""Pictures [B, C, S, S] -> a row for each tile, [B, g, g, D]."""


class Closed(nn.Module):
    """look turns pictures into rows, by whatever networks it takes; prepare turns rows into what is learned from and
    looked at; learn forgets what was before. Whoever has rows already need not look again."""

    @abstractmethod
    def look(self, x: Tensor) -> Tensor:
        """[B, C, S, S] -> rows [B, ...]."""

    @abstractmethod
    def prepare(self, rows: Tensor) -> Tensor:
        """rows [B, ...] -> [B, ...]."""

    @abstractmethod
    def learn(self, prepared: Tensor, pictures: int) -> None:
        """From [N, ...]: `pictures` prepared ones first, then moved copies of them."""

    @abstractmethod
    def map(self, prepared: Tensor) -> Tensor:
        """[B, ...] -> [B, h, w], >= 0: how unusual each place is."""

    def begin(self, rows: Tensor) -> None:
        """Called once before anything is prepared, with the rows of all normal pictures."""


class LinearPicture(Closed):
    """What the principal components of the whole picture do not explain: the floor, as a map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.subspace = Linear(channels * LINEAR_SIDE * LINEAR_SIDE, LINEAR_MOST)

    def look(self, x: Tensor) -> Tensor:
        return shrink(x, LINEAR_SIDE).flatten(1)

    def prepare(self, rows: Tensor) -> Tensor:
        return rows

    def learn(self, prepared: Tensor, pictures: int) -> None:
        self.subspace.fit(_some(prepared, pictures, LINEAR_ROWS), max(2, int(LINEAR_SHARE * pictures)))

    def map(self, prepared: Tensor) -> Tensor:
        gap = (prepared - self.subspace.rebuild(prepared)).abs()
        return smooth(gap.reshape(-1, self.channels, LINEAR_SIDE, LINEAR_SIDE).mean(1), LINEAR_SIGMA)


class TileMemory(Closed):
    """How far the code of each tile is from the codes that normal pictures have there. The code is linear, of rows that
    somebody else makes: the tile's pixels, or what a network makes of them."""

    def __init__(self, grid: int, row: int, length: int, encode: Encode) -> None:
        """row: D of what encode makes. length: of the code. encode is not a part of this module, and not saved."""
        super().__init__()
        self.memory = Memory(grid, length, MEMORY_REACH, MEMORY_MOST)
        self.code = Linear(row, length)
        self._encode = [encode]  # in a list: a method of a module would be registered

    def look(self, x: Tensor) -> Tensor:
        return self._encode[0](x)

    def begin(self, rows: Tensor) -> None:
        flat = rows.flatten(0, 2)
        chosen = torch.linspace(0, len(flat) - 1, min(TILE_ROWS, len(flat))).long()
        self.code.fit(flat[chosen.to(flat.device)])

    def prepare(self, rows: Tensor) -> Tensor:
        return self.code.code(rows)

    def learn(self, prepared: Tensor, pictures: int) -> None:
        self.memory.fill(_some(prepared, pictures, MEMORY_MOST))

    def map(self, prepared: Tensor) -> Tensor:
        return _in_parts(self.memory.distance, prepared)


def pixels(side: int, tile: int, stride: int) -> Encode:
    """Encode: the pixels of each tile of the picture shrunk to `side`."""
    return lambda x: cut(shrink(x, side), tile, stride).flatten(3)


class Crossed(NamedTuple):
    """maps: of every picture, by a cue that had not learned from its fold. faulty: maps of the faulty pictures, by one
    that had not learned from the last fold."""

    maps: Tensor
    faulty: Tensor


def cross(cue: Closed, x: Tensor, copies: Sequence[Tensor], folds: Sequence[Tensor], faulty: Tensor) -> Crossed:
    """Look at every picture without having learned from it; afterwards the cue has learned from all.

    x: normal pictures [N, C, S, S]. copies: moved ones, each [N, C, S, S]. folds: masks [N] that part x. faulty: made
    from pictures of the last fold."""
    own = _in_parts(cue.look, x)
    cue.begin(own)
    prepared = [cue.prepare(own), *(_in_parts(lambda part: cue.prepare(cue.look(part)), copy) for copy in copies)]
    del own
    maps: list[Tensor | None] = [None] * len(x)
    found = torch.empty(0)
    for number, fold in enumerate(folds):
        cue.learn(torch.cat([part[~fold] for part in prepared]), int((~fold).sum()))
        for place, made in zip(fold.nonzero()[:, 0].tolist(), cue.map(prepared[0][fold]), strict=True):
            maps[place] = made
        if number == len(folds) - 1:
            found = _in_parts(lambda part: cue.map(cue.prepare(cue.look(part))), faulty)
    cue.learn(torch.cat(prepared), len(x))
    return Crossed(torch.stack([made for made in maps if made is not None]), found)


def _some(prepared: Tensor, pictures: int, most: int) -> Tensor:
    """At most so many: the pictures themselves first, then moved copies spread evenly."""
    if len(prepared) <= most:
        return prepared
    if pictures >= most:
        return prepared[torch.linspace(0, pictures - 1, most).round().long().to(prepared.device)]
    copies = torch.linspace(pictures, len(prepared) - 1, most - pictures).round().long().to(prepared.device)
    return torch.cat([prepared[:pictures], prepared[copies]])


def _in_parts(work: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return torch.cat([work(part) for part in torch.split(x, AT_ONCE)])
