"""What becomes of an event: who is told at once, for whom it is kept, and when somebody else is called in. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from monitor.delivery.held import Why
from monitor.delivery.hours import NeverOpen, allowed, digest_ms, opens_ms
from monitor.delivery.matching import EventUnknown, critical, telling_of, wants
from monitor.delivery.materials import Place
from monitor.subscription_settings import Subscription

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Hold:
    """Gather it for a subscription; told at `due_ms`, since the epoch, if it is the first of what is gathered."""

    name: str
    why: Why
    due_ms: int


@dataclass(slots=True)
class Decision:
    """told: channels, and the subscriptions for which each is told, none for channels that get everything.
    escalate: subscriptions that call in another one, and when, ms since the epoch."""

    told: dict[str, tuple[str, ...]] = field(default_factory=dict)
    held: list[Hold] = field(default_factory=list)
    escalate: list[tuple[str, int]] = field(default_factory=list)


class Decider:
    """Decides about the events of one batch: subscriptions, places and the time are the same for all of them.

    always: channels that get every event, at once, whatever the subscriptions say.
    """

    def __init__(
        self,
        subscriptions: Sequence[Subscription],
        place: Callable[[str], Place],
        always: Sequence[str],
        now_ms: int,
    ) -> None:
        self._subscriptions, self._place, self._always, self._now_ms = subscriptions, place, always, now_ms
        self._open: dict[str, bool] = {}

    def decide(self, event: Mapping[str, Any]) -> Decision:
        """About an event; one of a type that this version does not know goes to the channels that get everything."""
        decision = Decision(told=dict.fromkeys(self._always, ()))
        try:
            telling = telling_of(event)
        except EventUnknown as error:
            log.warning("event_type_unknown", error=str(error))
            return decision
        called = str(event["data"].get("escalated_to")) if telling == "escalated" else None
        for one in self._subscriptions:
            if one.name == called or wants(one, event, self._place):
                told_ms = self._plan(decision, one, event, one.name == called)
                begins = telling == "begin" or one.name == called
                if told_ms is not None and begins and one.escalate is not None:
                    decision.escalate.append((one.name, told_ms + round(one.escalate.after_s * 1000)))
        if called is not None and all(one.name != called for one in self._subscriptions):
            log.warning("escalation_to_nobody", event=event.get("id"), subscription=called, why="it is off or gone")
        return decision

    def _plan(self, decision: Decision, one: Subscription, event: Mapping[str, Any], called: bool) -> int | None:
        """Tell or keep it; when it is told, ms since the epoch, None where it never is. called: it was escalated to
        this subscription, which then neither groups nor waits for a digest."""
        closed = not self._is_open(one) and not (one.when.critical_passes and critical(event))
        if closed and one.when.missed == "drop":
            return None
        if one.how_often.digest is not None and not called:
            # In closed hours as well: it is put off when it comes due, so that the morning brings one message, not two.
            due_ms = digest_ms(one.how_often.digest, one.when.timezone, self._now_ms)
            decision.held.append(Hold(one.name, "window", due_ms))
            return due_ms
        if closed:
            try:
                due_ms = opens_ms(one.when, self._now_ms)
            except NeverOpen as error:
                log.warning("event_never_told", subscription=one.name, event=event.get("id"), why=str(error))
                return None
            decision.held.append(Hold(one.name, "quiet", due_ms))
            return due_ms
        if one.how_often.group_s is not None and not called:
            due_ms = self._now_ms + round(one.how_often.group_s * 1000)
            decision.held.append(Hold(one.name, "window", due_ms))
            return due_ms
        for channel in one.to:
            if channel not in self._always:
                decision.told[channel] = (*decision.told.get(channel, ()), one.name)
        return self._now_ms

    def _is_open(self, one: Subscription) -> bool:
        if one.name not in self._open:
            self._open[one.name] = allowed(one.when, self._now_ms)
        return self._open[one.name]
