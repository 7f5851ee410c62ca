"""What a camera usually shows: learnt from its first pictures, and what of it stays the same from one to the next."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.scoring.sight import GREY_SHAPE, Sight

Floats = NDArray[np.float32]

TILES: Final = (3, 4)
"""The reduced picture falls into so many rows and columns of tiles, 20 pixels square."""
TILE: Final = GREY_SHAPE[0] // TILES[0]
CELLS: Final = (12, 16)
"""And finer, into cells 5 pixels square."""
CELL: Final = GREY_SHAPE[0] // CELLS[0]

CHANGED_SPREADS: Final = 4.0
CHANGED_LEVELS: Final = 18.0
"""So many spreads and grey levels together must a pixel differ to count as changed."""

_STEADY: Final = 6.0  # grey levels of spread at which a pixel counts half as structure that stays
_STRUCTURE: Final = 3.0  # grey levels by which a tile's steady detail must stand out, root mean square
_NOISE: Final = 2.0  # grey levels of detail that any picture has
_REPRODUCIBLE: Final = 0.7  # the agreement with the reference that a tile's structure must keep while it is learnt
_FORMAT: Final = 1


def detail(grey: NDArray[np.uint8] | Floats) -> Floats:
    """What stands out from its surroundings, float32 [60, 80]: edges and spots, without the fall of light."""
    levels = np.asarray(grey, np.float32)
    return cast("Floats", levels - cv2.blur(levels, (9, 9)))


def cell_sums(field: Floats) -> Floats:
    """Sums over the cells, [12, 16]."""
    rows, columns = CELLS
    # A reduction by averaging, since OpenCV's is several times quicker than numpy's sum over two axes.
    return cast("Floats", cv2.resize(field, (columns, rows), interpolation=cv2.INTER_AREA) * np.float32(CELL * CELL))


def tile_sums(field: Floats) -> Floats:
    """Sums over the tiles, [3, 4]."""
    rows, columns = TILES
    return cast("Floats", cv2.resize(field, (columns, rows), interpolation=cv2.INTER_AREA) * np.float32(TILE * TILE))


@dataclass(slots=True, eq=False)
class Reference:
    """A camera's usual picture. Pictures are float32 [60, 80], values for tiles [3, 4].

    level, spread: mean and standard deviation of each pixel; both follow slowly.
    anchor: the detail of the picture that the view is held against; it does not follow.
    aspect: width by height. fine: the usual sharpness. fine_least, black, burnt, light: the extremes that occurred
    while it was learnt; light is the largest change of the light, as a logarithm.
    searched: the agreement of a picture whose structure was out of place, and how far it had moved; search_in: in how
    many frames it may be looked for again.
    room: how far a pixel may be from its level; what is further away has changed.
    agreement: how well each tile's structure agreed with the anchor then; 0 for tiles without structure that stays.
    """

    level: Floats
    spread: Floats
    anchor: Floats
    aspect: float
    fine: float
    fine_least: float
    black: float
    burnt: float
    light: float
    agreement: Floats
    weight: Floats
    template: Floats
    template_energy: Floats
    cell_energy: Floats
    room: Floats
    log_level: Floats
    searched: tuple[Floats, float] | None = None
    search_in: int = 0

    @classmethod
    def learn(cls, sights: Sequence[Sight], anchor: NDArray[np.uint8] | None = None) -> Reference:
        """From pictures of the camera at work, at least two. `anchor`: a reduced picture given from outside."""
        pictures = np.stack([sight.grey for sight in sights]).astype(np.float32)
        # The median is not drawn towards a hand that was in the picture for a moment; the spread is the plain one, so
        # that what moves now and then is not taken for steady.
        level = np.median(pictures, axis=0).astype(np.float32)
        spread = np.sqrt(np.mean((pictures - level) ** 2, axis=0)).astype(np.float32)
        fine = np.array([sight.fine for sight in sights])
        made = cls._made(
            level,
            spread,
            detail(level if anchor is None else anchor),
            [
                sights[-1].aspect,
                float(np.median(fine)),
                float(fine.min()),
                max(sight.black for sight in sights),
                max(sight.burnt for sight in sights),
                0.0,
            ],
            np.zeros(TILES, np.float32),
        )
        # How steady a tile is, is learnt against the pictures themselves even where the anchor was given: a camera
        # that differs from the given picture shall be told, not explained away.
        if anchor is not None:
            own = cls.learn(sights)
            made.light, made.agreement = own.light, own.agreement
            return made
        agreements = np.stack([made.agreeing(detail(picture)) for picture in pictures])
        # A belt that runs for a moment between two parts is in few of the samples; only one may be out of the way.
        usual = np.partition(agreements, 1, axis=0)[1]
        weights = np.maximum(tile_sums(made.weight), 1e-6)
        strong = np.sqrt(made.template_energy / weights) >= _STRUCTURE
        enough = weights >= 0.1 * TILE * TILE
        made.agreement = np.where(strong & enough & (usual >= _REPRODUCIBLE), usual, 0.0).astype(np.float32)
        made.light = float(np.quantile([abs(made.light_of(sight.grey)) for sight in sights], 0.95))
        return made

    def follow(self, sight: Sight, share: float) -> None:
        """Let this picture count with this share from now on."""
        grey = sight.grey.astype(np.float32)
        away = grey - self.level
        self.level += share * away
        self.spread = np.sqrt((1 - share) * (self.spread**2 + share * away**2)).astype(np.float32)

    def hold_against(self, anchor: NDArray[np.uint8]) -> None:
        """Hold the view against this reduced picture, given from outside, from now on."""
        self.anchor = detail(anchor.astype(np.float32))
        self.searched = None
        self.settle()

    def settle(self) -> None:
        """Work out what follows from level and spread; to be called after some `follow`."""
        strayed = detail(self.level) - self.anchor if self.agreement.any() else np.zeros_like(self.level)
        self.weight = (1 / (1 + (self.spread / _STEADY) ** 2 + (strayed / _STEADY) ** 2)).astype(np.float32)
        self.template = self.weight * self.anchor
        energy = self.template * self.anchor
        self.template_energy = tile_sums(energy)
        self.cell_energy = np.where(cell_sums(energy) >= (_STRUCTURE * CELL) ** 2, cell_sums(energy), 0.0)
        self.room = (CHANGED_SPREADS * self.spread + CHANGED_LEVELS).astype(np.float32)
        self.log_level = np.log(self.level[::2, ::2] + 4.0)

    def agreeing(self, seen: Floats) -> Floats:
        """How far each tile's detail agrees with the anchor's, -1..1: a weighted correlation, blind to light."""
        energy = tile_sums(self.weight * seen * seen) + _NOISE**2 * tile_sums(self.weight)
        together = tile_sums(self.template * seen)
        return cast("Floats", together / np.sqrt(np.maximum(self.template_energy * energy, 1e-6)))

    def light_of(self, grey: NDArray[np.uint8]) -> float:
        """The change of light that two thirds of the picture share, as a logarithm; 0 where they share none."""
        small = grey[::2, ::2]
        # What is burnt out in both tells nothing of the light; in one of them, it tells less than the truth.
        judged = (small < 250) | (self.level[::2, ::2] < 250)
        ratios = (_LOG[small] - self.log_level)[judged]
        if 2 * ratios.size < small.size:
            return 0.0
        third = ratios.size // 3
        parted = np.partition(ratios, (third, ratios.size - 1 - third))
        low, high = parted[third], parted[ratios.size - 1 - third]
        if low > 0:
            return float(low)
        return float(high) if high < 0 else 0.0

    def save(self) -> bytes:
        """To be kept over a restart."""
        file = io.BytesIO()
        np.savez_compressed(
            file,
            format=_FORMAT,
            level=self.level,
            spread=self.spread,
            anchor=self.anchor,
            agreement=self.agreement,
            numbers=[self.aspect, self.fine, self.fine_least, self.black, self.burnt, self.light],
        )
        return file.getvalue()

    @classmethod
    def load(cls, data: bytes) -> Reference:
        """What `save` gave. ValueError where it is something else, or of another version."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as found:
                if int(found["format"]) != _FORMAT:
                    raise ValueError(f"format {int(found['format'])}")
                pictures = [np.asarray(found[name], np.float32) for name in ("level", "spread", "anchor")]
                agreement = np.asarray(found["agreement"], np.float32)
                numbers = [float(number) for number in found["numbers"]]
        except Exception as error:  # numpy and zipfile raise many kinds
            raise ValueError(f"no saved reference of format {_FORMAT}: {error}") from None
        if any(p.shape != GREY_SHAPE for p in pictures) or agreement.shape != TILES or len(numbers) != 6:
            raise ValueError(f"a saved reference of other shapes: {[p.shape for p in pictures]}, {agreement.shape}")
        if not all(np.isfinite(field).all() for field in (*pictures, agreement, np.array(numbers))):
            raise ValueError("a saved reference with values that are no numbers")
        return cls._made(pictures[0], pictures[1], pictures[2], numbers, agreement)

    @classmethod
    def _made(
        cls, level: Floats, spread: Floats, anchor: Floats, numbers: Sequence[float], agreement: Floats
    ) -> Reference:
        """numbers: aspect, fine, fine_least, black, burnt, light."""
        aspect, fine, fine_least, black, burnt, light = numbers
        made = cls(
            level=level,
            spread=spread,
            anchor=anchor,
            aspect=aspect,
            fine=fine,
            fine_least=fine_least,
            black=black,
            burnt=burnt,
            light=light,
            agreement=agreement,
            weight=level,
            template=level,
            template_energy=level,
            cell_energy=level,
            room=level,
            log_level=level,
        )
        made.settle()
        return made


_LOG: Final = np.log(np.arange(256, dtype=np.float32) + 4.0)
