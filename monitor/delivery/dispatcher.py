"""From a channel's queue to the channel: every message at least once, in order, at the channel's own pace."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

import redis
import structlog

from monitor.delivery.channels.channel import Channel
from monitor.delivery.courier import Courier, Told
from monitor.delivery.dead_letters import DeadLetters, letter_of
from monitor.delivery.lanes import Lanes
from monitor.delivery.lease import Lease, unique_owner
from monitor.delivery.pace import Pace
from monitor.delivery.queue import DeliveryQueue, Entry, delivery_of
from streams.backoff import Backoff

__all__ = ["QUEUE_AT_MOST", "Dispatcher", "Told"]

log = structlog.get_logger(__name__)

QUEUE_AT_MOST: Final = 50_000
"""The oldest of a queue that is longer are dead letters, `expired`: what a channel cannot take in must not fill Redis,
where the alerts themselves are kept."""

BLOCK_MS: Final = 500
"""A read waits so long for a message; less than the shortest `redis.timeout_s`."""

LOOK_AFTER_S: Final = 10.0
"""So often the queue's length is looked at, and whether there is something that was taken and is not known here."""

MOVED_AT_ONCE: Final = 500
IN_HAND_S: Final = 1.0
"""When the time is over, a try that runs may take so long still: most would be through, and be repeated for nothing."""

AWAY_S: Final = 2.0
"""At the end a Redis that is away is waited for so long; whatever waits is safe there."""

CLOSING_S: Final = 2.0


class Dispatcher:
    """One channel's threads: one reads the queue, `channel.parallel` deliver.

    Any number of them may run for a channel, in any number of processes: the one that has the lease works, the others
    stand by. The one that gets the lease begins with all that was taken and not finished, oldest first. SIGKILL at any
    moment, or Redis away: the message comes again, with the same `delivery_id`, and ahead of what is behind it in its
    lane. A lane that fails waits by back-off and holds up no other.

    told: called for every try, from several threads.
    owner: for people that look into Redis; made unique here.
    give_up_after_s: what fails and has waited for so long in the queue is a dead letter; each is tried once at least.
    max_wait_s: the longest back-off. What the other side asks for by Retry-After is waited for even where it is longer,
    up to `give_up_after_s`.
    max_tries_per_s: no more than that over all lanes, but for short bursts and while it is being stopped.
    lease_ms: so long after a SIGKILL another one takes over, at the latest.
    """

    def __init__(
        self,
        client: redis.Redis,
        prefix: str,
        channel: Channel,
        *,
        told: Callable[[Told], None],
        owner: str,
        give_up_after_s: float,
        max_wait_s: float,
        max_tries_per_s: float = math.inf,
        lease_ms: int = 5000,
        queue_at_most: int = QUEUE_AT_MOST,
    ) -> None:
        self._channel = channel
        self._name = channel.name
        self._queue = DeliveryQueue(client, prefix)
        self._dead_letters = DeadLetters(client, prefix)
        self._lease = Lease(client, f"{prefix}:lease:dispatch:{channel.name}", unique_owner(owner), lease_ms)
        self._lanes = Lanes(max_wait_s)
        self._pace = Pace(max_tries_per_s)
        self._courier = Courier(
            channel, self._queue, self._dead_letters, self._lanes, self._lease, told, give_up_after_s, self._pace
        )
        self._told = told
        self._queue_at_most = queue_at_most
        self._block_ms = max(1, min(BLOCK_MS, lease_ms // 5))
        self._renew_s = self._look_after_s = 0.0
        self._in_step = False
        self._stop = threading.Event()
        self._patience_s = self._flush_until_s = math.inf
        self._in_hand_s = IN_HAND_S
        self._finished = False
        self._beginning = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"dispatch-{self._name}", daemon=True)
        self._hands = [
            threading.Thread(target=self._courier.work, name=f"deliver-{self._name}-{number}", daemon=True)
            for number in range(max(1, channel.parallel))
        ]

    @property
    def works(self) -> bool:
        """Whether it is the one that delivers; else it stands by."""
        return self._lease.ours

    def start(self) -> None:
        """Begin, or stand by; not at all where it was stopped before."""
        with self._beginning:
            if self._stop.is_set():
                return
            for thread in (self._thread, *self._hands):
                thread.start()

    def stop(self, flush_s: float, in_hand_s: float = IN_HAND_S) -> None:
        """Deliver until the queue is empty, for `flush_s` at most, and end; earlier where all that is left waits by
        back-off for longer. A try that runs is given `in_hand_s` then; after it the channel is left behind, and the
        lease is free."""
        with self._beginning:
            begun = self._thread.is_alive()
            if not begun and not self._stop.is_set():  # it never began, and will not
                self._stop.set()
                self._close()
        if not begun:
            return
        now_s = time.monotonic()
        self._in_hand_s = in_hand_s
        self._flush_until_s = now_s + flush_s
        self._pace.lift()
        # Who had the lease may be dead; who is alive renews it.
        self._patience_s = min(self._flush_until_s, now_s + self._lease.ttl_s)
        self._stop.set()
        self._thread.join(flush_s + in_hand_s + CLOSING_S + 1)

    def retire(self, in_hand_s: float) -> None:
        """Begin no other try and end: another dispatcher goes on with a channel that was made anew, of which the
        address or the secret may have been wrong. What is on its way has `in_hand_s`; where that fails, it is not
        written down, and the other one tries."""
        self._courier.end()
        self.stop(0.0, in_hand_s)

    def depth(self) -> int:
        """How many are not delivered yet. Raises redis.RedisError."""
        return self._queue.depth(self._name)

    def _run(self) -> None:
        backoff, away = Backoff(0.2, 2.0), False
        while not self._finished and time.monotonic() < self._flush_until_s:
            try:
                self._step()
            except Exception as error:
                self._in_step = False
                if not away:
                    write = log.warning if isinstance(error, redis.RedisError) else log.error
                    write("dispatcher_waits", channel=self._name, error=f"{type(error).__name__}: {error}"[:300])
                away = True
                if self._stop.is_set():
                    self._flush_until_s = min(self._flush_until_s, time.monotonic() + AWAY_S)
                self._pause(backoff.next_s())
            else:
                if away:
                    log.info("dispatcher_goes_on", channel=self._name)
                    backoff.reset()
                away = False
        self._end()

    def _step(self) -> None:
        if not self._hold():
            late = time.monotonic() >= self._patience_s
            self._finished = self._stop.is_set() and (late or self._queue.depth(self._name) == 0)
            self._pause(self._lease.ttl_s / 5)
            return
        if not self._in_step and not self._catch_up():
            return
        entries = self._queue.take(self._name, 1 if self._stop.is_set() else self._block_ms)
        self._line_up(entries)
        if time.monotonic() >= self._look_after_s:
            self._look_after()
        if self._stop.is_set() and not entries:
            self._finished = self._nothing_left()
            self._pause(0.02)

    def _hold(self) -> bool:
        """Renew the lease, or try to get it, each fifth of its time; whether it is ours."""
        ours = self._lease.ours
        if ours and time.monotonic() < self._renew_s:
            return True
        held = self._lease.hold()
        self._renew_s = time.monotonic() + self._lease.ttl_s / 5
        if held and not ours:  # somebody else may have had it meanwhile
            self._in_step = False
            log.info("dispatcher_works", channel=self._name, owner=self._lease.owner)
        if not held:
            if self._in_step or len(self._lanes):
                log.warning(
                    "dispatcher_ousted", channel=self._name, reason="its lease ran out and somebody else has it"
                )
            self._in_step = False
            self._lanes.clear()
        return held

    def _catch_up(self) -> bool:
        """Line up all that was taken and not finished, before anything new; False where the lease went meanwhile."""
        self._lanes.clear()
        self._queue.ready(self._name)
        for page in self._queue.claim(self._name):
            if not self._hold():
                return False
            self._line_up(page)
        self._in_step = True
        return True

    def _line_up(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            try:
                lane = delivery_of(entry.text).lane
            except ValueError:
                lane = "unreadable"
            self._lanes.add(lane, entry.id)

    def _look_after(self) -> None:
        self._look_after_s = time.monotonic() + LOOK_AFTER_S
        known = len(self._lanes)
        if self._queue.taken(self._name) > known:  # an answer that got lost, or one that was given to a frozen process
            self._in_step = False
        elif (too_many := self._queue.depth(self._name) - self._queue_at_most) > 0:
            self._give_up_oldest(too_many)

    def _give_up_oldest(self, too_many: int) -> None:
        why = f"more than {self._queue_at_most} messages waited for this channel"
        moved = 0
        for entry in self._queue.oldest(self._name, min(too_many, MOVED_AT_ONCE)):
            letter = letter_of(entry, self._name, "expired", why, tries=0)
            if self._dead_letters.bury(entry, letter, self._lease):
                moved += 1
                self._told(Told(self._name, "expired", letter.delivery, 0.0, why))
        log.error("queue_too_long", channel=self._name, moved_to_dead_letters=moved, more=too_many - moved)
        if too_many > MOVED_AT_ONCE:
            self._look_after_s = 0.0

    def _nothing_left(self) -> bool:
        """Or nothing that would be tried before the time is over."""
        if not len(self._lanes):
            return True
        soonest_s = self._lanes.soonest_s()
        return not self._lanes.busy and soonest_s is not None and soonest_s > self._flush_until_s

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            time.sleep(min(seconds, 0.1))

    def _end(self) -> None:
        self._lanes.close()
        flush_until_s = self._flush_until_s if self._flush_until_s < math.inf else 0.0
        self._wait_for_hands(max(flush_until_s, time.monotonic() + self._in_hand_s))
        self._courier.end()
        with contextlib.suppress(redis.RedisError):
            ours = self._lease.ours
            self._lease.release()
            if ours and (left := self._queue.depth(self._name)):
                log.warning(
                    "messages_wait", channel=self._name, messages=left, remedy="they are delivered at the next start"
                )
        closing = threading.Thread(target=self._close, name=f"close-{self._name}", daemon=True)
        closing.start()
        closing.join(CLOSING_S)

    def _wait_for_hands(self, until_s: float) -> None:
        """With the lease kept, or another one would send again what is on its way."""
        for hand in self._hands:
            while hand.is_alive() and (left_s := until_s - time.monotonic()) > 0:
                hand.join(min(left_s, self._lease.ttl_s / 5))
                with contextlib.suppress(redis.RedisError):
                    if self._lease.ours:
                        self._lease.hold()

    def _close(self) -> None:
        try:
            self._channel.close()
        except Exception as error:
            log.warning("channel_not_closed", channel=self._name, error=type(error).__name__)
