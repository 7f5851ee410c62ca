"""Measure a scorer by an exam."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from models.datasets import Loaded
from models.evaluation.evaluated import Evaluated, Floats
from models.evaluation.exam import Exam, load_test, masks_of
from models.evaluation.measures import measure
from models.evaluation.pixels import measure_pixels
from models.machine import machine
from models.preprocess import Picture
from models.scorer import Scorer

AT_ONCE = 64

Counted = Callable[[int, int], None]
"""Told how many pictures have been looked at, and how many looks there will be: one at each for its score, and one more
for its heat map where there are masks. What it raises ends the work."""


def judge(
    scorer: Scorer,
    exam: Exam,
    counted: Counted | None = None,
    *,
    summary: Mapping[str, str | float | None] | None = None,
    loaded: Loaded | None = None,
    seed: int = 0,
) -> Evaluated:
    """Score the exam's test pictures and measure. loaded: they, if they have been read already. summary: what else the
    report is to say. seed: of the intervals. Frames a second are of scoring alone, pictures decoded and preprocessed.

    ValueError where one of the two kinds is absent, a mask cannot be used, or a score is no number."""
    info = scorer.info
    test = load_test(exam, info.preprocess) if loaded is None else loaded
    masks = masks_of(test.kept, info.preprocess.size)
    pictures, counted = test.pictures, counted or (lambda *_: None)
    looks = len(pictures) * (1 if masks is None else 2)
    scores, seconds = _scores(scorer, pictures, lambda done: counted(done, looks))
    anomalous = np.array([picture.anomalous for picture in test.kept], np.bool_)
    threshold = None if info.calibration is None else info.calibration.threshold
    measures = measure(scores, anomalous, threshold, seed=seed)
    pixels = None
    if masks is not None:
        heats = np.empty(masks.shape, np.float32)
        for part in _parts(len(pictures)):
            heats[part] = scorer.heats(pictures[part])
            counted(len(pictures) + part.stop, looks)
        pixels = measure_pixels(heats, masks)
    return Evaluated(
        title=f"{info.method} on {exam.name}",
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
        names=[picture.path.name for picture in test.kept],
        measures=measures,
        pixels=pixels,
        masks=masks,
        see=lambda chosen: scorer.features(pictures[chosen]),
        look=_look(scorer, pictures),
    )


def _scores(scorer: Scorer, pictures: Picture, counted: Callable[[int], None]) -> tuple[npt.NDArray[np.float64], float]:
    """The scores [N] and the seconds they took."""
    scores, seconds = np.empty(len(pictures)), 0.0
    for part in _parts(len(pictures)):
        began_s = time.perf_counter()
        scores[part] = scorer.score(pictures[part])
        seconds += time.perf_counter() - began_s
        counted(part.stop)
    return scores, seconds


def _parts(count: int) -> list[slice]:
    return [slice(start, min(start + AT_ONCE, count)) for start in range(0, count, AT_ONCE)]


def _look(scorer: Scorer, pictures: Picture) -> Callable[[npt.NDArray[np.intp]], tuple[Picture, Floats, Floats]]:
    def look(chosen: npt.NDArray[np.intp]) -> tuple[Picture, Floats, Floats]:
        shown = pictures[chosen]
        return shown, scorer.rebuild(shown), scorer.heats(shown)

    return look
