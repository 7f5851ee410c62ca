"""The mode for lines: GANomaly's networks on the whole picture and on its tiles, every cue calibrated, one score.

Not the paper's, and kept apart from it. The networks, their losses and their steps are the paper's; what differs is
what is looked at. One GANomaly sees the whole picture, another its overlapping tiles. Each gives several cues: the
distance between the two codes, the residual of the reconstruction, the distance of the discriminator's features, and
how far a tile's code is from the codes that normal pictures have at that place. Two linear cues stand beside them,
because no network is worth its time where it sees less than a principal component analysis does.

Each cue becomes a map, each place of it is standardised on normal pictures that the cue has not learned from, and the
map becomes two numbers (cues/standard.py). Which cue carries differs from product to product, and no label may say
which: it is asked which of them notice faults painted on held-out pictures, and their numbers are averaged with
weights that follow from that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate, softplus
from torch.optim import Optimizer

from models.cues.closed import AT_ONCE, LINEAR_SIDE, Closed, LinearPicture, TileMemory, cross, pixels
from models.cues.faults import faulty
from models.cues.moves import moved
from models.cues.smooth import smooth
from models.cues.standard import Standard
from models.cues.tiles import cut, lay, shrink
from models.cues.weighing import weigh
from models.ganomaly import Architecture
from models.losses import Norm, code_distance
from models.method import Learning, Method, Pictures
from models.methods.ganomaly import Ganomaly

LINEAR_TILE, LINEAR_STRIDE = 8, 2  # of a picture shrunk to LINEAR_SIDE
TEXTURE = 4
TILES_A_SIDE = 4  # a tile's side is a quarter of the picture's, and tiles overlap by half
FOLDS = 4  # of the training pictures; the held-out ones are the fifth
MOST_NORMAL, MOST_HELD_OUT = 240, 80  # pictures that are looked at to calibrate
LEAST_FAULTY = 96
PRIORS = {"linear": 100.0, "linear_tiles": 20.0, "tile_codes": 20.0, "tile_textures": 20.0}
"""How much more a cue counts than one that is not named here, before faults are painted (DECISIONS.md, 28)."""
GRID = 2 * TILES_A_SIDE - 1
TILES_A_STEP = 4  # from each picture of a batch
FAULT_SEED = 1
"""Faults are painted alike in every training, so that two of them can be compared."""


class Calibrated(Method):
    """arch.size is of the picture; the networks see the whole of it at 64 pixels at most, and its tiles at 32 at least.

    closed: the cues that `settle` learns in closed form. standards: one for each cue, closed or not. weights: how much
    each counts, in the order of the standards; after `settle` their sum is 1.
    """

    name: ClassVar[str] = "calibrated"
    title: ClassVar[str] = "linewatch calibrated"
    size: ClassVar[int] = 128
    averaged: ClassVar[tuple[str, ...]] = ("whole", "tile")
    packs: ClassVar[tuple[str, ...]] = ("fp32",)  # it scores in float32 whatever is asked for

    weights: Tensor

    def __init__(self, arch: Architecture, norm: Norm = "squared") -> None:
        super().__init__(arch, norm)
        tile_px = arch.size // TILES_A_SIDE
        self.tile_px, self.stride = tile_px, tile_px // 2
        self.whole = Ganomaly(_resized(arch, min(64, arch.size)), norm)
        self.tile = Ganomaly(_resized(arch, max(32, tile_px)), norm)
        linear_grid = (LINEAR_SIDE - LINEAR_TILE) // LINEAR_STRIDE + 1
        self.closed = nn.ModuleDict(
            {
                "linear": LinearPicture(arch.channels),
                "linear_tiles": TileMemory(
                    linear_grid,
                    arch.channels * LINEAR_TILE**2,
                    32,
                    pixels(LINEAR_SIDE, LINEAR_TILE, LINEAR_STRIDE),
                ),
                "tile_codes": TileMemory(GRID, arch.nz, 32, self._tile_codes),
                "tile_textures": TileMemory(GRID, 2 * arch.ngf * TEXTURE**2, 64, self._tile_textures),
            }
        )
        inner, laid = self.whole.arch.size, self.tile.arch.size * TILES_A_SIDE
        places = {
            "linear": LINEAR_SIDE,
            "linear_tiles": linear_grid,
            "tile_codes": GRID,
            "tile_textures": GRID,
            "residual": inner,
            "residual_wide": inner,
            "code": 1,
            "features": 4,
            "tile_code": GRID,
            "tile_residual": laid,
        }
        self.standards = nn.ModuleDict({cue: Standard(side, side) for cue, side in places.items()})
        self.register_buffer("weights", torch.ones(len(places)))

    def begin(self, learning: Learning) -> dict[str, Optimizer]:
        super().begin(learning)
        parts = (("whole", self.whole), ("tile", self.tile))
        return {f"{part}_{name}": o for part, method in parts for name, o in method.begin(learning).items()}

    def step(self, x: Tensor) -> dict[str, float]:
        """One step of each network: on the batch, and on tiles cut from it anywhere, four of a picture."""
        places = torch.randint(0, self.arch.size - self.tile_px + 1, (TILES_A_STEP, 2)).tolist()
        tiles = [x[:, :, top : top + self.tile_px, left : left + self.tile_px] for top, left in places]
        before = self.whole.resets + self.tile.resets
        whole = self.whole.step(_laid(shrink(x, self.whole.arch.size)))
        tile = self.tile.step(_laid(shrink(torch.cat(tiles), self.tile.arch.size)))
        self.resets += self.whole.resets + self.tile.resets - before
        return {"whole": whole["generator"], "tile": tile["generator"]} | {
            f"{name}_{kind}": losses[kind]
            for kind in ("con", "enc", "discriminator")
            for name, losses in (("whole", whole), ("tile", tile))
        }

    def loss(self, x: Tensor) -> Tensor:
        tiles = cut(x, self.tile_px, self.tile_px).flatten(0, 2)
        return self.whole.loss(shrink(x, self.whole.arch.size)) + self.tile.loss(shrink(tiles, self.tile.arch.size))

    def settle(self, normal: Pictures, held_out: Pictures) -> Tensor:
        chosen = _spread(len(held_out), MOST_HELD_OUT)
        seen, unseen = _taken(normal, _spread(len(normal), MOST_NORMAL)), _taken(held_out, chosen)
        x = torch.cat([seen, unseen])
        numbers = torch.arange(len(seen)) * FOLDS // len(seen)
        fold_of = torch.cat([numbers, torch.full((len(unseen),), FOLDS)]).to(x.device)
        folds = [fold_of == number for number in range(FOLDS + 1) if bool((fold_of == number).any())]
        painted = faulty(unseen.repeat(-(-LEAST_FAULTY // len(unseen)), 1, 1, 1), FAULT_SEED)

        maps: dict[str, Tensor] = {}
        spoilt: dict[str, Tensor] = {}
        copies = list(moved(x))
        for name, cue in self.closed.items():
            assert isinstance(cue, Closed)
            maps[name], spoilt[name] = cross(cue, x, copies, folds, painted)
        del copies
        learned, spoilt_too = (_in_parts(self._learned_maps, part) for part in (x, painted))
        spoilt |= spoilt_too
        for name, found in learned.items():
            # The networks have stepped on these pictures and explain them better than others, by about one factor.
            known, new = found[: len(seen)], found[len(seen) :]
            maps[name] = torch.cat([known * (new.mean() / known.mean().clamp_min(1e-9)), new])
        for name, standard in self._each():
            standard.fit(maps[name])
        clean = self._numbers(maps)[len(seen) :]
        prior = torch.tensor([PRIORS.get(name, 1.0) for name in self.standards], device=x.device)
        self.weights.copy_(weigh(clean, self._numbers(spoilt), prior))
        scores = x.new_empty(len(held_out))
        scores[chosen] = self._join(clean)
        others = sorted(set(range(len(held_out))) - set(chosen))  # not learned from: scored as they are
        for start in range(0, len(others), AT_ONCE):
            part = others[start : start + AT_ONCE]
            scores[part] = self.score(held_out[part])
        return scores

    def score(self, x: Tensor) -> Tensor:
        return self._join(self.numbers(x))

    def numbers(self, x: Tensor) -> Tensor:
        """[B, cues]: 0 for the usual normal picture, 1 for one that is worse than nine in ten."""
        with torch.autocast(x.device.type, enabled=False):
            return self._numbers(self._maps(x))

    def rebuild(self, x: Tensor) -> Tensor:
        rebuilt = self.whole.rebuild(shrink(x, self.whole.arch.size))
        return interpolate(rebuilt, size=x.shape[-2:], mode="bilinear", align_corners=False)

    def heat(self, x: Tensor) -> Tensor:
        """The cues' standardised maps, joined as the score is; 0 where a place is no worse than usual."""
        with torch.autocast(x.device.type, enabled=False):
            found = self._maps(x)
            total = x.new_zeros(len(x), *x.shape[-2:])
            for weight, (name, standard) in zip(self.weights, self._each(), strict=True):
                unusual = standard.standardised(found[name]).clamp_min(0)
                if unusual.shape[-1] > 1:
                    total += weight * interpolate(unusual[:, None], size=x.shape[-2:], mode="bilinear")[:, 0]
            return total

    def features(self, x: Tensor) -> Tensor:
        return self.whole.features(shrink(x, self.whole.arch.size))

    def _numbers(self, maps: Mapping[str, Tensor]) -> Tensor:
        return torch.stack([standard.number(maps[name]) for name, standard in self._each()], 1)

    def _join(self, numbers: Tensor) -> Tensor:
        """[B, cues] -> [B], >= 0: their weighted mean, bent so that it ends at 0."""
        return softplus((numbers * self.weights).sum(1))

    def _each(self) -> list[tuple[str, Standard]]:
        return [(name, standard) for name, standard in self.standards.items() if isinstance(standard, Standard)]

    def _maps(self, x: Tensor) -> dict[str, Tensor]:
        """[B, h, w] of every cue; each network looks once."""
        rows, learned = self._look(x)
        closed = {
            name: cue.map(cue.prepare(rows[name] if name in rows else cue.look(x)))
            for name, cue in self.closed.items()
            if isinstance(cue, Closed)
        }
        return closed | learned

    def _learned_maps(self, x: Tensor) -> dict[str, Tensor]:
        return self._look(x)[1]

    def _look(self, x: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Everything that the two GANomalies give: rows for the closed cues, and maps of the learned ones."""
        small = shrink(x, self.whole.arch.size)
        made = self.whole.generator(small)
        gap = (small - made.rebuilt).abs().mean(1)
        features = self.whole.discriminator(small).features - self.whole.discriminator(made.rebuilt).features

        tiles = self._tiles(x)
        early, code = self._encoded(tiles)
        rebuilt = self.tile.generator.decoder(code)
        again = self.tile.generator.encoder2(rebuilt)
        tile_gap = (tiles - rebuilt).abs().mean(1)
        on_grid = (len(x), GRID, GRID)
        laid = lay(tile_gap.reshape(*on_grid, *tile_gap.shape[1:]), self.tile.arch.size // 2)
        rows = {"tile_codes": code.reshape(*on_grid, -1), "tile_textures": early.reshape(*on_grid, -1)}
        return rows, {
            "residual": smooth(gap, 1.0),
            "residual_wide": smooth(gap, 2.5),
            "code": code_distance(made.code, made.code_again, self.norm).sqrt()[:, None, None],
            "features": features.square().mean(1).sqrt(),
            "tile_code": code_distance(code, again, self.norm).sqrt().reshape(on_grid),
            "tile_residual": smooth(laid, 2.0),
        }

    def _tiles(self, x: Tensor) -> Tensor:
        """[B, C, S, S] -> all tiles at the tile network's size, [B * GRID * GRID, C, s, s]."""
        return shrink(cut(x, self.tile_px, self.stride).flatten(0, 2), self.tile.arch.size)

    def _encoded(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        """What the tiles' first encoder sees after two convolutions, brought down to TEXTURE places a side; and its
        code."""
        encoder = self.tile.generator.encoder1
        early = encoder.pyramid[0](encoder.extra(encoder.first(tiles)))
        return adaptive_avg_pool2d(early, TEXTURE), encoder.last(encoder.pyramid[1:](early))

    def _tile_textures(self, x: Tensor) -> Tensor:
        return self._encoded(self._tiles(x))[0].reshape(len(x), GRID, GRID, -1)

    def _tile_codes(self, x: Tensor) -> Tensor:
        return self._encoded(self._tiles(x))[1].reshape(len(x), GRID, GRID, -1)


def _resized(arch: Architecture, size: int) -> Architecture:
    return Architecture(size, arch.channels, arch.nz, arch.ngf, arch.extra_layers, arch.first_padding)


def _laid(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _taken(pictures: Pictures, places: list[int]) -> Tensor:
    return torch.cat([pictures[places[start : start + AT_ONCE]] for start in range(0, len(places), AT_ONCE)])


def _spread(count: int, most: int) -> list[int]:
    """At most so many of `count` places, evenly spread."""
    return [int(place) for place in torch.linspace(0, count - 1, min(most, count)).round().tolist()]


def _in_parts(work: Callable[[Tensor], dict[str, Tensor]], x: Tensor) -> dict[str, Tensor]:
    parts = [work(part) for part in torch.split(x, AT_ONCE)]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
