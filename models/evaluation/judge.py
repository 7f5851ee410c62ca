"""Measure a scorer by an exam."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from models.datasets import Loaded
from models.evaluation.evaluated import Evaluated, Floats
from models.evaluation.exam import Exam, masks_of
from models.evaluation.measures import measure
from models.evaluation.pixels import measure_pixels
from models.machine import machine
from models.preprocess import Picture
from models.scorer import Scorer

AT_ONCE = 64
MOST_FEATURES = 1000  # pictures whose features are kept, to be drawn

Counted = Callable[[int, int], None]
"""Told how many pictures are scored, and how many there are."""


def judge(
    scorer: Scorer,
    exam: Exam,
    counted: Counted | None = None,
    *,
    title: str | None = None,
    summary: Mapping[str, str | float | None] | None = None,
    loaded: Loaded | None = None,
    seed: int = 0,
) -> Evaluated:
    """Score the exam's test pictures and measure. loaded: they, if they have been read already. summary: what else the
    report is to say. Frames a second are of scoring alone, pictures decoded and preprocessed.

    ValueError where one of the two kinds is absent, or a score is no number."""
    info = scorer.info
    test = exam.test(info.preprocess) if loaded is None else loaded
    scores, seconds = _scores(scorer, test.pictures, counted or (lambda *_: None))
    anomalous = np.array([picture.anomalous for picture in test.kept], np.bool_)
    threshold = None if info.calibration is None else info.calibration.threshold
    measures = measure(scores, anomalous, threshold, seed=seed)
    masks = masks_of(test.kept, info.preprocess.size)
    pixels = None
    if masks is not None and masks.any():
        pixels = measure_pixels(np.stack([scorer.heat(picture) for picture in test.pictures]), masks)
    few = len(test.pictures) <= MOST_FEATURES
    return Evaluated(
        title=title or f"{info.method} on {exam.name}",
        scorer=info.method,
        model_id=info.model_id,
        dataset=exam.name,
        summary={
            **(summary or {}),
            "training and test": exam.rule,
            "frames a second": round(len(scores) / seconds, 1) if seconds else None,
            "machine": machine(info.device),
        },
        scores=scores,
        anomalous=anomalous,
        kinds=[picture.kind for picture in test.kept],
        names=[str(picture.path.name) for picture in test.kept],
        measures=measures,
        pixels=pixels,
        masks=masks,
        features=scorer.features(test.pictures) if few else None,
        look=_look(scorer, test.pictures),
    )


def _scores(scorer: Scorer, pictures: Picture, counted: Counted) -> tuple[npt.NDArray[np.float64], float]:
    """The scores [N] and the seconds they took."""
    parts = [np.empty(0)]
    began_s = time.perf_counter()
    for start in range(0, len(pictures), AT_ONCE):
        parts.append(scorer.score(pictures[start : start + AT_ONCE]))
        counted(min(start + AT_ONCE, len(pictures)), len(pictures))
    return np.concatenate(parts), time.perf_counter() - began_s


def _look(scorer: Scorer, pictures: Picture) -> Callable[[npt.NDArray[np.intp]], tuple[Picture, Floats, Floats]]:
    def look(chosen: npt.NDArray[np.intp]) -> tuple[Picture, Floats, Floats]:
        shown = pictures[chosen]
        return shown, scorer.rebuild(shown), np.stack([scorer.heat(picture) for picture in shown])

    return look
