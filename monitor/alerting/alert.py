"""The alert: an episode of a part or a camera's own trouble as others see it, and its events as CloudEvents 1.0."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from monitor.judging.episodes import Change, Episode, Severity
from monitor.judging.health import Condition, Trouble
from streams.frame import Frame

SOURCE = "/linewatch"
EVENT_TYPES = {Change.FIRING: "linewatch.alert.firing", Change.RESOLVED: "linewatch.alert.resolved"}
ACKNOWLEDGED = "linewatch.alert.acknowledged"
OFFLINE = "linewatch.camera.offline"
DEGRADED = "linewatch.camera.degraded"
ONLINE = "linewatch.camera.online"
"""The end of any trouble of a camera; `condition` says of which."""
EVENT_KINDS = (*EVENT_TYPES.values(), ACKNOWLEDGED, OFFLINE, DEGRADED, ONLINE)

ANOMALY = "anomaly"
"""The condition of an alert that is about a part."""


class TriggerFrame(BaseModel):
    """The frame that triggered an alert. `captured_at` in ns since the epoch."""

    model_config = ConfigDict(frozen=True)

    camera: str
    seq: int
    captured_at: int
    origin: str


class Alert(BaseModel):
    """An episode with what people did about it. Times in ns since the epoch; scores and threshold are raw.

    `condition` is `anomaly` where it is about a part. Otherwise the camera itself is in trouble: `offline`, `frozen`,
    `dark`, ...; `peak_score` and `threshold` are then what was measured and what is allowed (docs/camera-health.md).
    """

    model_config = ConfigDict(frozen=True)

    alert_id: str
    camera: str
    condition: str = ANOMALY
    severity: Severity
    started_at: int
    ended_at: int | None = None
    peak_score: float
    threshold: float
    frame: TriggerFrame | None
    evidence_url: str | None = None
    model: str
    acknowledged_at: int | None = None
    acknowledged_by: str | None = None
    false_alarm_at: int | None = None
    false_alarm_by: str | None = None

    def episode(self) -> Episode:
        """The episode of a part again, to go on with it in a new process."""
        assert self.condition == ANOMALY and self.frame is not None
        return Episode(
            alert_id=self.alert_id,
            camera=self.camera,
            started_at_ns=self.started_at,
            ended_at_ns=self.ended_at,
            peak_score=self.peak_score,
            limit=self.threshold,
            severity=self.severity,
            trigger_origin=self.frame.origin,
            trigger_seq=self.frame.seq,
            trigger_at_ns=self.frame.captured_at,
        )

    def trouble(self) -> Trouble:
        """The trouble of a camera again, likewise."""
        return Trouble(
            trouble_id=self.alert_id,
            camera=self.camera,
            condition=Condition(self.condition),
            began_at_ns=self.started_at,
            ended_at_ns=self.ended_at,
            value=self.peak_score,
            limit=self.threshold,
        )


def alert_of(episode: Episode, model: str, evidence_url: str | None) -> Alert:
    """The alert of an episode, nobody having touched it yet."""
    return Alert(
        alert_id=episode.alert_id,
        camera=episode.camera,
        severity=episode.severity,
        started_at=episode.started_at_ns,
        ended_at=episode.ended_at_ns,
        peak_score=episode.peak_score,
        threshold=episode.limit,
        frame=TriggerFrame(
            camera=episode.camera,
            seq=episode.trigger_seq,
            captured_at=episode.trigger_at_ns,
            origin=episode.trigger_origin,
        ),
        evidence_url=evidence_url,
        model=model,
    )


def alert_of_trouble(trouble: Trouble, model: str, frame: Frame | None, evidence_url: str | None) -> Alert:
    """The alert of a camera's own trouble. `frame`: the one that shows it, if one does."""
    return Alert(
        alert_id=trouble.trouble_id,
        camera=trouble.camera,
        condition=trouble.condition.value,
        severity=Severity.CRITICAL if trouble.condition is Condition.OFFLINE else Severity.WARNING,
        started_at=trouble.began_at_ns,
        ended_at=trouble.ended_at_ns,
        peak_score=trouble.value,
        threshold=trouble.limit,
        frame=None
        if frame is None
        else TriggerFrame(camera=frame.camera, seq=frame.seq, captured_at=frame.captured_at_ns, origin=frame.origin),
        evidence_url=evidence_url,
        model=model,
    )


def kind_of_trouble(trouble: Trouble) -> str:
    """The type of the event that says what happened to a trouble."""
    if trouble.ended_at_ns is not None:
        return ONLINE
    return OFFLINE if trouble.condition is Condition.OFFLINE else DEGRADED


@dataclass(frozen=True, slots=True)
class Event:
    """One CloudEvent about an alert. `event_id` is the same when the event is written or delivered again."""

    kind: str
    time_ns: int
    alert: Alert

    @property
    def event_id(self) -> str:
        return f"{self.alert.alert_id}.{self.kind.rsplit('.', 1)[-1]}"

    def document(self) -> dict[str, Any]:
        """CloudEvents 1.0, structured mode."""
        return {
            "specversion": "1.0",
            "id": self.event_id,
            "source": SOURCE,
            "type": self.kind,
            "subject": self.alert.camera,
            "time": datetime.fromtimestamp(self.time_ns / 1e9, UTC).isoformat().replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "data": self.alert.model_dump(mode="json"),
        }
