"""From the outbox to the queues of the channels, by the subscriptions: each event once, in order, by one router."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis
import structlog

from monitor.alerting.outbox import Outbox
from monitor.delivery.book import SubscriptionBook
from monitor.delivery.decisions import Decider, Decision
from monitor.delivery.delivery import Delivery, Kind, id_of
from monitor.delivery.due import Due
from monitor.delivery.escalation import stage_escalation
from monitor.delivery.fence import Fence, NotOurs
from monitor.delivery.held import stage_held
from monitor.delivery.materials import Place
from monitor.delivery.queue import DeliveryQueue
from streams.backoff import Backoff

log = structlog.get_logger(__name__)

READS_BACK_MS = 3_600_000
"""The first router of all tells of the last hour, not of a plant's whole history."""
BATCH = 64
LOOK_S = 0.5
"""So often it is looked what is due, and by one that stands by, whether it may begin."""
AWAY_S = 2.0
"""At the end a Redis that is away is waited for so long."""
BLOCK_MS = round(LOOK_S * 1000)
COUNTED_AT_MOST = 1000
"""Counting is done within Redis, which does nothing else meanwhile: 1.2 ms for so many, 18 ms for ten times that."""
WAITING = """
local found = redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])
return {#found, found[1] and found[1][1] or ''}
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Events that are not routed yet, COUNTED_AT_MOST where there are more. oldest_ms: since the epoch."""

    events: int
    oldest_ms: int | None


class Router:
    """One thread. Of any number of routers one works, by a lease; the others stand by.

    How far it is stands in `<prefix>:routed`, the id of an entry of the stream, and moves in one transaction with the
    deliveries that an event leads to; the transaction goes through only while the lease is ours (`Fence`). So an event
    is neither left out nor routed twice, however a router ends or is held up. A consumer group would hand an entry
    also to a router that has lost its lease without knowing, and what comes after it would overtake it.
    """

    def __init__(
        self,
        client: redis.Redis,
        prefix: str,
        outbox: Outbox,
        book: SubscriptionBook,
        *,
        place: Callable[[str], Place],
        always: Callable[[], tuple[str, ...]],
        owner: str,
        clock: Callable[[], float] = time.time,
        lease_ms: int = 5000,
    ) -> None:
        """place: where a camera stands. always: channels that get every event. owner: of the lease, unique among all
        routers (`unique_owner`). clock: seconds since the epoch. lease_ms: so long after a SIGKILL another one goes
        on."""
        self._client: Any = client
        self._prefix = prefix
        self._stream, self._routed = outbox.stream, f"{prefix}:routed"
        self._book, self._place, self._always, self._clock = book, place, always, clock
        self._queue = DeliveryQueue(client, prefix)
        self._lease_key = f"{prefix}:lease:router"
        self._fence = Fence(client, self._lease_key, owner, lease_ms)
        self._due = Due(client, prefix, outbox, book, self._queue, self._fence, always)
        self._at: str | None = None  # how far it is, as far as we know
        self._look_s = 0.0
        self._drained = False
        self._stopping = threading.Event()
        self._flush_until_s = 0.0
        self._thread = threading.Thread(target=self._run, name="router", daemon=True)

    def start(self) -> None:
        """Begin, or stand by."""
        self._thread.start()

    def stop(self, flush_s: float = 5.0) -> None:
        """Route what is in the outbox, for `flush_s` at most, and let others go on."""
        self._flush_until_s = time.monotonic() + flush_s
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(flush_s + 15)

    def anybody(self) -> bool:
        """Whether any router works, here or elsewhere. Raises redis.RedisError."""
        return bool(self._client.exists(self._lease_key))

    def waiting(self) -> Waiting:
        """What is not routed yet. Raises redis.RedisError."""
        after = f"({self._client.get(self._routed) or self._beginning()}"
        count, oldest = self._client.eval(WAITING, 1, self._stream, after, COUNTED_AT_MOST)
        return Waiting(int(count), int(oldest.split("-")[0]) if count else None)

    def _run(self) -> None:
        backoff = Backoff(limit_s=5.0)
        away = False
        while not self._done():
            try:
                self._round()
                if away:
                    log.info("redis_back", what="router")
                away = False
                backoff.reset()
                continue
            except NotOurs as error:
                log.info("router_stands_back", reason=str(error))
            except redis.RedisError as error:
                if not away:
                    log.warning("redis_unreachable", what="router", error=type(error).__name__, remedy="it tries on")
                away = True
                if self._stopping.is_set():  # events wait in Redis, and whoever waits for us has little patience
                    self._flush_until_s = min(self._flush_until_s, time.monotonic() + AWAY_S)
            except Exception:  # whatever it is, alerts must go on arriving
                log.exception("router_failed", remedy="it tries on")
            self._at = None
            self._pause(backoff.next_s())
        self._fence.release()

    def _done(self) -> bool:
        """Whether to end: all is routed, or the time for that is up."""
        return self._stopping.is_set() and (self._drained or time.monotonic() >= self._flush_until_s)

    def _pause(self, wait_s: float) -> None:
        """Shorter where the end is near, but never none at all."""
        if self._stopping.wait(wait_s):
            time.sleep(0.05)

    def _round(self) -> None:
        """Route what came, waiting for it a little, and settle what is due."""
        stopping = self._stopping.is_set()
        if not self._fence.hold():
            self._at = None
            self._drained = stopping and self.waiting().events == 0
            self._pause(LOOK_S)
            return
        if self._at is None:
            self._client.set(self._routed, self._beginning(), nx=True)
            self._at = self._client.get(self._routed)
        entries = self._read(None if stopping else BLOCK_MS)
        if entries:
            self._route(entries)
        if (now_s := time.monotonic()) >= self._look_s:
            more = self._due.look(self._now_ms())
            self._look_s = now_s if more else now_s + LOOK_S
        self._drained = stopping and not entries

    def _read(self, block_ms: int | None) -> list[tuple[str, dict[str, str]]]:
        """What comes next, waiting so long for it."""
        try:
            answer = self._client.xread({self._stream: self._at}, count=BATCH, block=block_ms)
            return [entry for _, found in answer or [] for entry in found]
        except UnicodeDecodeError:  # somebody else wrote it: what is no text must not hold up what is
            raw = self._client.execute_command(
                "XRANGE", self._stream, f"({self._at}", "+", "COUNT", BATCH, NEVER_DECODE=True
            )
            return [
                (i.decode(), {k.decode(errors="replace"): v.decode(errors="replace") for k, v in f.items()})
                for i, f in raw
            ]

    def _route(self, entries: list[tuple[str, dict[str, str]]]) -> None:
        now_ms = self._now_ms()
        decider = Decider(self._book.current(), self._place, self._always(), now_ms)
        decided = [(event, self._decided(decider, event)) for entry in entries if (event := _event_of(*entry))]
        last = entries[-1][0]
        with self._fence.transaction(self._routed) as (transaction, (at,)):
            if at != self._at:
                raise NotOurs(f"another router has gone on from {self._at} to {at}")
            transaction.multi()
            for event, decision in decided:
                self._stage(transaction, event, decision, now_ms)
            transaction.set(self._routed, last)
            transaction.execute()
        self._at = last

    def _decided(self, decider: Decider, event: dict[str, Any]) -> Decision:
        try:
            return decider.decide(event)
        except Exception:  # what one event holds must not keep the others
            log.exception("event_not_decided", event_id=event["id"], remedy="told to the channels that get everything")
            return Decision(told=dict.fromkeys(self._always(), ()))

    def _stage(self, transaction: Any, event: dict[str, Any], decision: Decision, now_ms: int) -> None:
        for channel, names in decision.told.items():
            self._queue.stage(
                transaction,
                Delivery(
                    delivery_id=id_of(event["id"], channel),
                    channel=channel,
                    kind=Kind.EVENT,
                    events=(event,),
                    subscriptions=names,
                    queued_ms=now_ms,
                ),
            )
        for hold in decision.held:
            stage_held(transaction, self._prefix, hold.name, hold.why, json.dumps(event), hold.due_ms)
        for name, due_ms in decision.escalate:
            stage_escalation(transaction, self._prefix, event["data"]["alert_id"], name, due_ms)

    def _beginning(self) -> str:
        return f"{self._now_ms() - READS_BACK_MS}-0"

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def _event_of(entry_id: str, fields: dict[str, str]) -> dict[str, Any] | None:
    """The event of an entry; what is none is logged and passed over."""
    try:
        event = json.loads(fields["event"])
        texts = (event["id"], event["type"], event["subject"], event["data"]["alert_id"])
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("id, type, subject and data.alert_id must be texts")
        return dict(event)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        log.error("event_unreadable", entry=entry_id, error=f"{type(error).__name__}: {error}", remedy="passed over")
        return None
