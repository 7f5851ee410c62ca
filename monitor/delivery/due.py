"""What was put off until a time: gathered messages, and alerts that nobody has acknowledged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast, get_args

import redis
import structlog

from monitor.alerting.outbox import Outbox
from monitor.delivery.book import SubscriptionBook
from monitor.delivery.escalation import escalate_due
from monitor.delivery.fence import Fence, NotOurs
from monitor.delivery.held import Why, gathered, later_key, messages, stage_told
from monitor.delivery.hours import NeverOpen, allowed, opens_ms
from monitor.delivery.queue import DeliveryQueue
from monitor.subscription_settings import Subscription

log = structlog.get_logger(__name__)

AT_ONCE = 50
AGAIN_MS = 60_000
"""What fails for a reason that nobody thought of is tried again so much later, and holds nothing up."""


class Due:
    """For the router's thread."""

    def __init__(
        self,
        client: redis.Redis,
        prefix: str,
        outbox: Outbox,
        book: SubscriptionBook,
        queue: DeliveryQueue,
        fence: Fence,
        always: Callable[[], tuple[str, ...]],
    ) -> None:
        self._client: Any = client
        self._prefix, self._key = prefix, later_key(prefix)
        self._outbox, self._book, self._queue, self._fence, self._always = outbox, book, queue, fence, always

    def look(self, now_ms: int) -> bool:
        """Settle what is due; whether there may be more. One round trip where nothing is. Raises NotOurs and
        redis.RedisError; what is not settled then is still due."""
        members = self._client.zrange(self._key, "-inf", now_ms, byscore=True, offset=0, num=AT_ONCE)
        if not members:
            return False
        current = {one.name: one for one in self._book.current()}
        for member in members:
            try:
                self._settle(member, current, now_ms)
            except (redis.RedisError, NotOurs):
                raise
            except Exception:
                log.exception("due_failed", member=member, again_in_s=AGAIN_MS // 1000)
                self._client.zadd(self._key, {member: now_ms + AGAIN_MS})
        return len(members) == AT_ONCE

    def _settle(self, member: str, current: Mapping[str, Subscription], now_ms: int) -> None:
        kind, _, rest = member.partition(":")
        first, _, last = rest.rpartition(":")
        if kind == "held" and first and last in get_args(Why):
            self._tell(member, first, cast(Why, last), current.get(first), now_ms)
            return
        if kind == "escalate" and first and last:
            escalate_due(self._outbox, current.values(), first, last)
        else:
            log.error("due_unreadable", member=member, expected="held:<subscription>:<why> or escalate:<alert>:<name>")
        with self._fence.transaction() as (transaction, _):
            transaction.multi()
            transaction.zrem(self._key, member)
            transaction.execute()

    def _tell(self, member: str, name: str, why: Why, one: Subscription | None, now_ms: int) -> None:
        """What was gathered goes into the queues, is put off where it would come in closed hours, and is dropped where
        nobody wants it any more."""
        with self._fence.transaction() as (transaction, _):
            found = gathered(transaction, self._prefix, name, why)
            wanted = one if found.events else None
            closed_until_ms = None
            if wanted is not None and not (wanted.when.critical_passes and found.urgent):
                try:
                    closed_until_ms = None if allowed(wanted.when, now_ms) else opens_ms(wanted.when, now_ms)
                except NeverOpen:
                    wanted = None
            transaction.multi()
            if closed_until_ms is not None:
                transaction.zadd(self._key, {member: closed_until_ms})
            else:
                stage_told(transaction, self._prefix, name, why)
            if wanted is not None and closed_until_ms is None:
                for delivery in messages(wanted, why, found, self._always(), now_ms):
                    self._queue.stage(transaction, delivery)
            transaction.execute()
        if wanted is None and found.events:
            reason = "this subscription is off or gone, or its hours leave no time"
            log.warning("held_dropped", subscription=name, events=len(found.events) + found.omitted, why=reason)
