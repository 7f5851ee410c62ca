"""The score of a frame, as the worker gives it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.scoring.inbox import Arrival
from monitor.scoring.sight import Sight
from streams.frame import Frame


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """One frame's raw anomaly score, finite, and the picture that was scored, uint8 [S, S, C].

    model: the id of the model that gave it. region: the id of what counted of the picture. sight: what was measured of
    the full picture, where anything was.
    """

    arrival: Arrival
    picture: NDArray[np.uint8]
    value: float
    model: str
    region: str = ""
    sight: Sight | None = None

    @property
    def frame(self) -> Frame:
        return self.arrival.frame
