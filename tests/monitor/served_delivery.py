"""What the HTTP surface asks of delivery, on a real Valkey, for tests that are about something else."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import redis

from monitor.alerting.outbox import Outbox
from monitor.delivery.book import SubscriptionBook
from monitor.delivery.dead_letters import DeadLetters
from monitor.delivery.escalating import escalate
from monitor.delivery.materials import Place
from monitor.delivery.queue import DeliveryQueue
from monitor.delivery.trial import Tried
from monitor.http_settings import Http
from monitor.links import LinkSigner, signing_key
from monitor.subscription_settings import Subscription


def served_delivery(
    client: redis.Redis,
    prefix: str,
    base_url: str,
    *,
    configured: tuple[Subscription, ...] = (),
    http: Http | None = None,
    clock: Callable[[], float] | None = None,
) -> dict[str, Any]:
    """The fields of Served. There is one channel, `hook`, and every trial of it arrives."""
    http = http or Http()
    book = SubscriptionBook(client, prefix, lambda: configured, lambda: frozenset({"hook"}))
    timed = {} if clock is None else {"clock": clock}
    return {
        "http": http,
        "subscriptions": book,
        "dead_letters": DeadLetters(client, prefix),
        "queue": DeliveryQueue(client, prefix),
        "channel_kinds": lambda: {"hook": "webhook"},
        "try_out": lambda subscription, by: [Tried(name, "delivered", "", 0.1) for name in subscription.to],
        "escalate": partial(escalate, Outbox(client, prefix), book, lambda camera: Place()),
        "links": LinkSigner(signing_key(http), base_url, http.link_hours * 3600, **timed),
    }
