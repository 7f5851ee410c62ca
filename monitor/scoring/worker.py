"""From a batch to scores."""

from __future__ import annotations

import math
import threading

import numpy as np
import structlog
from numpy.typing import NDArray

from monitor.scoring.decoding import Batch, Rejected
from monitor.scoring.models import Models
from monitor.scoring.score import Score

log = structlog.get_logger(__name__)


class Worker:
    """Scores batches, one at a time, and draws heat maps in between. Thread-safe: a scorer is used by one at a time."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._lock = threading.Lock()

    def score(self, batch: Batch) -> tuple[list[Score], list[Rejected]]:
        """A score for each frame, in order; frames whose score is no finite number are rejected.

        A batch on which the network fails is tried again frame by frame, so that one frame costs only itself.
        """
        try:
            with self._lock:
                values = self._models.of(batch.model).score(batch.pictures)
        except Exception as error:
            if len(batch.arrivals) == 1:
                return [], [Rejected(batch.arrivals[0], "scoring_failed", f"{type(error).__name__}: {error}")]
            log.warning("batch_failed", frames=len(batch.arrivals), error=f"{type(error).__name__}: {error}")
            return self._one_by_one(batch)
        scores: list[Score] = []
        rejected: list[Rejected] = []
        sights = batch.sights or (None,) * len(batch.arrivals)
        found = zip(batch.arrivals, batch.pictures, batch.regions, sights, values, strict=True)
        for arrival, picture, region, sight, value in found:
            if math.isfinite(value):
                scores.append(Score(arrival, picture, float(value), batch.model, region, sight))
            else:
                rejected.append(Rejected(arrival, "score_not_finite", f"the network's score is {value}"))
        return scores, rejected

    def heat(self, picture: NDArray[np.uint8], model: str) -> NDArray[np.float32]:
        """uint8 [S, S, C], as this model saw it, to float32 [S, S], 0 where the network can reconstruct the picture.
        LookupError where the model has been replaced since."""
        with self._lock:
            return self._models.of(model).heat(picture)

    def _one_by_one(self, batch: Batch) -> tuple[list[Score], list[Rejected]]:
        scores: list[Score] = []
        rejected: list[Rejected] = []
        for index, arrival in enumerate(batch.arrivals):
            alone = slice(index, index + 1)
            found, lost = self.score(
                Batch((arrival,), batch.pictures[alone], batch.model, batch.regions[alone], batch.sights[alone])
            )
            scores += found
            rejected += lost
        return scores, rejected
