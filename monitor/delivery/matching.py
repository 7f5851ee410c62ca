"""Which events a subscription wants: pure, from the event, the subscription and where cameras stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from monitor.alerting.alert import ANOMALY, DRIFT, EVERYWHERE, MISSED, STORM
from monitor.delivery.materials import Place
from monitor.line_rules import matches
from monitor.subscription_settings import EventKind, Subscription, Telling

KINDS: Final[Mapping[str, EventKind]] = {ANOMALY: "anomaly", MISSED: "anomaly", DRIFT: "drift", STORM: "system"}
"""By the condition of an alert. All others are a camera's own trouble."""

TELLINGS: Final[Mapping[str, Telling]] = {
    "linewatch.alert.firing": "begin",
    "linewatch.alert.raised": "begin",
    "linewatch.camera.offline": "begin",
    "linewatch.camera.degraded": "begin",
    "linewatch.alert.resolved": "end",
    "linewatch.camera.online": "end",
    "linewatch.alert.acknowledged": "acknowledged",
    "linewatch.alert.escalated": "escalated",
}
"""By the type of an event."""


class EventUnknown(ValueError):
    """An event of a type that this version does not know."""


def kind_of(event: Mapping[str, Any]) -> EventKind:
    """What an event is about."""
    return KINDS.get(str(event["data"].get("condition", ANOMALY)), "camera")


def telling_of(event: Mapping[str, Any]) -> Telling:
    """What an event says of its alert. Raises EventUnknown."""
    kind = str(event["type"])
    if kind not in TELLINGS:
        raise EventUnknown(f"event {event.get('id')}: unknown type {kind}; expected one of {', '.join(TELLINGS)}")
    return TELLINGS[kind]


def critical(event: Mapping[str, Any]) -> bool:
    """Whether its alert is critical."""
    return bool(event["data"].get("severity") == "critical")


def wants(subscription: Subscription, event: Mapping[str, Any], place: Callable[[str], Place]) -> bool:
    """Whether a subscription is to be told of an event, at whatever time. Raises EventUnknown.

    An alert about no single camera (a storm) is wanted where one of the cameras is that it held back, and by all who
    name no cameras, lines or tags.
    """
    if telling_of(event) not in subscription.tell:
        return False
    if subscription.from_severity == "critical" and not critical(event):
        return False
    if subscription.kinds and kind_of(event) not in subscription.kinds:
        return False
    if not (subscription.cameras or subscription.lines or subscription.tags):
        return True
    camera = str(event["subject"])
    concerned = list(event["data"].get("held_back") or ()) if camera == EVERYWHERE else [camera]
    return any(_there(subscription, one, place) for one in concerned)


def _there(subscription: Subscription, camera: str, place: Callable[[str], Place]) -> bool:
    if subscription.cameras and not any(matches(camera, pattern) for pattern in subscription.cameras):
        return False
    if not (subscription.lines or subscription.tags):
        return True
    stands = place(camera)
    if subscription.lines and stands.line not in subscription.lines:
        return False
    return not subscription.tags or not set(subscription.tags).isdisjoint(stands.tags)
