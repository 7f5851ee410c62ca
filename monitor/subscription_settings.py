"""The settings of who is told what, when and how often. The same type comes by the API and is kept in Redis."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from monitor.line_settings import Day, Label, Pattern, TimeOfDay, TimeZone
from monitor.section import Section

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
"""Of channels and subscriptions: letters, digits, . _ and -, for it is part of addresses and keys."""

EventKind = Literal["anomaly", "camera", "drift", "system"]
"""anomaly: about parts. camera: it is offline, dark, moved, ... drift: a baseline no longer fits. system: storms."""

Telling = Literal["begin", "end", "acknowledged", "escalated"]
EVERY_DAY: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Hours(Section):
    """A stretch of the day on some days of the week, in the subscription's time zone."""

    days: tuple[Day, ...] = Field(EVERY_DAY, min_length=1, description="Days on which it begins.")
    start: TimeOfDay = Field(description='When it begins, like "06:00".')
    end: TimeOfDay = Field(description="When it ends; where that is not after the start, on the next day.")


class When(Section):
    """At which times events are told."""

    timezone: TimeZone = Field("UTC", description="Of all times here, like Europe/Berlin.")
    working: tuple[Hours, ...] = Field((), max_length=50, description="Only in these hours; none means always.")
    quiet: tuple[Hours, ...] = Field((), max_length=50, description="Not in these hours.")
    critical_passes: bool = Field(True, description="Whether critical events are told at any time all the same.")
    missed: Literal["summary", "drop"] = Field(
        "summary",
        description="What becomes of events that come outside those hours: told in one message when they are over, or "
        "not at all.",
    )


class Digest(Section):
    """One message for all that came since the last one; none where nothing came."""

    at: tuple[TimeOfDay, ...] = Field((), max_length=24, description='Times of day, like ["06:00", "14:00", "22:00"].')
    every_s: float | None = Field(None, ge=60, le=604_800, description="Or every so often.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Digest:
        if bool(self.at) == (self.every_s is not None):
            raise ValueError("give either at or every_s")
        return self


class HowOften(Section):
    """At once, unless one of both is given."""

    group_s: float | None = Field(
        None, ge=1, le=86_400, description="Gather for so long after the first event, then tell all in one message."
    )
    digest: Digest | None = Field(None, description="Tell at certain times only, with a strip of pictures.")

    @model_validator(mode="after")
    def _one_at_most(self) -> HowOften:
        if self.group_s is not None and self.digest is not None:
            raise ValueError("give either group_s or digest: a digest gathers anyway")
        return self


class Escalation(Section):
    """Who else is told where nobody acknowledges in time."""

    to: Name = Field(description="A subscription's name. Its channels are told, whatever else it says of cameras.")
    after_s: float = Field(ge=5, le=604_800, description="Counted from when the alert began to be told.")
    resolved_too: bool = Field(False, description="Whether also an alert that is over meanwhile is escalated.")


class Subscription(Section):
    """Who is told what, when and how often. All conditions must hold; an empty list means every one."""

    name: Name = Field(description="Unique among all subscriptions.")
    to: tuple[Name, ...] = Field(min_length=1, max_length=20, description="Channels, by name.")
    enabled: bool = Field(True, description="Off: nothing is told, nothing gathered.")
    cameras: tuple[Pattern, ...] = Field((), max_length=200, description="Camera ids, or patterns with * and ?.")
    lines: tuple[Label, ...] = Field((), max_length=100, description="Cameras of these lines (cameras[].line).")
    tags: tuple[Label, ...] = Field((), max_length=100, description="Cameras with one of these tags (cameras[].tags).")
    from_severity: Literal["warning", "critical"] = Field("warning", description="This severe, or more.")
    kinds: tuple[EventKind, ...] = Field((), description="Of anomaly, camera, drift, system.")
    tell: tuple[Telling, ...] = Field(
        ("begin", "end"),
        min_length=1,
        description="What of an alert is told: that it begins (or becomes critical), that it ends, that somebody "
        "acknowledged it, that it was escalated.",
    )
    when: When = When()
    how_often: HowOften = HowOften()
    escalate: Escalation | None = None

    @field_validator("to")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(value))

    @model_validator(mode="after")
    def _not_to_itself(self) -> Subscription:
        if self.escalate is not None and self.escalate.to == self.name:
            raise ValueError("escalate.to names this very subscription; expected another one")
        return self


class SubscriptionsWrong(ValueError):
    """Subscriptions that do not fit together, or name channels that are not there."""


def check_subscriptions(subscriptions: tuple[Subscription, ...], channels: frozenset[str]) -> None:
    """Names are unique, and what they name is there. Raises SubscriptionsWrong, which names what is missing and what
    there is. Escalations may not go in a circle, which nobody would end but the one who acknowledges."""
    by_name: dict[str, Subscription] = {}
    for one in subscriptions:
        if one.name in by_name:
            raise SubscriptionsWrong(f"two subscriptions are called {one.name}; names must differ")
        by_name[one.name] = one
    for one in subscriptions:
        for channel in one.to:
            if channel not in channels:
                there = ", ".join(sorted(channels)) or "none; add one to the section `channels`"
                raise SubscriptionsWrong(f"subscription {one.name}: no channel {channel}; there are: {there}")
        if one.escalate is not None and one.escalate.to not in by_name:
            raise SubscriptionsWrong(
                f"subscription {one.name}: escalate.to names {one.escalate.to}, but there is no such subscription; "
                f"there are: {', '.join(sorted(by_name))}"
            )
    for one in subscriptions:
        seen, at = {one.name}, one
        while at.escalate is not None:
            at = by_name[at.escalate.to]
            if at.name in seen:
                raise SubscriptionsWrong(f"subscription {one.name}: its escalation comes back to {at.name}")
            seen.add(at.name)
