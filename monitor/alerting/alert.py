"""The alert: an episode as others see it, and its events as CloudEvents 1.0."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from monitor.judging.episodes import Change, Episode, Severity

SOURCE = "/linewatch"
EVENT_TYPES = {Change.FIRING: "linewatch.alert.firing", Change.RESOLVED: "linewatch.alert.resolved"}
ACKNOWLEDGED = "linewatch.alert.acknowledged"


class TriggerFrame(BaseModel):
    """The frame that triggered an alert. `captured_at` in ns since the epoch."""

    model_config = ConfigDict(frozen=True)

    camera: str
    seq: int
    captured_at: int
    origin: str


class Alert(BaseModel):
    """An episode with what people did about it. Times in ns since the epoch; scores and threshold are raw."""

    model_config = ConfigDict(frozen=True)

    alert_id: str
    camera: str
    severity: Severity
    started_at: int
    ended_at: int | None = None
    peak_score: float
    threshold: float
    frame: TriggerFrame
    evidence_url: str | None = None
    model: str
    acknowledged_at: int | None = None
    acknowledged_by: str | None = None
    false_alarm_at: int | None = None
    false_alarm_by: str | None = None

    def episode(self) -> Episode:
        """The episode again, to go on with it in a new process."""
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
