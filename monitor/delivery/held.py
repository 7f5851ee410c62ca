"""What is gathered for a subscription, to be told in one message: within a window, for a digest, over quiet hours."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal, get_args

import structlog

from monitor.delivery.delivery import EVENTS_AT_MOST, Delivery, Kind, id_of
from monitor.delivery.matching import critical
from monitor.subscription_settings import Subscription

log = structlog.get_logger(__name__)

Why = Literal["window", "quiet"]
"""window: it groups, or wants digests. quiet: it came outside its hours."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """CloudEvents, oldest first; so many older ones were let go of."""

    events: tuple[dict[str, Any], ...]
    omitted: int

    @property
    def urgent(self) -> bool:
        """Whether a critical one is among them."""
        return any(critical(event) for event in self.events)


def later_key(prefix: str) -> str:
    """What is due later, by when, ms since the epoch."""
    return f"{prefix}:later"


def member_of(name: str, why: Why) -> str:
    """How a gathered list is named there; no name of a subscription has a colon."""
    return f"held:{name}:{why}"


def stage_held(transaction: Any, prefix: str, name: str, why: Why, event: str, due_ms: int) -> None:
    """Gather an event, as JSON, in a transaction that others opened. The first one says when all are told."""
    key, count = _keys(prefix, name, why)
    transaction.rpush(key, event)
    transaction.ltrim(key, -EVENTS_AT_MOST, -1)
    transaction.incr(count)
    transaction.zadd(later_key(prefix), {member_of(name, why): due_ms}, nx=True)


def gathered(client: Any, prefix: str, name: str, why: Why) -> Gathered:
    """What was gathered; an event that cannot be read is logged and left out."""
    key, count = _keys(prefix, name, why)
    texts, counted = client.lrange(key, 0, -1), int(client.get(count) or 0)
    events = []
    for text in texts:
        try:
            event = json.loads(text)
            event["id"], event["subject"], event["data"]["alert_id"]  # what messages are made of
            events.append(event)
        except (ValueError, KeyError, TypeError) as error:
            log.error("held_event_unreadable", subscription=name, error=f"{type(error).__name__}: {error}")
    return Gathered(tuple(events), max(0, counted - len(texts)))


def stage_told(transaction: Any, prefix: str, name: str, why: Why) -> None:
    """Gather anew from here on."""
    for key in _keys(prefix, name, why):
        transaction.delete(key)
    transaction.zrem(later_key(prefix), member_of(name, why))


def forget(transaction: Any, prefix: str, name: str) -> None:
    """A subscription is gone: let go of all that was gathered for it."""
    for why in get_args(Why):
        stage_told(transaction, prefix, name, why)


def messages(
    subscription: Subscription, why: Why, found: Gathered, but: Collection[str], now_ms: int
) -> list[Delivery]:
    """One message for each of the subscription's channels. but: channels that have had every event already."""
    grouped = why == "window" and subscription.how_often.digest is None
    return [
        Delivery(
            delivery_id=id_of(subscription.name, why, str(found.events[0]["id"]), channel),
            channel=channel,
            kind=Kind.GROUP if grouped else Kind.DIGEST,
            events=found.events,
            subscriptions=(subscription.name,),
            omitted=found.omitted,
            queued_ms=now_ms,
        )
        for channel in subscription.to
        if found.events and channel not in but
    ]


def _keys(prefix: str, name: str, why: Why) -> tuple[str, str]:
    """The events, and how many there were: what is more than EVENTS_AT_MOST is let go of at once."""
    key = f"{prefix}:held:{name}:{why}"
    return key, f"{key}:count"
