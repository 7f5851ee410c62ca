"""From arrivals to a batch: decode, bring to the network's size, and sort out what cannot be used."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.scoring.inbox import Arrival
from monitor.scoring.sight import Sight, enough_for, measure
from streams.codec import CodecError, Size, enough_of, pixels_of
from streams.frame import Frame, Pixels

FINER: Final = 2.0
"""A reduced picture has at least so many times the pixels a side that the network sees. With 1.5 scores moved ten times
as far (DECISIONS.md, 95)."""

Picture = NDArray[np.uint8]
"""A picture as the network sees it, uint8 [S, S, C]."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Frames for one forward pass. pictures: uint8 [B, S, S, C], one for each arrival, in order.

    model: the id of the model that they were made for. regions: of each picture, the id of what counts of it, "" where
    everything does. sights: what was measured of each full picture; empty where nothing is.
    """

    arrivals: tuple[Arrival, ...]
    pictures: NDArray[np.uint8]
    model: str
    regions: tuple[str, ...]
    sights: tuple[Sight, ...] = ()


@dataclass(frozen=True, slots=True)
class Optics:
    """How a model sees the cameras. model: its id. side: of the network's picture, in pixels. region: the id of what
    counts of a camera's picture. picture: of a frame and its uint8 [H, W, 3] BGR, what the network sees."""

    model: str
    side: int
    region: Callable[[str], str]
    picture: Callable[[Frame, Pixels], Picture]


@dataclass(frozen=True, slots=True, eq=False)
class Rejected:
    """A frame that cannot be scored. `reason` is short and stable, `detail` for people."""

    arrival: Arrival
    reason: str
    detail: str


class Decoder:
    """Decodes a batch on a few threads; OpenCV lets go of the GIL. Order within the batch is kept."""

    def __init__(
        self,
        optics: Callable[[], Optics],
        max_pixels: int,
        threads: int,
        *,
        healthy: bool = False,
        reduced: bool = True,
    ) -> None:
        """`optics` is asked before each batch. healthy: whether the picture is measured for the camera's own health.
        reduced: whether JPEG pictures are decoded at a half, a quarter or an eighth where nobody needs more.
        threads 0 takes one a core, four at most."""
        self._optics = optics
        self._healthy = healthy
        self._reduced = reduced
        self._max_pixels = max_pixels
        self._pool = ThreadPoolExecutor(threads or min(4, os.cpu_count() or 1), thread_name_prefix="decode")

    def decode(self, arrivals: Sequence[Arrival]) -> tuple[Batch | None, list[Rejected]]:
        """The batch of all frames that could be decoded (None if there is none), and the others."""
        optics = self._optics()
        outcomes = list(self._pool.map(lambda arrival: self._one(arrival, optics), arrivals))
        good = [(a, o) for a, o in zip(arrivals, outcomes, strict=True) if not isinstance(o, Rejected)]
        rejected = [outcome for outcome in outcomes if isinstance(outcome, Rejected)]
        if not good:
            return None, rejected
        batch = Batch(
            arrivals=tuple(arrival for arrival, _ in good),
            pictures=np.stack([picture for _, (picture, _, _) in good]),
            model=optics.model,
            regions=tuple(region for _, (_, region, _) in good),
            sights=tuple(sight for _, (_, _, sight) in good if sight is not None),
        )
        return batch, rejected

    def close(self) -> None:
        self._pool.shutdown(wait=True)

    def _one(self, arrival: Arrival, optics: Optics) -> tuple[Picture, str, Sight | None] | Rejected:
        try:
            pixels, size = self._pixels(arrival.frame, optics.side)
            # The region before the picture: one that changes in between begins a baseline too early rather than late.
            region, picture = optics.region(arrival.frame.camera), optics.picture(arrival.frame, pixels)
            return picture, region, measure(pixels, size) if self._healthy else None
        except CodecError as error:
            return Rejected(arrival, error.reason, str(error))
        except Exception as error:
            # One strange picture must not take the others of its batch with it.
            return Rejected(arrival, "undecodable", f"{type(error).__name__}: {error}")

    def _pixels(self, frame: Frame, side: int) -> tuple[Pixels, Size]:
        if not self._reduced:
            pixels = pixels_of(frame, self._max_pixels)
            return pixels, (pixels.shape[1], pixels.shape[0])
        return enough_of(frame, self._max_pixels, lambda size: self._enough(size, side))

    def _enough(self, size: Size, side: int) -> Size:
        network = min(math.ceil(FINER * side), *size)
        if not self._healthy:
            return network, network
        width, height = enough_for(*size)
        return max(width, network), max(height, network)
