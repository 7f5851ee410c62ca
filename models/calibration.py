"""What scores look like on normal pictures that the model was not trained on, and where to draw
the line.

The threshold is a margin above what all but a hundredth of the held-out normal pictures score:

    threshold = SEEN_MARGIN * 99 % quantile of the held-out scores

Not above the very highest: of some hundred frames that is one odd frame, and which one it is differs
from training to training, while an alert needs several frames. Of some dozen pictures the quantile is
the highest all the same.

That is right for a line whose training pictures show all that may change. In front of a still scene
they do not: once a part is put back a little displaced, the score of a harmless picture rises by a
factor of five after one minute of training and of sixteen after three, and no quantile or spread of
the held-out scores tells so. Where such a displacement is to count as normal, the training is told
how large it may be, and the model is asked itself: the held-out pictures are moved so far in eight
directions, and

    threshold = max(the above, MOVED_MARGIN * upper quartile of the scores of moved pictures)

Not the highest of what was moved, because nobody vouches for the one odd picture that a move made.
DECISIONS.md holds the measurements.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.preprocess import Picture

Scores = npt.NDArray[np.float64]
QUANTILES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)
SEEN_MARGIN = 1.3
SEEN_QUANTILE = 0.99
MOVED_MARGIN = 1.7
MOVED_QUANTILE = 0.75


@dataclass(frozen=True)
class Calibration:
    """count: held-out pictures. low, high: least and greatest score. quantiles: (share, score)
    pairs, both rising. threshold: a raw score above which a picture is called anomalous."""

    count: int
    low: float
    high: float
    quantiles: tuple[tuple[float, float], ...]
    threshold: float

    @classmethod
    def from_scores(cls, scores: Scores, moved: Scores | None = None) -> Calibration:
        """From raw scores [N] of held-out normal pictures, N >= 1, and [M] of moved ones."""
        scores = _checked(scores)
        if scores.size == 0:
            raise ValueError("calibration needs the score of at least one held-out picture")
        high = float(scores.max())
        threshold = SEEN_MARGIN * float(np.quantile(scores, SEEN_QUANTILE))
        if moved is not None and moved.size:
            usual = float(np.quantile(_checked(moved), MOVED_QUANTILE))
            threshold = max(threshold, MOVED_MARGIN * usual)
        values = np.quantile(scores, QUANTILES)
        return cls(
            count=int(scores.size),
            low=float(scores.min()),
            high=high,
            quantiles=tuple((q, float(v)) for q, v in zip(QUANTILES, values, strict=True)),
            threshold=threshold,
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Calibration:
        """The inverse of to_dict, also after a way through JSON. ValueError where it is none."""
        names = {"count", "low", "high", "quantiles", "threshold"}
        if set(values) != names:
            raise ValueError(f"calibration has {sorted(values)}, expected {sorted(names)}")
        try:
            made = cls(
                count=int(values["count"]),
                low=float(values["low"]),
                high=float(values["high"]),
                quantiles=tuple((float(q), float(v)) for q, v in values["quantiles"]),
                threshold=float(values["threshold"]),
            )
        except TypeError as error:
            raise ValueError(f"calibration holds something that is no number: {error}") from error
        numbers = [made.low, made.high, made.threshold, *(v for _, v in made.quantiles)]
        if made.count < 1 or not np.isfinite(numbers).all() or not made.low <= made.high:
            raise ValueError(f"calibration makes no sense: {values}")
        return made


def moved(pictures: Picture, by_px: int) -> Iterator[Picture]:
    """uint8 [N, S, S, C] -> eight of the same shape, moved by so many pixels up, down, left,
    right and aslant; what is uncovered at the edge repeats it."""
    side = pictures.shape[1]
    padded = np.pad(pictures, ((0, 0), (by_px, by_px), (by_px, by_px), (0, 0)), mode="edge")
    for down in (0, by_px, 2 * by_px):
        for right in (0, by_px, 2 * by_px):
            if (down, right) != (by_px, by_px):
                yield padded[:, down : down + side, right : right + side]


def _checked(scores: Scores) -> Scores:
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 1:
        raise ValueError(f"calibration needs a row of scores, got shape {list(scores.shape)}")
    bad = int(np.count_nonzero(~np.isfinite(scores) | (scores < 0)))
    if bad:
        raise ValueError(f"{bad} of {scores.size} held-out scores are negative or no numbers")
    return scores
