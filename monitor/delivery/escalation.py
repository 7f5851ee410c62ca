"""Who else is told where nobody acknowledges in time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import structlog

from monitor.alerting.alert import Alert
from monitor.alerting.outbox import AlertUnknown, Outbox
from monitor.delivery.held import later_key
from monitor.subscription_settings import Escalation, Subscription

log = structlog.get_logger(__name__)

BY = "linewatch"
"""Who escalates where nobody does it by hand."""


def stage_escalation(transaction: Any, prefix: str, alert_id: str, name: str, due_ms: int) -> None:
    """Remember, in a transaction that others opened, to look at an alert again. The first of an alert's events that a
    subscription is told counts: one that becomes critical later gives nobody more time."""
    transaction.zadd(later_key(prefix), {f"escalate:{alert_id}:{name}": due_ms}, nx=True)


def still_open(alert: Alert, escalation: Escalation) -> bool:
    """Whether an alert for which the time is up still wants somebody."""
    if alert.acknowledged_at is not None or alert.false_alarm_at is not None:
        return False
    return alert.ended_at is None or escalation.resolved_too


def escalate_due(outbox: Outbox, current: Iterable[Subscription], alert_id: str, name: str) -> None:
    """The time is up: escalate, unless somebody has acknowledged, or it is over. Again changes nothing.

    Raises redis.RedisError, and then it is still due.
    """
    known: Mapping[str, Subscription] = {one.name: one for one in current}
    escalation = known[name].escalate if name in known else None
    if escalation is None:
        _dropped(alert_id, name, "this subscription is off or gone, or escalates no more")
        return
    try:
        alert = outbox.get(alert_id)
        if not still_open(alert, escalation):
            return
        if escalation.to not in known:
            _dropped(alert_id, name, f"the subscription {escalation.to} is off or gone, so nobody would be told")
            return
        outbox.escalate(alert_id, BY, escalation.to)
    except AlertUnknown:
        _dropped(alert_id, name, "the alert is not kept any more")
        return
    log.info("alert_escalated", alert_id=alert_id, subscription=name, to=escalation.to)


def _dropped(alert_id: str, name: str, why: str) -> None:
    log.warning("escalation_dropped", alert_id=alert_id, subscription=name, why=why)
