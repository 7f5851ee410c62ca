"""What waits for a channel: a Redis stream, read by one dispatcher at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

import redis

from monitor.delivery.delivery import Delivery

GROUP: Final = "dispatch"
CONSUMER: Final = "dispatcher"
"""The same in every process, since the lease lets only one read: nothing is left behind under an old name."""

PAGE: Final = 100


class Entry(NamedTuple):
    """One entry as it stands in the stream. text: a Delivery as JSON, unless somebody else wrote it."""

    id: str
    text: str


def delivery_of(text: str) -> Delivery:
    """An entry's text as what it says. Raises ValueError, also for what would only show while it is sent."""
    try:
        delivery = Delivery.from_json(text)
    except RecursionError:
        raise ValueError("no delivery: nested too deep") from None
    except ValueError as error:
        why = str(error)
        raise ValueError(why if why.startswith("no delivery") else f"no delivery: {why}") from None
    lacking = [
        what
        for what, there in {
            "delivery_id": isinstance(delivery.delivery_id, str) and delivery.delivery_id,
            "events": delivery.events and all(isinstance(e, dict) and "subject" in e for e in delivery.events),
            "subscriptions": all(isinstance(name, str) for name in delivery.subscriptions),
            "queued_ms": isinstance(delivery.queued_ms, int),
            "replayed": isinstance(delivery.replayed, int),
        }.items()
        if not there
    ]
    if lacking:
        raise ValueError(f"no delivery: {', '.join(lacking)} not as expected")
    return delivery


def queue_key(prefix: str, channel: str) -> str:
    """Where a channel's deliveries wait."""
    return f"{prefix}:queue:{channel}"


class DeliveryQueue:
    """The queues of all channels. Thread-safe; every method may raise redis.RedisError.

    What is finished leaves the stream, so that its length is what is left to deliver. Whoever puts something in is
    never refused and nothing is dropped here: the dispatcher moves what is too much to the dead letters.
    """

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        self._client: Any = client
        self._prefix = prefix

    def key(self, channel: str) -> str:
        return queue_key(self._prefix, channel)

    def put(self, delivery: Delivery) -> None:
        """At the end of its channel's queue."""
        self.stage(self._client, delivery)

    def stage(self, transaction: Any, delivery: Delivery) -> None:
        """The same in a transaction that others have begun (after its MULTI)."""
        if not delivery.queued_ms:
            delivery = replace(delivery, queued_ms=time.time_ns() // 1_000_000)
        transaction.xadd(self.key(delivery.channel), {"delivery": delivery.to_json()})

    def depth(self, channel: str) -> int:
        """How many are not delivered yet, those on their way among them."""
        return int(self._client.xlen(self.key(channel)))

    def oldest_ms(self, channel: str) -> int | None:
        """When the oldest of them was put in, ms since the epoch by the clock of Redis; None where there is none."""
        found = self.oldest(channel, 1)
        return int(found[0].id.split("-")[0]) if found else None

    def oldest(self, channel: str, count: int) -> list[Entry]:
        """So many from the front, whoever has taken them."""
        return [_entry(*each) for each in self._client.xrange(self.key(channel), count=count)]

    def names(self) -> frozenset[str]:
        """The channels that were ever served, also those that are not there any more."""
        return frozenset(self._client.smembers(f"{self._prefix}:queues"))

    def ready(self, channel: str) -> None:
        """Make the group, if it is not there. It begins with the oldest entry that there is."""
        self._client.sadd(f"{self._prefix}:queues", channel)
        try:
            self._client.xgroup_create(self.key(channel), GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def claim(self, channel: str) -> Iterator[list[Entry]]:
        """What was taken and never finished, by whomever, oldest first, in pages."""
        start = "0-0"
        while True:
            try:
                start, found, *_ = self._client.xautoclaim(self.key(channel), GROUP, CONSUMER, 0, start, count=PAGE)
            except UnicodeDecodeError:
                command = ("XAUTOCLAIM", self.key(channel), GROUP, CONSUMER, 0, start, "COUNT", PAGE)
                answer = self._client.execute_command(*command, NEVER_DECODE=True)
                start, found = _text(answer[0]), answer[1]
            # Redis 6.2 names those that are no longer in the stream too, as None.
            yield [_entry(*each) for each in found if each[0] is not None and each[1] is not None]
            if start == "0-0":
                return

    def take(self, channel: str, block_ms: int) -> list[Entry]:
        """The next that nobody has taken yet, oldest first; waits so long for one. Raises redis.ResponseError with
        NOGROUP where Redis came back without its data, and UnicodeDecodeError where somebody else put in what is no
        text: all of these are taken then, and `claim` reads them."""
        answer = self._client.xreadgroup(GROUP, CONSUMER, {self.key(channel): ">"}, count=PAGE, block=block_ms)
        return [_entry(*each) for _, found in answer or [] for each in found]

    def taken(self, channel: str) -> int:
        """How many were taken and are not finished."""
        return int(self._client.xpending(self.key(channel), GROUP)["pending"])

    def read(self, channel: str, entry_id: str) -> Entry | None:
        """One entry; None where it is finished."""
        found = self._range(channel, entry_id, entry_id, 1)
        return found[0] if found else None

    def finish(self, channel: str, entry_id: str) -> None:
        """It has arrived. Doing so again changes nothing."""
        with self._client.pipeline(transaction=True) as transaction:
            transaction.xack(self.key(channel), GROUP, entry_id)
            transaction.xdel(self.key(channel), entry_id)
            transaction.execute()

    def _range(self, channel: str, first: str, last: str, count: int) -> list[Entry]:
        try:
            found = self._client.xrange(self.key(channel), first, last, count=count)
        except UnicodeDecodeError:  # what somebody else put in must not hold up what is ours
            command = ("XRANGE", self.key(channel), first, last, "COUNT", count)
            found = self._client.execute_command(*command, NEVER_DECODE=True)
        return [_entry(*each) for each in found]


def _entry(entry_id: str | bytes, fields: Mapping[Any, Any]) -> Entry:
    return Entry(_text(entry_id), {_text(name): _text(value) for name, value in fields.items()}.get("delivery", ""))


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
