"""Delivery, wired: the router and a dispatcher for each channel, for a worker and for `linewatch dispatch` alike."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
import structlog

from monitor.alerting.outbox import Outbox
from monitor.channel_settings import BUILT_IN, ChannelSettings
from monitor.delivery.book import SubscriptionBook
from monitor.delivery.channels.channel import Channel
from monitor.delivery.channels.kafka_topic import KafkaTopicChannel
from monitor.delivery.channels.make import grafana_channel, make_channel
from monitor.delivery.delivery import Kind
from monitor.delivery.dispatcher import Dispatcher
from monitor.delivery.dispatcher import Told as Try
from monitor.delivery.lease import unique_owner
from monitor.delivery.materials import Materials
from monitor.delivery.router import Router
from monitor.delivery_process import Told
from monitor.kafka_security import security_of
from monitor.settings import Settings

log = structlog.get_logger(__name__)

FINISH_S = 10.0
"""So long a channel that is taken out or changed has for what it is delivering."""

Files = tuple[tuple[int, int] | None, ...]
"""What tells that the files which a channel names were written anew."""


class ChannelError(ValueError):
    """A channel that cannot be made. key: where it stands in the configuration."""

    def __init__(self, message: str, *key: str | int) -> None:
        super().__init__(message)
        self.key = key


@dataclass(frozen=True, slots=True)
class DeliveryParts:
    """What delivery stands on. trial: what messages are made of with which somebody tries a channel. told: of every
    try."""

    client: redis.Redis
    prefix: str
    outbox: Outbox
    book: SubscriptionBook
    materials: Materials
    trial: Materials
    told: Told


class Delivering:
    """Begins and ends delivery, and takes changed channels over. Where others deliver (`here` is False) it only knows
    what there is."""

    def __init__(self, parts: DeliveryParts, settings: Settings, here: bool) -> None:
        """Nothing is started, and no server asked. Raises ChannelError for a channel that cannot be made: a template
        that is wrong, an address that Apprise does not know."""
        self._p = parts
        self._here = here
        self._owner = unique_owner()
        self._delivery = settings.delivery
        self._built_in = built_in(settings, parts.materials)
        self._entries: dict[str, ChannelSettings] = {}
        self._files: dict[str, Files] = {}
        self._dispatchers: dict[str, Dispatcher] = {}
        self._changing = threading.Lock()
        self._exchanging = threading.Lock()
        self._running = False
        self.router = Router(
            parts.client,
            parts.prefix,
            parts.outbox,
            parts.book,
            place=parts.materials.place,
            always=lambda: tuple(self._built_in),
            owner=self._owner,
        )
        for channel in self._built_in.values():
            self._add(channel)
        self.prepare(settings)()

    @property
    def channel_kinds(self) -> Mapping[str, str]:
        """By name, of which kind each channel is."""
        kinds = {name: kind_of(entry) for name, entry in list(self._entries.items())}
        return {**{name: name for name in self._built_in}, **kinds}

    def channel(self, name: str) -> Channel:
        """A channel of its own, to try it out; whoever asks closes it. Raises KeyError."""
        return make_channel(self._entries[name], self._p.trial, self._delivery.allow_targets)

    def prepare(self, settings: Settings) -> Callable[[], None]:
        """Make what is new among the channels, or names a file that is; the answer puts it in the place of what it
        replaces. Raises ChannelError."""
        entries = {entry.name: entry for entry in settings.channels}
        files = {name: _files_of(entry) for name, entry in entries.items()}
        made = {
            entry.name: self._make(entry, number)
            for number, entry in enumerate(settings.channels)
            if self._entries.get(entry.name) != entry or self._files[entry.name] != files[entry.name]
        }

        def apply() -> None:
            with self._changing:
                left = [name for name in self._entries if name not in entries or name in made]
                old = [self._dispatchers.pop(name) for name in left]
                self._entries, self._files = entries, files
                new = [self._add(channel) for channel in made.values()]
                running = self._running
            if running and self._here and (old or new):
                threading.Thread(target=self._exchange, args=(old, new), name="channels-change", daemon=True).start()

        return apply

    def start(self) -> None:
        with self._changing:
            self._running = True
            dispatchers = list(self._dispatchers.values())
        if self._here:
            for dispatcher in dispatchers:
                dispatcher.start()
            self.router.start()

    def stop(self, flush_s: float) -> None:
        """Route and deliver what is there, for `flush_s` at most. What is left stays in Redis for the next start."""
        with self._changing:
            self._running = False
            dispatchers = list(self._dispatchers.values())
        if not self._here:
            return
        end_s = time.monotonic() + flush_s
        self.router.stop(flush_s / 2)
        threads = [
            threading.Thread(target=one.stop, args=(max(0.0, end_s - time.monotonic()),), daemon=True)
            for one in dispatchers
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._exchanging.acquire(timeout=max(0.0, end_s - time.monotonic())):  # old ones have something in hand
            self._exchanging.release()

    def _exchange(self, old: list[Dispatcher], new: list[Dispatcher]) -> None:
        """What the old ones have in hand is finished before the new ones begin; what waits is for the new ones, which
        may have the right address or secret. A new one that was stopped meanwhile does not begin."""
        with self._exchanging:
            for dispatcher in old:
                dispatcher.retire(FINISH_S)
            for dispatcher in new:
                dispatcher.start()

    def _make(self, entry: ChannelSettings, number: int) -> Channel:
        try:
            return make_channel(entry, self._p.materials, self._delivery.allow_targets)
        except ValueError as error:
            raise ChannelError(str(error), "channels", number) from None

    def _add(self, channel: Channel) -> Dispatcher:
        dispatcher = Dispatcher(
            self._p.client,
            self._p.prefix,
            channel,
            told=self._tried,
            owner=self._owner,
            give_up_after_s=self._delivery.give_up_after_s,
            max_wait_s=self._delivery.max_wait_s,
            max_tries_per_s=self._delivery.max_tries_per_s,
        )
        self._dispatchers[channel.name] = dispatcher
        return dispatcher

    def _tried(self, told: Try) -> None:
        late_s = None
        if told.outcome == "delivered" and told.delivery is not None and told.delivery.kind is Kind.EVENT:
            captured_at = captured_of(told.delivery.events[0])
            late_s = None if captured_at is None else max(0.0, time.time() - captured_at / 1e9)
        self._p.told(told.channel, told.outcome, late_s)


def captured_of(event: Mapping[str, Any]) -> int | None:
    """When the frame was captured that an event tells of, ns since the epoch; None where it tells of a later one."""
    alert = event["data"]
    begins = alert.get("ended_at") is None and event["type"].endswith((".firing", ".offline", ".degraded"))
    frame = alert.get("frame")
    return frame["captured_at"] if begins and frame is not None else None


def built_in(settings: Settings, materials: Materials) -> dict[str, Channel]:
    """The channels of the sections `publish` and `grafana`, which get every event. Raises ChannelError."""
    found: dict[str, Channel] = {}
    if settings.publish is not None:
        publish = settings.publish
        try:
            security = security_of(publish.security)
        except ValueError as error:
            raise ChannelError(str(error), "publish", "security") from None
        found["kafka"] = KafkaTopicChannel("kafka", publish.bootstrap_servers, publish.alerts_topic, security=security)
    if settings.grafana is not None:
        try:
            found["grafana"] = grafana_channel("grafana", settings.grafana, materials)
        except ValueError as error:
            raise ChannelError(str(error), "grafana") from None
    assert found.keys() <= BUILT_IN
    return found


def kind_of(entry: ChannelSettings) -> str:
    """Of which kind an entry of `channels` is."""
    return next(kind for kind in ("webhook", "mqtt", "kafka", "grafana", "apprise") if getattr(entry, kind) is not None)


def _files_of(entry: ChannelSettings) -> Files:
    """Of the files that are read when the channel is made."""
    named = [getattr(kind, key, None) for kind in (entry.webhook, entry.mqtt) for key in ("template", "ca_file")]
    return tuple(_stamp(path) for path in named)


def _stamp(path: Path | None) -> tuple[int, int] | None:
    try:
        found = None if path is None else path.stat()
    except OSError:  # told when the channel is made
        return None
    return None if found is None else (found.st_mtime_ns, found.st_size)
