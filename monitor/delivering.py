"""Delivery, wired: the router and a dispatcher for each channel, for a worker and for `linewatch dispatch` alike."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
        """Nothing is started, and no server asked. Raises ValueError for a channel that cannot be made: a template
        that is wrong, an address that Apprise does not know."""
        self._p = parts
        self._here = here
        self._owner = unique_owner()
        self._delivery = settings.delivery
        self._built_in = built_in(settings, parts.materials)
        self._entries: dict[str, ChannelSettings] = {}
        self._dispatchers: dict[str, Dispatcher] = {}
        self._changing = threading.Lock()
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
        """Make what is new among the channels; the answer puts it in the place of what it replaces. Raises
        ValueError as the constructor does."""
        entries = {entry.name: entry for entry in settings.channels}
        made = {
            name: make_channel(entry, self._p.materials, self._delivery.allow_targets)
            for name, entry in entries.items()
            if self._entries.get(name) != entry
        }

        def apply() -> None:
            with self._changing:
                left = [name for name in self._entries if name not in entries or name in made]
                old = [self._dispatchers.pop(name) for name in left]
                self._entries = entries
                new = [self._add(channel) for channel in made.values()]
                running = self._running
            if running and self._here:
                threading.Thread(target=_exchange, args=(old, new), name="channels-change", daemon=True).start()

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
        self.router.stop()
        threads = [
            threading.Thread(target=one.stop, args=(max(0.0, end_s - time.monotonic()),), daemon=True)
            for one in dispatchers
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _add(self, channel: Channel) -> Dispatcher:
        dispatcher = Dispatcher(
            self._p.client,
            self._p.prefix,
            channel,
            told=self._tried,
            owner=self._owner,
            give_up_after_s=self._delivery.give_up_after_s,
            max_wait_s=self._delivery.max_wait_s,
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
    """The channels of the sections `publish` and `grafana`, which get every event."""
    found: dict[str, Channel] = {}
    if settings.publish is not None:
        publish = settings.publish
        found["kafka"] = KafkaTopicChannel(
            "kafka", publish.bootstrap_servers, publish.alerts_topic, security=security_of(publish.security)
        )
    if settings.grafana is not None:
        found["grafana"] = grafana_channel("grafana", settings.grafana, materials)
    assert found.keys() <= BUILT_IN
    return found


def kind_of(entry: ChannelSettings) -> str:
    """Of which kind an entry of `channels` is."""
    return next(kind for kind in ("webhook", "mqtt", "kafka", "grafana", "apprise") if getattr(entry, kind) is not None)


def _exchange(old: list[Dispatcher], new: list[Dispatcher]) -> None:
    """What the old ones have in hand is finished before the new ones begin."""
    for dispatcher in old:
        dispatcher.stop(FINISH_S)
    for dispatcher in new:
        dispatcher.start()
