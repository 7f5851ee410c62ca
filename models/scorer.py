"""The port: what the monitor knows of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.calibration import Calibration
from models.preprocess import Picture, Preprocess


@dataclass(frozen=True)
class ModelInfo:
    """model_id: twelve hexadecimal digits, the same for the same weights, architecture and score.
    architecture: as Architecture.to_dict. norm: how the code distance is measured.
    device: where it runs ("cpu", "cuda:0"). precision: "fp32" or "bf16"."""

    model_id: str
    architecture: dict[str, int]
    preprocess: Preprocess
    calibration: Calibration
    norm: str
    device: str
    precision: str


class Scorer(Protocol):
    """Gives pictures their anomaly score: the higher, the less normal.

    Pictures are uint8 as info.preprocess.picture makes them; anything else is a ValueError.
    Calls block until the result is there. A scorer is used from one thread at a time. It holds no
    state between calls: the same picture has the same score whenever it comes, and whatever
    shares its batch (networks in evaluation mode, with frozen batch norm statistics).
    """

    @property
    def info(self) -> ModelInfo: ...

    def score(self, pictures: Picture) -> npt.NDArray[np.float64]:
        """uint8 [B, S, S, C] -> raw scores [B], >= 0, comparable with info.calibration.

        B may be 0. A score that is not finite is handed out as it is, never replaced by a
        number: it means that the weights or the device are broken, and every comparison with a
        threshold would be a guess. The caller is to treat that frame as failed and say so.
        """
        ...

    def heat(self, picture: Picture) -> npt.NDArray[np.float32]:
        """uint8 [S, S, C] -> [S, S], >= 0: where the picture differs from its reconstruction,
        smoothed, 2.0 at most. Fit to be drawn over the picture; its sum is not the score."""
        ...
