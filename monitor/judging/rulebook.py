"""Which baseline a frame is held against, and when it is anomalous there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from monitor.judging.baseline.port import BaselineKey, Criterion, Mode, Rule
from monitor.scoring.score import Score
from streams.frame import Frame

_key = lru_cache(maxsize=10_000)(BaselineKey)
_rule = lru_cache(maxsize=10_000)(Rule)


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What held-out normal frames scored with one model: the range, and the limit above which none should lie."""

    low: float
    high: float
    limit: float


@dataclass(frozen=True, slots=True)
class Rulebook:
    """What people want of the judging. A changed configuration is a new rulebook.

    mode: of the windows. threshold: of a camera, `auto` or a number on the normalised score. product: what a frame
    shows. calibrated: of a model, by its id. learnt: the limit that was found for a baseline from the wished rate of
    false alarms, by its epoch where that is known; None while there is none.
    """

    mode: Mode
    threshold: Callable[[str], Literal["auto"] | float]
    product: Callable[[Frame], str]
    calibrated: Callable[[str], Calibrated]
    learnt: Callable[[BaselineKey, int | None], float | None]

    def key(self, score: Score) -> BaselineKey:
        """The baseline of a scored frame; of equal ones the same object, which is quicker to look up."""
        model = f"{score.model}-{score.region}" if score.region else score.model
        return _key(score.frame.camera, model, self.product(score.frame))

    def rule(self, key: BaselineKey, model: str, epoch: int | None) -> Rule:
        """When a frame of this baseline is anomalous. `epoch`: of the baseline, as far as it is known."""
        calibrated = self.calibrated(model)
        threshold = self.threshold(key.camera)
        if threshold != "auto":
            return _rule(Criterion.SHARE, threshold, calibrated.low, calibrated.high)
        if self.mode is Mode.FROZEN:
            return _rule(Criterion.ABSOLUTE, calibrated.limit, calibrated.low, calibrated.high)
        learnt = self.learnt(key, epoch)
        if learnt is not None:
            return _rule(Criterion.ABSOLUTE, learnt, calibrated.low, calibrated.high)
        return _rule(Criterion.RISING, calibrated.limit, calibrated.low, calibrated.high)
