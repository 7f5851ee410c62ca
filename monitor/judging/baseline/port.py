"""The port of the window, and the words that go with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

LOW_SHARE, HIGH_SHARE = 0.01, 0.99
"""The quantiles that mode `quantile` and the top of a window go by."""
AHEAD_MS = 60_000
"""A frame that was captured so much later than the time it is judged at was captured by a clock that ran ahead. Once
frames come whose clock is right again, it leaves the window, and they are not late for it."""


class Mode(StrEnum):
    """What the range is taken from, once a window is ready."""

    MINMAX = "minmax"
    """From the least to the greatest score of the window: the paper's, rolling."""
    QUANTILE = "quantile"
    """From the 1 % quantile to the top (`top_of`): normal frames fill the lower half, and one odd frame moves
    nothing."""
    FROZEN = "frozen"
    """That of the checkpoint's calibration, for ever. Refused frames are no drift, and nothing is learnt from them."""


class Phase(StrEnum):
    """The life cycle of a baseline."""

    COLD = "cold"
    """Nothing is known."""
    WARMING = "warming"
    """Frames enter; there are too few of them yet, and the checkpoint's calibration serves."""
    READY = "ready"
    STALE = "stale"
    """It was ready, and most of it has grown too old: its last range serves until enough new frames came."""
    DRIFTING = "drifting"
    """So many frames are refused that this may be a new normal; where it goes on, it is learnt."""


class Fate(StrEnum):
    """What became of a frame's score in its window."""

    ENTERED = "entered"
    REFUSED = "refused"
    """Anomalous: it stays out, so that it cannot move the range. For Criterion.SHARE see there."""
    RELEARNT = "relearnt"
    """The last of so many refused frames that they are now the window: the new normal."""
    REPEATED = "repeated"
    """It was judged before: a redelivered frame changes nothing."""
    LATE = "late"
    """Older than the window reaches."""
    KEPT_OUT = "kept_out"
    """Its camera is in trouble or under maintenance: held against the window, without a trace in it."""
    FROZEN = "frozen"
    """Somebody has frozen the baseline: it neither learns nor forgets."""


class Criterion(StrEnum):
    """When a frame is anomalous."""

    ABSOLUTE = "absolute"
    """score > value."""
    RISING = "rising"
    """score > value and, where the window is ready (or was, and its last range serves), above its top (`top_of`). The
    greatest score is no such bound: what lies above it would never enter, so that it could only fall."""
    SHARE = "share"
    """The normalised score reaches `value`. Alarms within the spread of normal frames are the paper's min-max at work:
    they are anomalous, but enter the window, unless they also lie above its top (`top_of`); kept out, they would make
    the range narrower and narrower. Where no window serves yet, or in mode `frozen`, each is refused."""


@dataclass(frozen=True, slots=True)
class Rule:
    """criterion and value: when a frame is anomalous. low, high: the range of the checkpoint's calibration."""

    criterion: Criterion
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class BaselineKey:
    """What a baseline belongs to. `model`: the model's id, with the region's where one is set."""

    camera: str
    model: str
    product: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A score on its way into the window. `identity` names the frame, the same again when it is redelivered.

    score: finite. time_ms: when the frame was captured, ms since the epoch. keep_out: it must leave no trace.
    """

    key: BaselineKey
    identity: str
    score: float
    time_ms: int
    rule: Rule
    keep_out: bool = False


@dataclass(slots=True)  # one is made for each frame, and a frozen one of so many fields costs six times as much
class Range:
    """The window as it was before the frame. Not to be changed.

    count: frames in it. least, greatest: None in an empty one. q_low, q_high: its 1 % and 99 % quantiles, interpolated
    linearly between neighbours (numpy's default). at_least: how many of its scores are not below the frame's; the
    conformal p-value is (1 + at_least) / (1 + count). low, high: the range to normalise by, according to mode and
    phase. limit: the threshold on the raw score; anomalous: whether the frame passes it. refused: the count towards
    drift, which mode `frozen` never raises. epoch: rises when the baseline is reset or learnt anew. frozen: whether
    somebody has frozen it.
    """

    count: int
    least: float | None
    greatest: float | None
    q_low: float | None
    q_high: float | None
    at_least: int
    low: float
    high: float
    limit: float
    anomalous: bool
    phase: Phase
    fate: Fate
    refused: int
    epoch: int
    frozen: bool

    @property
    def p_value(self) -> float:
        """The conformal p-value of the frame: small where hardly anything in the window is as high. In (0, 1]."""
        return (1 + self.at_least) / (1 + self.count)


@dataclass(frozen=True, slots=True)
class WindowRules:
    """The last max_frames frames, none older than max_age_s before the newest; from warm_up_frames on it is ready;
    relearn_after: so many more refused frames than normal ones are a new normal, a quarter of them drift."""

    max_frames: int
    max_age_s: float
    warm_up_frames: int
    relearn_after: int
    mode: Mode = Mode.MINMAX
    keep_s: float = 30 * 86_400.0

    @property
    def drifting_from(self) -> int:
        """The count of refused frames from which a baseline is drifting."""
        return max(1, self.relearn_after // 4)


class WindowUnavailable(RuntimeError):
    """The window cannot be read at present; the message says where and why, without secrets."""


class RollingWindow(Protocol):
    """Keeps the last N scores of each baseline, and none older than T.

    `judge` answers for every entry, in order, with the window before that entry, and then lets the score enter unless
    it is anomalous (but see Criterion.SHARE) or to be kept out. Entries of one batch see the ones before them.
    Idempotent for repeated identities. Blocks for one round trip at most. Raises WindowUnavailable; nothing is known to
    have entered then.
    """

    def judge(self, entries: Sequence[Entry]) -> list[Range]: ...


def top_of(q_low: float, q_high: float) -> float:
    """How far the scores of a window may reach: as far above its 99 % quantile as that lies above its 1 % one."""
    return q_high + (q_high - q_low)


def normalise(score: float, low: float, high: float) -> float:
    """Where `score` lies between `low` and `high`, cut to [0, 1].

    The paper's min-max, without its 0/0: where the range has no width, a score above it is 1 and any other 0.
    """
    if not high > low:
        return 1.0 if score > high else 0.0
    return min(1.0, max(0.0, (score - low) / (high - low)))
