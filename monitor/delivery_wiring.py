"""Delivery and what it stands on, wired: for a worker, and for `linewatch dispatch`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import redis

from monitor.alerting.alert import Alert
from monitor.alerting.clips import ClipMaker
from monitor.alerting.evidence import EvidenceStore
from monitor.alerting.outbox import Outbox
from monitor.alerting.strip import caption
from monitor.delivering import Delivered, Delivering, DeliveryParts
from monitor.delivery.at_hand import AtHand
from monitor.delivery.book import SubscriptionBook
from monitor.delivery.dead_letters import DeadLetters
from monitor.delivery.materials import Place
from monitor.delivery.queue import DeliveryQueue
from monitor.delivery.trial_materials import TrialMaterials
from monitor.delivery_figures import DeliveryFigures
from monitor.line_rules import RulesOf
from monitor.links import LinkSigner, signing_key
from monitor.serving.board import Board
from monitor.serving.metrics import Metrics
from monitor.settings import Settings


@dataclass(frozen=True, slots=True)
class Wired:
    """figures: to be called each second."""

    delivering: Delivering
    book: SubscriptionBook
    queue: DeliveryQueue
    dead_letters: DeadLetters
    links: LinkSigner
    place: Callable[[str], Place]
    figures: Callable[[], None]


def wire(
    settings: Settings,
    here: bool,
    now: Callable[[], Settings],
    rules: RulesOf,
    *,
    client: redis.Redis,
    prefix: str,
    outbox: Outbox,
    evidence: EvidenceStore,
    clips: ClipMaker | None,
    metrics: Metrics,
    board: Board,
    base_url: str,
    delivered: Delivered,
) -> Wired:
    """Nothing is started, and no server asked. here: whether to deliver. now: the settings as they are after reloads.
    clips: None where nobody here makes any. Raises ValueError for a channel that cannot be made."""
    http = settings.http
    links = LinkSigner(signing_key(http), base_url, http.link_hours * 3600)
    book = SubscriptionBook(
        client, prefix, lambda: now().subscriptions, lambda: frozenset(one.name for one in now().channels)
    )
    queue, dead_letters = DeliveryQueue(client, prefix), DeadLetters(client, prefix)

    def place(camera: str) -> Place:
        found = rules(camera)
        return Place(found.line, found.tags)

    delivering = Delivering(
        DeliveryParts(
            client=client,
            prefix=prefix,
            outbox=outbox,
            book=book,
            materials=AtHand(
                evidence,
                clips,
                links,
                place,
                page_url=base_url,
                captions=lambda alert_id: _caption(outbox.get(alert_id)),
                after_s=settings.evidence.clip.after_s,
            ),
            trial=TrialMaterials(base_url, place),
            metrics=metrics,
            delivered=delivered,
        ),
        settings,
        here,
    )
    figures = DeliveryFigures(delivering.router, queue, dead_letters, lambda: delivering.channel_kinds, metrics, board)
    return Wired(delivering, book, queue, dead_letters, links, place, figures)


def _caption(alert: Alert) -> str:
    return caption(alert.camera, alert.started_at)
