"""The made-up event that a subscription is tried with."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from typing import Any

from monitor.alerting.alert import ANOMALY, DRIFT, STORM, TEST, Alert, Event
from monitor.alerting.outbox import FIRING
from monitor.delivery.matching import wants
from monitor.delivery.materials import Place
from monitor.judging.episodes import Severity
from monitor.judging.health import Condition
from monitor.subscription_settings import EventKind, Subscription

CONDITIONS: dict[EventKind, str] = {
    "anomaly": ANOMALY,
    "camera": Condition.OFFLINE.value,
    "drift": DRIFT,
    "system": STORM,
}
NOWHERE = "test"
"""The camera of a trial where no camera is known and the subscription names none."""


def trial_event(
    subscription: Subscription, cameras: Iterable[str], place: Callable[[str], Place], now_ns: int | None = None
) -> dict[str, Any]:
    """A linewatch.test CloudEvent with an alert as this subscription would be told of: of the first of these cameras
    that it is about, else of its first pattern; as severe as it asks for at least. No two trials share an id."""
    now_ns = time.time_ns() if now_ns is None else now_ns
    of_any_event = subscription.model_copy(update={"tell": ("begin",)})

    def about(camera: str) -> bool:
        return wants(of_any_event, Event(FIRING, now_ns, _alert(subscription, camera, now_ns)).document(), place)

    camera = next(filter(about, sorted(cameras)), None) or next(iter(subscription.cameras), NOWHERE)
    return Event(TEST, now_ns, _alert(subscription, camera, now_ns)).document()


def _alert(subscription: Subscription, camera: str, now_ns: int) -> Alert:
    condition = CONDITIONS[subscription.kinds[0]] if subscription.kinds else ANOMALY
    return Alert(
        alert_id=hashlib.sha256(f"{subscription.name}|test|{now_ns}".encode()).hexdigest()[:16],
        camera=camera,
        condition=condition,
        severity=Severity(subscription.from_severity),
        started_at=now_ns,
        peak_score=1.0,
        threshold=0.5,
        frame=None,
        model="test",
        held_back={camera: 1} if condition == STORM else None,
    )
