"""From the outbox to the channels: every event at least once, in order, each channel at its own pace."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import redis
import structlog

from monitor.alerting.channels.channel import Channel, DeliveryFailed, DeliveryRefused
from streams.backoff import Backoff

log = structlog.get_logger(__name__)

RECLAIM_AFTER_MS = 60_000
"""What another dispatcher took and has not finished for so long is taken over."""


NEW_CHANNEL_READS_BACK_MS = 3_600_000


class Dispatcher:
    """One channel's thread. It reads the outbox with the channel's consumer group and acknowledges what arrived.

    What cannot be delivered now is tried again with back-off, the later events waiting behind it; what is refused
    for good goes to the dead-letter stream. `counted(channel, outcome)` is told of every delivery: `delivered`,
    `failed` (will be tried again), `refused`.
    """

    def __init__(
        self,
        client: redis.Redis,
        stream: str,
        channel: Channel,
        counted: Callable[[str, str], None],
    ) -> None:
        self._client: Any = client
        self._stream = stream
        self._group = f"channel-{channel.name}"
        # The same after a restart: what this machine took and did not finish comes first, so that order is kept.
        self._consumer = socket.gethostname()
        self._channel = channel
        self._counted = counted
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"dispatch-{channel.name}", daemon=True)
        self._flush_until_s: float | None = None

    def start(self) -> None:
        """Begin, from the first event that this channel has not had."""
        self._thread.start()

    def stop(self, flush_s: float) -> None:
        """Deliver what is in the outbox, for `flush_s` at most, and end. What is left stays for the next start."""
        self._flush_until_s = time.monotonic() + flush_s
        self._stop.set()
        self._thread.join(flush_s + 15)
        self._channel.close()

    def tell_what_is_left(self) -> None:
        """Log how many events wait for the next start, if any do."""
        with contextlib.suppress(redis.RedisError):
            if left := self.depth():
                log.warning(
                    "events_wait_in_outbox",
                    channel=self._channel.name,
                    events=left,
                    remedy="they are delivered at the next start",
                )

    def depth(self) -> int:
        """How many events this channel has yet to deliver. Raises redis.RedisError."""
        for group in self._client.xinfo_groups(self._stream):
            if group["name"] == self._group:
                return int(group["pending"]) + int(group["lag"] or 0)
        return 0

    def _run(self) -> None:
        backoff = Backoff()
        while True:
            try:
                self._join_group()
                self._work()
                return
            except redis.RedisError as error:
                log.warning("redis_unreachable", channel=self._channel.name, error=type(error).__name__)
                if self._stop.wait(backoff.next_s()):
                    return

    def _join_group(self) -> None:
        try:
            # A channel that is new gets the last hour, not a plant's whole history.
            since_ms = round(time.time() * 1000) - NEW_CHANNEL_READS_BACK_MS
            self._client.xgroup_create(self._stream, self._group, id=f"{since_ms}-0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def _work(self) -> None:
        mine = "0"  # first what this consumer took before and never finished
        next_reclaim_s = 0.0
        while True:
            if time.monotonic() >= next_reclaim_s:
                self._client.xautoclaim(self._stream, self._group, self._consumer, RECLAIM_AFTER_MS, "0-0", count=100)
                mine, next_reclaim_s = "0", time.monotonic() + RECLAIM_AFTER_MS / 1000
            block_ms = None if self._stop.is_set() or mine == "0" else 500
            answer = self._client.xreadgroup(
                self._group, self._consumer, {self._stream: mine}, count=16, block=block_ms
            )
            entries = [entry for _, found in answer or [] for entry in found]
            if not entries:
                if mine == ">" and self._stop.is_set():
                    return
                mine = ">"
                continue
            for entry_id, fields in entries:
                if not self._deliver(entry_id, fields):
                    return

    def _deliver(self, entry_id: str, fields: dict[str, str]) -> bool:
        """Until it is delivered or refused; False where the time to stop came first."""
        backoff = Backoff()
        while True:
            try:
                if fields:  # an entry that was trimmed meanwhile comes without its fields
                    self._channel.deliver(json.loads(fields["event"]))
                    self._counted(self._channel.name, "delivered")
                break
            except DeliveryFailed as error:
                self._counted(self._channel.name, "failed")
                wait_s = backoff.next_s()
                log.warning(
                    "delivery_failed", channel=self._channel.name, error=str(error), retry_in_s=round(wait_s, 1)
                )
                if self._stop.wait(wait_s) and time.monotonic() >= (self._flush_until_s or 0):
                    return False
                if self._stop.is_set():
                    time.sleep(min(wait_s, 1.0))
            except Exception as error:
                final = isinstance(error, DeliveryRefused)
                log.error(
                    "delivery_refused",
                    channel=self._channel.name,
                    expected=final,
                    error=str(error) if final else f"{type(error).__name__}: {error}",
                )
                self._counted(self._channel.name, "refused")
                self._client.xadd(
                    f"{self._stream}:dead:{self._channel.name}",
                    {**fields, "error": str(error)},
                    maxlen=10_000,
                    approximate=True,
                )
                break
        self._client.xack(self._stream, self._group, entry_id)
        return True
