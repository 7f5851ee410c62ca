"""From scores to verdicts: the score against its camera's window and against the threshold."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import structlog
from numpy.typing import NDArray

from monitor.judging.baseline.port import (
    BaselineKey,
    Criterion,
    Entry,
    Fate,
    Phase,
    Range,
    RollingWindow,
    WindowUnavailable,
    normalise,
)
from monitor.judging.rulebook import Rulebook
from monitor.scoring.score import Score
from streams.frame import Frame

log = structlog.get_logger(__name__)

MAX_REMEMBERED = 10_000
"""Of so many baselines the last range is remembered, for when Redis is away."""


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
    model: the id of the model that scored it. key: the baseline that it was held against. window: what that was, None
    where nothing is known of it.
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
    model: str
    key: BaselineKey
    window: Range | None

    @property
    def p_value(self) -> float | None:
        """The conformal p-value in the window, in (0, 1]; None where nothing is known of it."""
        return None if self.window is None or self.state is State.DEGRADED else self.window.p_value


class Judge:
    """Holds scores against their windows. Belongs to one thread; `rulebook` may be replaced between batches.

    With threshold `auto` a frame is anomalous above the limit that the wished rate of false alarms gives. Until there
    is one it must lie above the checkpoint's limit and above everything in its window: the absolute criterion keeps a
    steady camera's harmless records from being alarms, the relative one follows a camera that has learnt a new normal.
    With a number it is anomalous when its normalised score reaches it.
    """

    def __init__(self, window: RollingWindow, rulebook: Rulebook) -> None:
        self._window = window
        self.rulebook = rulebook
        self._last: dict[BaselineKey, Range] = {}
        self.trouble: str | None = None

    def judge(self, scores: Sequence[Score], keep_out: Collection[int] = ()) -> list[Verdict]:
        """A verdict for each score, in order. Never raises for Redis; the state is `degraded` then.

        keep_out: the indices of frames that must leave no trace in the window, since their camera is in trouble or
        under maintenance.
        """
        now_ms = time.time_ns() // 1_000_000
        entries = [self._entry(score, now_ms, index in keep_out) for index, score in enumerate(scores)]
        try:
            ranges = self._window.judge(entries)
        except WindowUnavailable as error:
            if self.trouble is None:
                log.warning("window_unavailable", error=str(error))
            self.trouble = str(error)
            return [self._degraded(s, e) for s, e in zip(scores, entries, strict=True)]
        if self.trouble is not None:
            log.info("window_available")
            self.trouble = None
        verdicts = []
        for score, entry, known in zip(scores, entries, ranges, strict=True):
            if known.fate is Fate.RELEARNT:
                log.warning(
                    "baseline_relearnt",
                    camera=entry.key.camera,
                    product=entry.key.product,
                    score=score.value,
                    hint="so many frames were anomalous that they are the new normal",
                )
            self._last[entry.key] = known
            state = State.WARMING if known.phase in (Phase.COLD, Phase.WARMING) else State.READY
            verdicts.append(_verdict(score, entry.key, known, known, state))
        while len(self._last) > MAX_REMEMBERED:
            del self._last[next(iter(self._last))]
        return verdicts

    def _entry(self, score: Score, now_ms: int, keep_out: bool) -> Entry:
        frame = score.frame
        key = self.rulebook.key(score)
        last = self._last.get(key)
        rule = self.rulebook.rule(key, score.model, None if last is None else last.epoch)
        # A capture time in the future would push every other frame out of the window.
        time_ms = min(frame.captured_at_ns // 1_000_000, now_ms)
        return Entry(key, frame.identity, score.value, time_ms, rule, keep_out)

    def _degraded(self, score: Score, entry: Entry) -> Verdict:
        last = self._last.get(entry.key)
        return _verdict(score, entry.key, _guess(entry, last), last, State.DEGRADED)


def _guess(entry: Entry, last: Range | None) -> Range:
    """What the window would say, as far as it was known last."""
    rule = entry.rule
    known = last or Range(
        count=0,
        least=None,
        greatest=None,
        q_low=None,
        q_high=None,
        at_least=0,
        low=rule.low,
        high=rule.high,
        limit=rule.value,
        anomalous=False,
        phase=Phase.COLD,
        fate=Fate.KEPT_OUT,
        refused=0,
        epoch=0,
        frozen=False,
    )
    if rule.criterion is Criterion.SHARE:
        limit = known.low + rule.value * (known.high - known.low)
        anomalous = normalise(entry.score, known.low, known.high) >= rule.value
    else:
        # The limit of before holds what was in the window; the rule may have been changed meanwhile.
        limit = max(rule.value, known.limit) if rule.criterion is Criterion.RISING else rule.value
        anomalous = entry.score > limit
    return replace(known, limit=limit, anomalous=anomalous)


def _verdict(score: Score, key: BaselineKey, judged: Range, window: Range | None, state: State) -> Verdict:
    return Verdict(
        frame=score.frame,
        picture=score.picture,
        score=score.value,
        normalised=normalise(score.value, judged.low, judged.high),
        low=judged.low,
        high=judged.high,
        count=judged.count,
        state=state,
        limit=judged.limit,
        threshold=normalise(judged.limit, judged.low, judged.high),
        anomalous=judged.anomalous,
        model=score.model,
        key=key,
        window=window,
    )
