"""From verdicts to episodes: one firing and one resolved event for each, however the scores flicker."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from monitor.judging.judge import Verdict

CRITICAL_AT = 2.0
"""An episode is critical where its peak lies twice as far above the range's low end as the threshold does."""


REMEMBERED_FRAMES = 1000
"""So many frames of a camera are known again when they are delivered twice: more than are ever in flight."""


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


class Change(StrEnum):
    """What a verdict did to an episode."""

    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Episode:
    """A stretch of time in which a camera saw something anomalous.

    alert_id: the same from firing to resolved, and the same again when the frames are redelivered, since it is made
    from the camera and the first anomalous frame. Times in ns since the epoch, raw scores.
    trigger_origin, trigger_seq, trigger_at_ns: the highest-scoring frame up to the firing, whose picture is kept.
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
    """An episode that began or ended, and, where it began, the verdict whose picture shows why."""

    change: Change
    episode: Episode
    trigger: Verdict | None = None


@dataclass(frozen=True, slots=True)
class EpisodeRule:
    """`fire_frames` anomalous frames among `fire_of` in a row begin an episode, `resolve_frames` normal ones in a
    row end it, and for `cooldown_s` after that no new one of that camera begins."""

    fire_frames: int
    fire_of: int
    resolve_frames: int
    cooldown_s: float


@dataclass
class _Camera:
    recent: deque[Verdict]
    firing: Episode | None = None
    adopted: bool = False
    normal_in_a_row: int = 0
    cool_until_ns: int = 0
    holding_back: bool = False
    deferred: list[Verdict] = field(default_factory=list)
    in_trouble: bool = False
    held_in_trouble: bool = False
    seen: dict[str, None] = field(default_factory=dict)


@dataclass
class Episodes:
    """The state machine of every camera: quiet, pending, firing, recovering. Pure: time comes from the frames.

    Frames of a camera come in order; one that is delivered again changes nothing.
    `held_back` counts, by camera and reason, the episodes that were kept from beginning: by a cool-down, which lets
    them begin later, or by trouble of the camera itself, which drops them.
    """

    rule: EpisodeRule
    held_back: dict[tuple[str, Reason], int] = field(default_factory=dict)
    _cameras: dict[str, _Camera] = field(default_factory=dict)

    def adopt(self, episodes: Iterable[Episode]) -> None:
        """Go on with episodes that were firing when an earlier process ended."""
        for episode in episodes:
            camera = self._camera(episode.camera)
            camera.firing, camera.adopted = episode, True

    def active(self, camera: str) -> Episode | None:
        """The episode that is firing now."""
        known = self._cameras.get(camera)
        return known.firing if known else None

    def undecided(self) -> list[str]:
        """The cameras with an episode that waits for a suspicion to be decided."""
        return [name for name, camera in list(self._cameras.items()) if camera.deferred]

    def let_go(self, camera: str) -> Transition | None:
        """Begin the episode that waits, if one does: nothing more comes that would decide the suspicion."""
        known = self._cameras.get(camera)
        if known is None or not known.deferred:
            return None
        anomalous, known.deferred = known.deferred, []
        return self._fire(known, anomalous) if known.firing is None else None

    def forget(self, camera: str) -> None:
        """Another worker judges this camera now."""
        self._cameras.pop(camera, None)

    def held_back_at(self, camera: str) -> dict[str, int]:
        """How many episodes of one camera were held back, by reason."""
        return {reason.value: count for (name, reason), count in list(self.held_back.items()) if name == camera}

    def step(self, verdict: Verdict, hold: Hold = Hold.NO) -> Transition | None:
        """Take one verdict in; what it changed, if anything.

        With a hold nothing begins, and an episode that is firing neither grows nor ends: what is seen then is no
        news of the part.
        """
        camera = self._camera(verdict.frame.camera)
        if verdict.frame.identity in camera.seen:
            return None
        camera.seen[verdict.frame.identity] = None
        if len(camera.seen) > REMEMBERED_FRAMES:
            camera.seen.pop(next(iter(camera.seen)))
        if hold is Hold.TROUBLE:
            self._in_trouble(camera, verdict)
            return None
        if camera.in_trouble:
            camera.in_trouble = camera.held_in_trouble = False
            camera.recent.clear()
        if camera.firing is not None:
            return self._while_firing(camera, verdict) if hold is Hold.NO else None
        camera.recent.append(verdict)
        anomalous = [v for v in camera.recent if v.anomalous]
        if hold is Hold.SUSPECT:
            if not camera.deferred and len(anomalous) >= self.rule.fire_frames:
                camera.deferred = anomalous
            return None
        if len(anomalous) < self.rule.fire_frames:
            # What waited for the suspicion to be decided, and was about the part after all.
            anomalous, camera.deferred = camera.deferred, []
        if not anomalous:
            camera.holding_back = False
            return None
        camera.deferred = []
        cool_ns = camera.cool_until_ns - verdict.frame.captured_at_ns
        if 0 < cool_ns <= self.rule.cooldown_s * 1e9:  # longer: the camera's clock was set back
            if not camera.holding_back:
                camera.holding_back = True
                self._count(verdict.frame.camera, Reason.COOL_DOWN)
            return None
        return self._fire(camera, anomalous)

    def _in_trouble(self, camera: _Camera, verdict: Verdict) -> None:
        """Nothing that was seen shortly before or during trouble of the camera starts an episode."""
        camera.in_trouble = True
        camera.recent.append(verdict)
        anomalous = sum(v.anomalous for v in camera.recent)
        if camera.firing is None and (camera.deferred or anomalous >= self.rule.fire_frames):
            if not camera.held_in_trouble:
                self._count(verdict.frame.camera, Reason.CAMERA_TROUBLE)
            camera.held_in_trouble = True
        camera.deferred = []

    def _count(self, camera: str, reason: Reason) -> None:
        self.held_back[camera, reason] = self.held_back.get((camera, reason), 0) + 1

    def _camera(self, name: str) -> _Camera:
        return self._cameras.setdefault(name, _Camera(deque(maxlen=self.rule.fire_of)))

    def _fire(self, camera: _Camera, anomalous: list[Verdict]) -> Transition:
        first = anomalous[0]
        trigger = max(anomalous, key=lambda v: v.score)
        camera.firing = Episode(
            alert_id=alert_id(first),
            camera=first.frame.camera,
            started_at_ns=first.frame.captured_at_ns,
            peak_score=trigger.score,
            limit=trigger.limit,
            severity=_severity(trigger),
            trigger_origin=trigger.frame.origin,
            trigger_seq=trigger.frame.seq,
            trigger_at_ns=trigger.frame.captured_at_ns,
        )
        camera.normal_in_a_row = 0
        camera.holding_back = False
        return Transition(Change.FIRING, camera.firing, trigger)

    def _while_firing(self, camera: _Camera, verdict: Verdict) -> Transition | None:
        assert camera.firing is not None
        if camera.adopted and verdict.frame.captured_at_ns < camera.firing.started_at_ns:
            return None  # delivered again after a restart, from before the episode that was adopted
        camera.adopted = False
        if verdict.anomalous:
            camera.normal_in_a_row = 0
            if verdict.score > camera.firing.peak_score:
                worst = max(camera.firing.severity, _severity(verdict), key=list(Severity).index)
                camera.firing = replace(camera.firing, peak_score=verdict.score, severity=worst)
            return None
        camera.normal_in_a_row += 1
        if camera.normal_in_a_row < self.rule.resolve_frames:
            return None
        ended = replace(camera.firing, ended_at_ns=verdict.frame.captured_at_ns)
        camera.firing = None
        camera.recent.clear()
        camera.cool_until_ns = verdict.frame.captured_at_ns + round(self.rule.cooldown_s * 1e9)
        return Transition(Change.RESOLVED, ended)


def alert_id(first: Verdict) -> str:
    """16 hexadecimal digits, the same whenever this frame begins an episode."""
    return hashlib.sha256(f"{first.frame.camera}|{first.frame.identity}".encode()).hexdigest()[:16]


def _severity(verdict: Verdict) -> Severity:
    above = verdict.score - verdict.low
    return Severity.CRITICAL if above >= CRITICAL_AT * max(verdict.limit - verdict.low, 1e-12) else Severity.WARNING
