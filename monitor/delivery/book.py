"""The subscriptions: those of the configuration and those that came by the API, which are kept in Redis."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import redis
import structlog

from monitor.delivery.held import forget
from monitor.delivery.hours import NeverOpen, opens_ms
from monitor.delivery.listing import Kept, Listed, Listing, Switched
from monitor.subscription_settings import Subscription

log = structlog.get_logger(__name__)

MAX_KEPT = 1000
"""So many by the API."""
MAX_BY = 100
TRIES = 20
"""So often a change is tried again that others got in the way of."""


class SubscriptionUnknown(KeyError):
    """There is no subscription of this name."""


class SubscriptionRefused(ValueError):
    """It cannot be created, changed, deleted or switched like this; tells why, and the remedy."""


class SubscriptionBook:
    """All subscriptions, read anew at each call, so that a change holds at once and everywhere. Thread-safe.

    configured: those of the configuration, as it is now. channels: the names of all channels that subscriptions may
    name. A name that stands in both is that of the configuration. Every method may raise redis.RedisError; what is
    refused changes nothing.
    """

    def __init__(
        self,
        client: redis.Redis,
        prefix: str,
        configured: Callable[[], tuple[Subscription, ...]],
        channels: Callable[[], frozenset[str]],
    ) -> None:
        self._client: Any = client
        self._prefix = prefix
        self._key, self._off = f"{prefix}:subscriptions", f"{prefix}:subscriptions:off"
        self._channels = channels
        self._listing = Listing(configured)

    def listed(self) -> list[Listed]:
        """All that can be read: those of the configuration in its order, then the others by name."""
        with self._client.pipeline(transaction=False) as pipe:
            pipe.hgetall(self._key)
            pipe.hgetall(self._off)
            kept, switched = pipe.execute()
        return self._listing.of(kept, switched)

    def current(self) -> tuple[Subscription, ...]:
        """Those that are on, each with those of its channels that are there. One round trip."""
        there = self._channels()
        found = []
        for one in self.listed():
            if not one.on:
                continue
            to = tuple(name for name in one.subscription.to if name in there)
            for gone in sorted(set(one.subscription.to) - set(to)):
                self._listing.warn("channel_missing", one.subscription.name, f"there is no channel {gone} any more")
            if to:
                found.append(one.subscription.model_copy(update={"to": to}))
        return tuple(found)

    def get(self, name: str) -> Listed:
        """Raises SubscriptionUnknown."""
        return _named(self.listed(), name)

    def create(self, subscription: Subscription, by: str) -> Listed:
        """Add one. Raises SubscriptionRefused."""

        def checked(known: list[Listed], kept: int) -> None:
            if any(one.subscription.name == subscription.name for one in known):
                raise SubscriptionRefused(f"there is a subscription {subscription.name} already; change that one")
            if kept >= MAX_KEPT:
                raise SubscriptionRefused(f"there are {kept} subscriptions, which is the most; delete some first")

        return self._write(subscription, by, checked)

    def change(self, name: str, subscription: Subscription, by: str) -> Listed:
        """Replace one. Raises SubscriptionUnknown and SubscriptionRefused."""

        def checked(known: list[Listed], _: int) -> None:
            _refuse_configured(_named(known, name), "changed")
            if subscription.name != name:
                raise SubscriptionRefused(
                    f"the name {subscription.name} differs from {name}; a subscription keeps its name: create another "
                    "one and delete this one"
                )

        return self._write(subscription, by, checked)

    def delete(self, name: str, by: str) -> None:
        """Drop one, with what was gathered for it. Raises SubscriptionUnknown and SubscriptionRefused."""
        by = _checked_by(by)

        def staged(transaction: Any, known: list[Listed], kept: Mapping[str, str]) -> None:
            if name not in kept or any(one.subscription.name == name and one.origin != "api" for one in known):
                _refuse_configured(_named(known, name), "deleted")
            for one in known:
                escalation = one.subscription.escalate
                if escalation is not None and escalation.to == name and one.subscription.name != name:
                    raise SubscriptionRefused(
                        f"the subscription {one.subscription.name} escalates to {name}; change that first"
                    )
            transaction.multi()
            transaction.hdel(self._key, name)
            transaction.hdel(self._off, name)
            forget(transaction, self._prefix, name)

        self._transact(staged)
        log.info("subscription_deleted", subscription=name, by=by)

    def switch(self, name: str, on: bool, by: str) -> Listed:
        """On or off, also one of the configuration. Raises SubscriptionUnknown, and SubscriptionRefused where the
        configuration says `enabled: false` and it is to be on."""
        by, now_ms = _checked_by(by), _now_ms()

        def staged(transaction: Any, known: list[Listed], kept: Mapping[str, str]) -> None:
            found = _named(known, name)
            disabled = on and not found.subscription.enabled
            if disabled and found.origin == "configuration":
                raise SubscriptionRefused(
                    f"the subscription {name} is off by the configuration (enabled: false); change it there and reload"
                )
            transaction.multi()
            transaction.hset(self._off, name, Switched(on=on, by=by, at_ms=now_ms).model_dump_json())
            if disabled:
                enabled = found.subscription.model_copy(update={"enabled": True})
                transaction.hset(self._key, name, Kept(subscription=enabled, by=by, at_ms=now_ms).model_dump_json())

        self._transact(staged)
        log.info("subscription_switched", subscription=name, on=on, by=by)
        return self.get(name)

    def _write(self, subscription: Subscription, by: str, checked: Callable[[list[Listed], int], None]) -> Listed:
        by, now_ms = _checked_by(by), _now_ms()
        new = Kept(subscription=subscription, by=by, at_ms=now_ms)

        def staged(transaction: Any, known: list[Listed], kept: Mapping[str, str]) -> None:
            checked(known, len(kept))
            self._check_fits(subscription, known)
            transaction.multi()
            transaction.hset(self._key, subscription.name, new.model_dump_json())

        self._transact(staged)
        log.info("subscription_written", subscription=subscription.name, by=by)
        return self.get(subscription.name)

    def _check_fits(self, new: Subscription, known: list[Listed]) -> None:
        """What it names is there, and its escalation comes to an end. What is wrong with others is not its fault."""
        channels = self._channels()
        for channel in new.to:
            if channel not in channels:
                there = ", ".join(sorted(channels)) or "none; add one to the section `channels` of the configuration"
                raise SubscriptionRefused(f"to: no channel {channel}; there are: {there}")
        by_name = {one.subscription.name: one.subscription for one in known} | {new.name: new}
        at, seen = new, {new.name}
        while at.escalate is not None:
            if at.escalate.to not in by_name:
                if at is new:
                    there = ", ".join(sorted(by_name.keys() - {new.name})[:20]) or "none"
                    raise SubscriptionRefused(
                        f"escalate.to: no subscription {at.escalate.to}; there are: {there}. Create that one first"
                    )
                break
            at = by_name[at.escalate.to]
            if at.name in seen:
                raise SubscriptionRefused(f"escalate.to: the escalation comes back to {at.name}; let it end somewhere")
            seen.add(at.name)
        try:
            opens_ms(new.when, _now_ms())
        except NeverOpen as error:
            raise SubscriptionRefused(f"when: {error}") from None

    def _transact(self, staged: Callable[[Any, list[Listed], Mapping[str, str]], None]) -> None:
        """Check and write in one step: of two changes at once the later one sees the earlier one."""
        with self._client.pipeline(transaction=True) as transaction:
            for _ in range(TRIES):
                try:
                    transaction.watch(self._key, self._off)
                    kept, switched = transaction.hgetall(self._key), transaction.hgetall(self._off)
                    staged(transaction, self._listing.of(kept, switched), kept)
                    transaction.execute()
                except redis.WatchError:
                    continue
                return
        raise redis.WatchError(f"the subscriptions were changed by others {TRIES} times meanwhile")


def _named(known: list[Listed], name: str) -> Listed:
    for one in known:
        if one.subscription.name == name:
            return one
    raise SubscriptionUnknown(name)


def _refuse_configured(one: Listed, what: str) -> None:
    if one.origin == "configuration":
        raise SubscriptionRefused(
            f"the subscription {one.subscription.name} stands in the configuration, and is {what} there; by the API it "
            "can be switched on and off"
        )


def _checked_by(by: str) -> str:
    by = by.strip()
    if not by or len(by) > MAX_BY or not by.isprintable():
        raise SubscriptionRefused(f"by: expected 1 to {MAX_BY} printable characters, found {by[:40]!r}")
    return by


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
