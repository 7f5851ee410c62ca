"""The experiments in their order, as the tests and the reliability table run them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.camera_faults import dead_at_the_start, hurt_together, peers, resized
from tests.faults.disk_faults import evidence_disk_full
from tests.faults.edge_faults import buffer_disk_full, edge_broker_away
from tests.faults.edge_lab import edge_lab
from tests.faults.lab import accounts, camera_lab, ended, topic_lab
from tests.faults.outcome import Account, Outcome
from tests.faults.pictures import Sights
from tests.faults.server_faults import How, broker_away, redis_away
from tests.faults.worker_faults import worker_killed

DISK_BYTES = 128 << 10


@dataclass
class Findings:
    """What was found; `tell` hears each outcome at once."""

    tell: Callable[[str], None] = print
    outcomes: list[Outcome] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)

    def note(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.tell(outcome.line())


def topic_run(
    folder: Path, sights: Sights, found: Findings, outage_s: float, broker: tuple[How, ...], redis: tuple[How, ...]
) -> None:
    """One service with a topic: Redis, the disk and the broker fail one after the other, then the worker itself."""
    with topic_lab(folder, sights, disk_bytes=DISK_BYTES) as lab:
        for how in redis:
            found.note(redis_away(lab, how, outage_s))
        found.note(evidence_disk_full(lab, 1.0))
        for how in broker:
            found.note(broker_away(lab, how, outage_s))
        sent = dict(lab.feed.confirmed)
        first = lab.accounts("topic")
        found.accounts += first
        assert all(account.captured >= sent[account.camera] for account in first), (sent, first)
        lab.feed.go_on()
        found.note(worker_killed(lab))
        found.accounts += lab.accounts("topic, second worker")
        ended(lab.service)


def camera_run(folder: Path, sights: Sights, found: Findings, outage_s: float) -> None:
    """One service with network cameras: each is hurt in its own way, all at the same time."""
    with camera_lab(folder, sights, peers()) as lab:
        found.note(dead_at_the_start(lab))
        found.note(resized(lab))
        for outcome in hurt_together(lab, outage_s):
            found.note(outcome)
        for camera in lab.cameras.values():
            camera.stop()
        found.accounts += accounts(lab.service, "network cameras")
        ended(lab.service)


def edge_run(folder: Path, found: Findings, outage_s: float) -> None:
    """`linewatch ingest` with two cameras: the broker is away, and once the disk for its buffer is full as well."""
    with edge_lab(folder) as lab:
        found.note(edge_broker_away(lab, outage_s))
        found.note(buffer_disk_full(lab, outage_s))
        found.accounts += lab.accounts("ingest at the edge")
