"""Delivery and what it stands on, wired: for a worker, for the process beside it, and for `linewatch dispatch`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import redis

from monitor.adapters import key_prefix, redis_client
from monitor.alerting.alert import Alert
from monitor.alerting.evidence import EvidenceStore
from monitor.alerting.outbox import Outbox
from monitor.alerting.strip import caption
from monitor.delivering import Delivering, DeliveryParts
from monitor.delivery.at_hand import AtHand
from monitor.delivery.book import SubscriptionBook
from monitor.delivery.dead_letters import DeadLetters
from monitor.delivery.materials import Place
from monitor.delivery.queue import DeliveryQueue
from monitor.delivery.trial_materials import TrialMaterials
from monitor.delivery_process import Told
from monitor.evidence_wiring import evidence_store
from monitor.line_rules import RulesOf, remembered
from monitor.line_settings import CameraRules
from monitor.links import LinkSigner, signing_key
from monitor.settings import Settings


@dataclass(frozen=True, slots=True)
class Wired:
    """What asks of delivery."""

    delivering: Delivering
    book: SubscriptionBook
    queue: DeliveryQueue
    dead_letters: DeadLetters
    links: LinkSigner
    place: Callable[[str], Place]


def wire(
    now: Callable[[], Settings],
    rules: RulesOf,
    *,
    client: redis.Redis,
    prefix: str,
    outbox: Outbox,
    evidence: EvidenceStore,
    base_url: str,
    told: Told,
    here: bool,
) -> Wired:
    """Nothing is started, and no server asked. now: the settings, also after reloads. rules: of a camera, likewise.
    base_url: how others reach the page. told: of every try. here: whether this process delivers. Raises ValueError for
    a channel that cannot be made."""
    settings = now()
    links = LinkSigner(signing_key(settings.http), base_url, settings.http.link_hours * 3600)
    book = SubscriptionBook(
        client, prefix, lambda: now().subscriptions, lambda: frozenset(one.name for one in now().channels)
    )

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
                None,  # clips are made where frames are judged
                links,
                place,
                page_url=base_url,
                captions=lambda alert_id: _caption(outbox.get(alert_id)),
                after_s=settings.evidence.clip.after_s,
            ),
            trial=TrialMaterials(base_url, place),
            told=told,
        ),
        settings,
        here,
    )
    return Wired(delivering, book, DeliveryQueue(client, prefix), DeadLetters(client, prefix), links, place)


def wired_alone(now: Callable[[], Settings], base_url: str, told: Told) -> Wired:
    """For a process that only delivers. Raises ValueError as `wire` does, BotoMissing where the section `s3` is given
    and boto3 is not installed."""
    settings = now()
    client, prefix = redis_client(settings), key_prefix(settings)
    known = settings.cameras, remembered(settings.cameras)

    def rules(camera: str) -> CameraRules:
        nonlocal known
        if known[0] is not (cameras := now().cameras):
            known = cameras, remembered(cameras)
        return known[1](camera)

    return wire(
        now,
        rules,
        client=client,
        prefix=prefix,
        outbox=Outbox(client, prefix),
        evidence=evidence_store(settings),
        base_url=base_url,
        told=told,
        here=True,
    )


def _caption(alert: Alert) -> str:
    return caption(alert.camera, alert.started_at)
