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
    normal_in_a_row: int = 0
    cool_until_ns: int = 0
    holding_back: bool = False
    seen: dict[str, None] = field(default_factory=dict)


@dataclass
class Episodes:
    """The state machine of every camera: quiet, pending, firing, recovering. Pure: time comes from the frames.

    Frames of a camera come in order; one that is delivered again changes nothing.
    `held_back` counts the episodes that a cool-down kept from beginning at once.
    """

    rule: EpisodeRule
    held_back: dict[str, int] = field(default_factory=dict)
    _cameras: dict[str, _Camera] = field(default_factory=dict)

    def adopt(self, episodes: Iterable[Episode]) -> None:
        """Go on with episodes that were firing when an earlier process ended."""
        for episode in episodes:
            self._camera(episode.camera).firing = episode

    def active(self, camera: str) -> Episode | None:
        """The episode that is firing now."""
        known = self._cameras.get(camera)
        return known.firing if known else None

    def step(self, verdict: Verdict) -> Transition | None:
        """Take one verdict in; what it changed, if anything."""
        camera = self._camera(verdict.frame.camera)
        if verdict.frame.identity in camera.seen:
            return None
        camera.seen[verdict.frame.identity] = None
        if len(camera.seen) > REMEMBERED_FRAMES:
            camera.seen.pop(next(iter(camera.seen)))
        camera.recent.append(verdict)
        if camera.firing is not None:
            return self._while_firing(camera, verdict)
        anomalous = [v for v in camera.recent if v.anomalous]
        if len(anomalous) < self.rule.fire_frames:
            camera.holding_back = False
            return None
        if verdict.frame.captured_at_ns < camera.cool_until_ns:
            if not camera.holding_back:
                camera.holding_back = True
                self.held_back[verdict.frame.camera] = self.held_back.get(verdict.frame.camera, 0) + 1
            return None
        return self._fire(camera, anomalous)

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
