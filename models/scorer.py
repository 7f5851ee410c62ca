"""The port: what the monitor knows of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.calibration import Calibration
from models.engines.engine import Engine
from models.preprocess import Picture, Preprocess


@dataclass(frozen=True)
class ModelInfo:
    """model_id: twelve hexadecimal digits, the same for the same weights, architecture and score.
    method: its name in the catalogue ("ganomaly"). architecture: as Architecture.to_dict.
    calibration: None where nobody has shown the model normal pictures that it was not trained on, as after an
    import. norm: how a distance is measured. device: where it runs ("cpu", "cuda:0"). precision: "fp32" or "bf16"."""

    model_id: str
    method: str
    architecture: dict[str, int]
    preprocess: Preprocess
    calibration: Calibration | None
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

    @property
    def engine(self) -> Engine:
        """What runs the forward passes of `score`."""
        ...

    def score(self, pictures: Picture) -> npt.NDArray[np.float64]:
        """uint8 [B, S, S, C] -> raw scores [B], >= 0, comparable with info.calibration.

        B may be 0. A score that is not finite is handed out as it is, never replaced by a
        number: it means that the weights or the device are broken, and every comparison with a
        threshold would be a guess. The caller is to treat that frame as failed and say so.
        """
        ...

    def heat(self, picture: Picture) -> npt.NDArray[np.float32]:
        """uint8 [S, S, C] -> [S, S], >= 0: where the picture is not normal, smoothed. Fit to be drawn over the
        picture; its scale is the method's own, its sum is not the score."""
        ...

    def heats(self, pictures: Picture) -> npt.NDArray[np.float32]:
        """uint8 [B, S, S, C] -> [B, S, S]: as heat, of several."""
        ...

    def rebuild(self, pictures: Picture) -> npt.NDArray[np.float32]:
        """uint8 [B, S, S, C] -> [B, S, S, C] in [-1, 1]: what the model makes of each picture. For reports."""
        ...

    def features(self, pictures: Picture) -> npt.NDArray[np.float32]:
        """uint8 [B, S, S, C] -> [B, F]: what the model sees in each picture (GANomaly: the discriminator's features).
        For reports."""
        ...
