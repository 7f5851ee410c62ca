"""From scores to verdicts: the score against its camera's window and against the threshold."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
import structlog
from numpy.typing import NDArray

from monitor.judging.window import Entry, Fate, Range, RollingWindow, WindowUnavailable
from monitor.scoring.worker import Score
from streams.frame import Frame

log = structlog.get_logger(__name__)


class State(StrEnum):
    """How far a camera's window can be relied on."""

    WARMING = "warming"
    """Too few frames yet: the range is the checkpoint's calibration."""
    READY = "ready"
    DEGRADED = "degraded"
    """Redis is away: the range is the last one known, or the calibration's."""


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What is thought of one frame.

    score: raw, as the network gave it. low, high: the range it was held against, raw. normalised: where the score
    lies in that range, cut to [0, 1]. limit: the threshold on the raw score; threshold: the same on the normalised
    one, cut to [0, 1]. count: frames in the window before this one. picture: uint8 [S, S, C], as the network saw it.
    """

    frame: Frame
    picture: NDArray[np.uint8]
    score: float
    normalised: float
    low: float
    high: float
    count: int
    state: State
    limit: float
    threshold: float
    anomalous: bool


def normalise(score: float, low: float, high: float) -> float:
    """Where `score` lies between `low` and `high`, cut to [0, 1].

    The paper's min-max, without its 0/0: where the range has no width, a score above it is 1 and any other 0.
    """
    if not high > low:
        return 1.0 if score > high else 0.0
    return min(1.0, max(0.0, (score - low) / (high - low)))


@dataclass(frozen=True, slots=True)
class Baseline:
    """What held-out normal frames of the checkpoint scored: the range, and the limit above which none should lie."""

    low: float
    high: float
    limit: float


class Judge:
    """Holds scores against the window, and the window's frames away from what is anomalous.

    With threshold `auto` a frame is anomalous when it lies above the checkpoint's limit and above everything in its
    window: the absolute criterion keeps a steady camera's harmless records from being alarms, the relative one
    follows a camera that has learnt a new normal. With a number it is anomalous when its normalised score reaches it.
    """

    def __init__(
        self, window: RollingWindow, baseline: Baseline, threshold: Literal["auto"] | float, warm_up_frames: int
    ) -> None:
        self._window = window
        self._baseline = baseline
        self._threshold = threshold
        self._warm_up_frames = warm_up_frames
        self._last: dict[str, Range] = {}
        self.trouble: str | None = None

    def judge(self, scores: Sequence[Score], keep_out: Collection[int] = ()) -> list[Verdict]:
        """A verdict for each score, in order. Never raises for Redis; the state is `degraded` then.

        keep_out: the indices of frames that must leave no trace in the window, since their camera is in trouble.
        """
        now_ms = time.time_ns() // 1_000_000
        entries = [
            # A capture time in the future would push every other frame out of the window.
            Entry(
                s.frame.camera,
                s.frame.identity,
                s.value,
                min(s.frame.captured_at_ns // 1_000_000, now_ms),
                self._baseline.limit,
                keep_out=index in keep_out,
            )
            for index, s in enumerate(scores)
        ]
        try:
            ranges = self._window.judge(entries)
        except WindowUnavailable as error:
            if self.trouble is None:
                log.warning("window_unavailable", error=str(error))
            self.trouble = str(error)
            return [self._verdict(s, self._last.get(s.frame.camera), degraded=True) for s in scores]
        if self.trouble is not None:
            log.info("window_available")
            self.trouble = None
        verdicts = []
        for score, known in zip(scores, ranges, strict=True):
            last = self._last.get(score.frame.camera)
            if known.fate is Fate.RELEARNT and (last is None or last.fate is not Fate.RELEARNT):
                log.warning("baseline_relearnt", camera=score.frame.camera, score=score.value)
            self._last[score.frame.camera] = known
            verdicts.append(self._verdict(score, known, degraded=False))
        return verdicts

    def _verdict(self, score: Score, known: Range | None, degraded: bool) -> Verdict:
        count = known.count if known else 0
        if known is None or known.low is None or known.high is None or count < self._warm_up_frames:
            low, high, state = self._baseline.low, self._baseline.high, State.WARMING
        else:
            low, high, state = known.low, known.high, State.READY
        if self._threshold == "auto":
            limit = self._baseline.limit if state is State.WARMING else max(self._baseline.limit, high)
            anomalous = score.value > limit
        else:
            limit = low + self._threshold * (high - low)
            anomalous = normalise(score.value, low, high) >= self._threshold
        return Verdict(
            frame=score.frame,
            picture=score.picture,
            score=score.value,
            normalised=normalise(score.value, low, high),
            low=low,
            high=high,
            count=count,
            state=State.DEGRADED if degraded else state,
            limit=limit,
            threshold=normalise(limit, low, high),
            anomalous=anomalous,
        )
