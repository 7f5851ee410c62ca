"""Escalation by hand: somebody calls in those who would be called anyway if nobody acknowledged in time."""

from __future__ import annotations

from collections.abc import Callable

from monitor.alerting.alert import DEGRADED, OFFLINE, Alert, Event
from monitor.alerting.outbox import FIRING, Outbox
from monitor.delivery.book import SubscriptionBook
from monitor.delivery.matching import wants
from monitor.delivery.materials import Place
from monitor.judging.health import Condition
from monitor.subscription_settings import Subscription


class EscalationRefused(ValueError):
    """It is not said, or not possible, to whom an alert shall be escalated; tells why, and the remedy."""


def escalate(
    outbox: Outbox, book: SubscriptionBook, place: Callable[[str], Place], alert_id: str, by: str, to: str | None
) -> Alert:
    """Escalate an alert to the subscription `to`, or where that is None to each that a subscription which is told of
    this alert names in its `escalate`. Again changes nothing.

    Raises AlertUnknown, SubscriptionUnknown, and EscalationRefused where the subscription is off, or where none says
    whom.
    """
    alert = outbox.get(alert_id)
    there = book.current()
    if to is not None:
        book.get(to)  # says so where there is none
        _refuse_off(to, there)
        return outbox.escalate(alert_id, by, to)
    event = _begin_of(alert)
    whom = sorted({one.escalate.to for one in there if one.escalate is not None and wants(one, event, place)})
    if not whom:
        raise EscalationRefused(
            f"no subscription that is told of this alert of camera {alert.camera} says to whom it escalates: name one, "
            "or give one of them `escalate`"
        )
    for name in whom:
        _refuse_off(name, there)
    if alert.escalated_to == whom[-1]:  # else the first of several would be told again
        return alert
    for name in whom:
        alert = outbox.escalate(alert_id, by, name)
    return alert


def _begin_of(alert: Alert) -> dict[str, object]:
    """The event that this alert began with, as it is now."""
    kind = FIRING
    if alert.trouble() is not None:
        kind = OFFLINE if alert.condition == Condition.OFFLINE else DEGRADED
    return Event(kind, alert.started_at, alert).document()


def _refuse_off(name: str, there: tuple[Subscription, ...]) -> None:
    if all(one.name != name for one in there):
        on = ", ".join(one.name for one in there[:8]) or "none"
        raise EscalationRefused(f"the subscription {name} is off or gone, so nobody would be told; on are: {on}")
