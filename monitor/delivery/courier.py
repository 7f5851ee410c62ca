"""One message's try: read it, hand it to the channel, and write down what became of it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePath
from traceback import extract_tb
from typing import Final, Literal

import redis
import structlog

from monitor.delivery.channels.channel import Channel, DeliveryFailed, DeliveryRefused
from monitor.delivery.dead_letters import DeadLetters, DeadOutcome, letter_of
from monitor.delivery.delivery import Delivery
from monitor.delivery.lanes import Lanes, Turn
from monitor.delivery.lease import Lease
from monitor.delivery.pace import Pace
from monitor.delivery.queue import DeliveryQueue, Entry, delivery_of
from streams.backoff import Backoff

log = structlog.get_logger(__name__)

Outcome = Literal["delivered", "failed", "refused", "expired", "unreadable"]

FALTERED_S: Final = 10.0
REDIS_AGAIN_S: Final = 0.5
"""A try that cannot begin, since Redis is away or the lease is, is put off for so long."""


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one try.

    outcome: failed will be tried again; refused, expired and unreadable are dead letters now.
    delivery: None where it cannot be read.
    took_s: in the channel.
    error: why, for people; None where it was delivered. Holds no secrets.
    """

    channel: str
    outcome: Outcome
    delivery: Delivery | None
    took_s: float
    error: str | None


class Courier:
    """Takes turn after turn (`work`, in as many threads as the channel likes) until the lanes are closed.

    A try begins only while the lease is ours. What has arrived is written down whoever has the lease; what is given up
    only by its holder, since somebody else may be delivering it by now.
    """

    def __init__(
        self,
        channel: Channel,
        queue: DeliveryQueue,
        dead_letters: DeadLetters,
        lanes: Lanes,
        lease: Lease,
        told: Callable[[Told], None],
        give_up_after_s: float,
        pace: Pace | None = None,
    ) -> None:
        self._channel = channel
        self._name = channel.name
        self._queue = queue
        self._dead_letters = dead_letters
        self._lanes = lanes
        self._lease = lease
        self._told = told
        self._give_up_after_s = give_up_after_s
        self._pace = pace or Pace(math.inf)
        self._over = threading.Event()

    def work(self) -> None:
        """Until the lanes are closed."""
        while (turn := self._lanes.take()) is not None:
            try:
                self._pace.wait()
                self._try(turn)
            except Exception:  # a fault of ours must not end this thread: the channel would fall silent
                log.exception("delivery_faltered", channel=self._name, lane=turn.lane, entry=turn.entry_id)
                with suppress(KeyError):
                    self._lanes.untried(turn, FALTERED_S)

    def end(self) -> None:
        """Time is over. A try that still runs may yet arrive and be written down as such; that it failed is not, since
        the channel is being closed under it."""
        self._over.set()

    def _try(self, turn: Turn) -> None:
        try:
            entry = self._queue.read(self._name, turn.entry_id)
        except redis.RedisError:  # told by the dispatcher, once and not by each lane
            self._lanes.untried(turn, REDIS_AGAIN_S)
            return
        if entry is None:  # finished by somebody who had the lease before, or moved to the dead letters
            self._lanes.done(turn)
            return
        if not self._lease.ours or self._over.is_set():
            self._lanes.untried(turn, REDIS_AGAIN_S)
            return
        try:
            delivery = delivery_of(entry.text)
        except ValueError as error:
            self._tell("unreadable", None, 0.0, str(error), entry.id)
            self._give_up(turn, entry, "unreadable", str(error))
            return
        self._deliver(turn, entry, delivery)

    def _deliver(self, turn: Turn, entry: Entry, delivery: Delivery) -> None:
        began_s = time.monotonic()
        try:
            self._channel.deliver(delivery)
        except DeliveryFailed as error:
            self._failed(turn, entry, delivery, error, time.monotonic() - began_s)
        except Exception as error:
            if self._over.is_set():
                self._lanes.untried(turn, REDIS_AGAIN_S)
                return
            why = str(error) if isinstance(error, DeliveryRefused) else _unexpected(error)
            self._tell("refused", delivery, time.monotonic() - began_s, why, entry.id)
            self._give_up(turn, entry, "refused", why)
        else:
            self._tell("delivered", delivery, time.monotonic() - began_s, None, entry.id)
            self._insist(lambda: self._queue.finish(self._name, entry.id))
            self._lanes.done(turn)

    def _failed(self, turn: Turn, entry: Entry, delivery: Delivery, error: DeliveryFailed, took_s: float) -> None:
        if self._over.is_set():
            self._lanes.untried(turn, REDIS_AGAIN_S)
            return
        at_least_s = self._asked_s(error.retry_after_s)
        if time.time() - delivery.queued_ms / 1000 < self._give_up_after_s:
            wait_s = self._lanes.failed(turn, at_least_s)
            self._tell("failed", delivery, took_s, str(error), entry.id, retry_in_s=round(wait_s, 1))
            return
        self._tell("expired", delivery, took_s, str(error), entry.id)
        self._give_up(turn, entry, "expired", str(error), at_least_s)

    def _give_up(self, turn: Turn, entry: Entry, outcome: DeadOutcome, error: str, at_least_s: float = 0.0) -> None:
        letter = letter_of(entry, self._name, outcome, error, tries=turn.tries + (outcome != "unreadable"))
        self._insist(lambda: self._dead_letters.bury(entry, letter, self._lease))
        if outcome == "expired":
            self._lanes.failed(turn, at_least_s, last=True)
        else:
            self._lanes.done(turn)

    def _insist(self, write: Callable[[], object]) -> None:
        """Until Redis has it: the lane's next must not overtake, and what has arrived must not be sent again."""
        backoff, told = Backoff(0.2, 2.0), False
        while True:
            try:
                write()
                return
            except redis.RedisError as error:
                if not told:
                    log.warning("delivery_not_noted_yet", channel=self._name, error=f"{type(error).__name__}: {error}")
                told = True
                if self._over.wait(backoff.next_s()):
                    return

    def _asked_s(self, retry_after_s: float | None) -> float:
        """Nobody is left alone for longer than a message lives: the lane would never move again."""
        asked_s = retry_after_s or 0.0
        return min(max(0.0, asked_s), self._give_up_after_s) if math.isfinite(asked_s) else 0.0

    def _tell(
        self,
        outcome: Outcome,
        delivery: Delivery | None,
        took_s: float,
        error: str | None,
        entry_id: str,
        **more: object,
    ) -> None:
        if outcome != "delivered":
            write = log.warning if outcome == "failed" else log.error
            what = {"delivery_id": delivery.delivery_id, "lane": delivery.lane} if delivery else {"entry": entry_id}
            write(f"delivery_{outcome}", channel=self._name, **what, error=error, **more)
        try:
            self._told(Told(self._name, outcome, delivery, took_s, error))
        except Exception as wrong:  # whoever counts must not keep messages from going out
            log.error("delivery_not_counted", channel=self._name, error=f"{type(wrong).__name__}: {wrong}")


def _unexpected(error: Exception) -> str:
    """Where it happened and what kind it is. Not what it says: libraries put addresses into that, tokens and all."""
    frames = extract_tb(error.__traceback__)
    where = f" in {PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"unexpected {type(error).__name__}{where}"
