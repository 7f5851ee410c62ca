"""One model on one data set: all that a report is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.evaluation.measures import Measures
from models.evaluation.pixels import PixelMeasures
from models.preprocess import Picture

Floats = npt.NDArray[np.float32]
Look = Callable[[npt.NDArray[np.intp]], tuple[Picture, Floats, Floats]]
"""Which pictures [n] -> the pictures uint8 [n, S, S, C], rebuilt [n, S, S, C] in [-1, 1], heat [n, S, S], >= 0."""

See = Callable[[npt.NDArray[np.intp]], Floats]
"""Which pictures [n] -> their features [n, F]."""


@dataclass(frozen=True)
class Evaluated:
    """title: of the page. scorer: its name for people ("GANomaly"). dataset: its name. summary: what else to say of how
    this came about, by label ("training time": "4 min 12 s"). scores [N] raw, anomalous [N], kinds and names
    (of files) N of each. measures: of these scores. pixels: None without masks. masks: bool [N, S, S] or None.
    see: gives features to be laid out, look: shows pictures; None leaves either out of the page.
    ValueError where the lengths differ."""

    title: str
    scorer: str
    model_id: str
    dataset: str
    summary: Mapping[str, str | float | None]
    scores: npt.NDArray[np.float64]
    anomalous: npt.NDArray[np.bool_]
    kinds: Sequence[str]
    names: Sequence[str]
    measures: Measures
    pixels: PixelMeasures | None = None
    masks: npt.NDArray[np.bool_] | None = None
    see: See | None = None
    look: Look | None = None

    def __post_init__(self) -> None:
        count = len(self.scores)
        for name in ("anomalous", "kinds", "names", "masks"):
            held = getattr(self, name)
            if held is not None and len(held) != count:
                raise ValueError(f"{len(held)} {name} for {count} scores")
        if self.measures.normal + self.measures.anomalous != count:
            raise ValueError(
                f"the measures are of {self.measures.normal + self.measures.anomalous} scores, not {count}"
            )

    @property
    def threshold(self) -> float | None:
        """The model's own, on raw scores."""
        return self.measures.threshold
