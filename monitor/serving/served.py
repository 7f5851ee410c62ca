"""What the HTTP surface is made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import redis.asyncio

from monitor.alerting.alert import Alert
from monitor.alerting.evidence import EvidenceStore
from monitor.alerting.outbox import Outbox
from monitor.delivery.book import SubscriptionBook
from monitor.delivery.dead_letters import DeadLetters
from monitor.delivery.queue import DeliveryQueue
from monitor.delivery.trial import Tried
from monitor.http_settings import Http
from monitor.judging.baseline.port import BaselineKey, WindowRules
from monitor.judging.baseline.store import BaselineStore
from monitor.links import LinkSigner
from monitor.orders.marks import Marks
from monitor.orders.orders import Orders
from monitor.serving.board import Board
from monitor.serving.ledger import Ledger
from monitor.serving.metrics import Metrics
from monitor.serving.seen import Seen
from monitor.serving.views import RegionView, ThresholdFrom
from monitor.subscription_settings import Subscription


@dataclass(frozen=True, slots=True)
class Served:
    """What the HTTP surface shows, and what it hands orders to. All callables are quick and ask no server, but
    `reload`.

    events: opens a connection of its own for each listener. held_back: how many alerts of a camera were held back, by
    reason. accept_view: takes what a camera shows now for how it shall be; False where no view is learnt. rules: the
    window's, as they stand. current: the baseline that a camera is judged by. threshold_from: where its automatic
    threshold comes from. episode_state: quiet, pending, firing or recovering. region: of a camera, None where the
    whole picture counts. reload: takes the changed configuration over and names the keys; raises ConfigError. notes:
    what /readyz tells besides troubles, by part. channel_kinds: of each channel, by name. try_out: sends a test by a
    subscription's channels, in somebody's name, and waits for what comes of it. escalate: an alert, in somebody's name,
    to a subscription; None for those that are meant for it.
    """

    version: str
    board: Board
    ledger: Ledger
    metrics: Metrics
    outbox: Outbox
    evidence: EvidenceStore
    events: Callable[[], redis.asyncio.Redis]
    http: Http
    held_back: Callable[[str], Mapping[str, int]]
    accept_view: Callable[[str], bool]
    rules: Callable[[], WindowRules]
    store: BaselineStore
    orders: Orders
    marks: Marks
    current: Callable[[str], BaselineKey | None]
    threshold_from: Callable[[str], ThresholdFrom | None]
    episode_state: Callable[[str], str]
    region: Callable[[str], RegionView | None]
    reload: Callable[[], list[str]]
    notes: Callable[[], Mapping[str, str]]
    subscriptions: SubscriptionBook
    dead_letters: DeadLetters
    queue: DeliveryQueue
    channel_kinds: Callable[[], Mapping[str, str]]
    try_out: Callable[[Subscription, str], list[Tried]]
    escalate: Callable[[str, str, str | None], Alert]
    links: LinkSigner
    seen: Seen = field(default_factory=Seen)
