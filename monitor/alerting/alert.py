"""The alert: an episode of a part or a camera's own trouble as others see it, and its events as CloudEvents 1.0."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from monitor.judging.baseline.port import BaselineKey
from monitor.judging.drift import Drift
from monitor.judging.episodes import Change, Episode, Severity
from monitor.judging.health import Condition, Trouble
from streams.frame import Frame

SOURCE = "/linewatch"
EVENT_TYPES = {
    Change.FIRING: "linewatch.alert.firing",
    Change.RAISED: "linewatch.alert.raised",
    Change.RESOLVED: "linewatch.alert.resolved",
}
ACKNOWLEDGED = "linewatch.alert.acknowledged"
ESCALATED = "linewatch.alert.escalated"
OFFLINE = "linewatch.camera.offline"
DEGRADED = "linewatch.camera.degraded"
ONLINE = "linewatch.camera.online"
"""The end of any trouble of a camera; `condition` says of which."""
EVENT_KINDS = (*EVENT_TYPES.values(), ACKNOWLEDGED, ESCALATED, OFFLINE, DEGRADED, ONLINE)
TEST = "linewatch.test"
"""Somebody tries whether messages arrive; it is in no stream and on no topic but the one that is tried."""

ANOMALY = "anomaly"
"""The condition of an alert that is about a part."""
STORM = "storm"
"""Too many alerts at once: one that says how many were held back, and where."""
MISSED = "missed"
"""Somebody says that there was a defect here which raised no alert."""
DRIFT = "drift"
"""A camera's frames are refused so often that this may be a new normal."""

EVERYWHERE = "*"
"""The camera of an alert that is about no single one."""


class TriggerFrame(BaseModel):
    """The frame that triggered an alert. `captured_at` in ns since the epoch."""

    model_config = ConfigDict(frozen=True)

    camera: str
    seq: int
    captured_at: int
    origin: str


class Alert(BaseModel):
    """An episode with what people did about it. Times in ns since the epoch; scores and threshold are raw.

    `condition` is `anomaly` where it is about a part, and `missed` where somebody says so and no alert did. `drift` is
    about a camera's baseline, `storm` about too many alerts at once, with `held_back`: how many were held back, by
    camera. Otherwise the camera itself is in trouble: `offline`, `frozen`, `dark`, ... In all but the first,
    `peak_score` and `threshold` are what was measured and what is allowed (docs/alerts.md, docs/camera-health.md).
    `escalated_to` is the subscription that was called in last.
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
    clip_url: str | None = None
    model: str
    product: str = ""
    held_back: dict[str, int] | None = None
    acknowledged_at: int | None = None
    acknowledged_by: str | None = None
    false_alarm_at: int | None = None
    false_alarm_by: str | None = None
    escalated_at: int | None = None
    escalated_by: str | None = None
    escalated_to: str | None = None

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

    def drift(self) -> Drift:
        """The drift of a baseline again, likewise."""
        assert self.condition == DRIFT
        key = BaselineKey(self.camera, self.model, self.product)
        return Drift(self.alert_id, key, self.started_at, round(self.peak_score), ended_at_ns=self.ended_at)

    def trouble(self) -> Trouble | None:
        """The trouble of a camera again, likewise; None where it is about something else."""
        if self.condition not in list(Condition):
            return None
        return Trouble(
            trouble_id=self.alert_id,
            camera=self.camera,
            condition=Condition(self.condition),
            began_at_ns=self.started_at,
            ended_at_ns=self.ended_at,
            value=self.peak_score,
            limit=self.threshold,
        )


def alert_of(
    episode: Episode, model: str, evidence_url: str | None, product: str = "", clip_url: str | None = None
) -> Alert:
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
        clip_url=clip_url,
        model=model,
        product=product,
    )


def alert_of_trouble(
    trouble: Trouble, model: str, frame: Frame | None, evidence_url: str | None, clip_url: str | None = None
) -> Alert:
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
        frame=_trigger(frame),
        evidence_url=evidence_url,
        clip_url=clip_url,
        model=model,
    )


def drift_alert(drift: Drift, relearn_after: int) -> Alert:
    """The alert of a baseline that drifts: frames that were refused, of so many that are a new normal."""
    return Alert(
        alert_id=drift.drift_id,
        camera=drift.key.camera,
        condition=DRIFT,
        severity=Severity.WARNING,
        started_at=drift.began_at_ns,
        ended_at=drift.ended_at_ns,
        peak_score=float(drift.refused),
        threshold=float(relearn_after),
        frame=None,
        model=drift.key.model,
        product=drift.key.product,
    )


def missed_alert(
    camera: str, at_ns: int, by: str, frame: Frame | None, evidence_url: str | None, *, model: str, now_ns: int
) -> Alert:
    """A defect that raised no alert, at `at_ns`. frame: the one that shows it, if one is at hand.

    It is over, and whoever tells of it has seen it: its one event is `acknowledged` (`Event(ACKNOWLEDGED, now_ns,
    alert)`), which calls nobody and leaves firing and resolved in pairs.
    """
    return Alert(
        alert_id=_id(camera, MISSED, at_ns),
        camera=camera,
        condition=MISSED,
        severity=Severity.WARNING,
        started_at=at_ns,
        ended_at=at_ns,
        peak_score=0.0,
        threshold=0.0,
        frame=_trigger(frame),
        evidence_url=evidence_url,
        model=model,
        acknowledged_at=now_ns,
        acknowledged_by=by,
    )


def storm_alert(
    began_at_ns: int, ended_at_ns: int | None, held_back: dict[str, int], *, alerts: int, limit: int, model: str
) -> Alert:
    """The alert of a storm. alerts: so many were let through or held back; limit: so many are let through."""
    return Alert(
        alert_id=_id(EVERYWHERE, STORM, began_at_ns),
        camera=EVERYWHERE,
        condition=STORM,
        severity=Severity.CRITICAL,
        started_at=began_at_ns,
        ended_at=ended_at_ns,
        peak_score=float(alerts),
        threshold=float(limit),
        frame=None,
        model=model,
        held_back=dict(sorted(held_back.items())),
    )


def _id(camera: str, kind: str, at_ns: int) -> str:
    """16 hexadecimal digits, the same whenever this begins at this camera at this time."""
    return hashlib.sha256(f"{camera}|{kind}|{at_ns}".encode()).hexdigest()[:16]


def _trigger(frame: Frame | None) -> TriggerFrame | None:
    if frame is None:
        return None
    return TriggerFrame(camera=frame.camera, seq=frame.seq, captured_at=frame.captured_at_ns, origin=frame.origin)


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
        told = f"{self.alert.alert_id}.{self.kind.rsplit('.', 1)[-1]}"
        return f"{told}.{self.alert.escalated_to}" if self.kind == ESCALATED else told

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
