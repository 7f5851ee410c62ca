"""What an episode is, what begins and ends one, and what keeps one from beginning."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from monitor.judging.judge import Verdict


class Severity(StrEnum):
    WARNING = "warning"
    CRITICAL = "critical"


class Hold(StrEnum):
    """Why an anomaly must not become an alert at present, and what becomes of it."""

    NO = "no"
    SUSPECT = "suspect"
    """Something may be wrong with the camera itself: an episode waits until that is decided."""
    TROUBLE = "trouble"
    """Something is: what the camera shows says nothing about parts."""


class Reason(StrEnum):
    """Why an episode was held back."""

    COOL_DOWN = "cool_down"
    CAMERA_TROUBLE = "camera_trouble"
    STORM = "storm"
    """Too many episodes began shortly before, over all cameras; one alert tells of the storm."""
    MAINTENANCE = "maintenance"
    """Somebody has said that nobody is to be called for this camera now."""
    UNSETTLED = "unsettled"
    """What is shown outside the camera's region is still being learnt, and its scores may shift once more."""


class Change(StrEnum):
    """What a verdict did to an episode. RAISED: it fires on, and is critical now."""

    FIRING = "firing"
    RAISED = "raised"
    RESOLVED = "resolved"


class EpisodeState(StrEnum):
    """Where a camera stands."""

    QUIET = "quiet"
    PENDING = "pending"
    """At least one of the last `fire_of` frames was anomalous: it is being counted, and nothing has been told."""
    FIRING = "firing"
    RECOVERING = "recovering"
    """Firing, and the last frames were below the lower threshold: so many of them end it."""


Gate = Callable[[str, int], Reason | None]
"""Whether an episode of this camera may begin at this time (ns since the epoch), or why not. Asked only when one
would, and at every frame while it is shut; where it lets one in (None), that episode begins. Quick, raises nothing."""


@dataclass(frozen=True, slots=True)
class Episode:
    """A stretch of time in which a camera saw something anomalous.

    alert_id: the same from firing to resolved, and the same again when the frames are redelivered, since it is made
    from the camera and the first anomalous frame. Times in ns since the epoch, raw scores.
    trigger_origin, trigger_seq, trigger_at_ns: the frame whose picture is kept: the highest-scoring one up to the
    firing, or, where that one was judged before a restart, the highest-scoring one whose picture is at hand. Where
    none is, the highest-scoring one all the same, by which it can be found at its source.
    """

    alert_id: str
    camera: str
    started_at_ns: int
    peak_score: float
    limit: float
    severity: Severity
    trigger_origin: str
    trigger_seq: int
    trigger_at_ns: int
    ended_at_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """An episode that began, became worse or ended.

    trigger: where it began, the verdict whose picture shows why; None where all that were anomalous were judged
    before a restart. doc: the state of the camera right after it, to be kept in the same transaction as the event;
    None where this state is not known here. at_ns: when it became worse, ns since the epoch.
    """

    change: Change
    episode: Episode
    trigger: Verdict | None = None
    doc: str | None = None
    at_ns: int | None = None


@dataclass(frozen=True, slots=True)
class EpisodeRule:
    """When episodes begin and end.

    `fire_frames` anomalous frames among `fire_of` in a row begin one, once that has been so at every frame for
    `fire_s`. `resolve_frames` frames in a row below the lower threshold end it, once they span `resolve_s`; the lower
    threshold lies at `below` of the way from the range's low end to the threshold, and a frame between the two begins
    nothing and ends nothing: the count begins anew. For `cooldown_s` after an episode none of that camera begins.
    critical_at: an episode is critical where its peak lies so many times as far above the range's low end as the
    threshold does.
    """

    fire_frames: int
    fire_of: int
    resolve_frames: int
    cooldown_s: float
    fire_s: float = 0.0
    resolve_s: float = 0.0
    below: float = 1.0
    critical_at: float = 2.0

    def severity(self, score: float, low: float, limit: float) -> Severity:
        """How bad a frame is."""
        far = score - low >= self.critical_at * max(limit - low, 1e-12)
        return Severity.CRITICAL if far else Severity.WARNING

    def recovers(self, verdict: Verdict) -> bool:
        """Whether a frame speaks for the end of an episode."""
        # Where the threshold lies below the range, which a camera that drifts can bring about, it is the lower one.
        lower = min(verdict.limit, verdict.low + self.below * (verdict.limit - verdict.low))
        return not verdict.anomalous and verdict.score <= lower


def alert_id(first: Verdict) -> str:
    """16 hexadecimal digits, the same whenever this frame begins an episode."""
    return id_of(first.frame.camera, first.frame.identity)


def id_of(camera: str, identity: str) -> str:
    """The same, from the names of the camera and of its first anomalous frame."""
    return hashlib.sha256(f"{camera}|{identity}".encode()).hexdigest()[:16]


def worse(one: Severity, other: Severity) -> Severity:
    """The worse of two."""
    return max(one, other, key=list(Severity).index)
