"""A service with its servers and cameras, ready to be hurt: once with a topic, once with network cameras."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.embedded import EmbeddedBroker, EmbeddedValkey
from monitor.embedded.program import ProgramServer
from monitor.embedded.server import free_port
from tests.faults.disk import TinyDisk
from tests.faults.feed import Feed, Scores
from tests.faults.outcome import Account
from tests.faults.pictures import Sights
from tests.faults.process import Ended, until
from tests.faults.proxy import Door
from tests.faults.service import Service, adds_up
from tests.streams.rtsp_peer import RtspPeer

TOPIC = "frames"
FPS = 8.0
SESSION_MS = 6_000
WARM_UP = 20
FROZEN_S = 5.0
"""Half of the default, so that a frozen camera is noticed within the outages of the tests."""


@dataclass
class Servers:
    """The broker with the frames stands behind a door; scores and alerts go to the steady one, which is never hurt."""

    broker: EmbeddedBroker
    door: Door
    steady: EmbeddedBroker
    valkey: EmbeddedValkey

    @property
    def address(self) -> str:
        """Where clients find the broker with the frames."""
        return f"127.0.0.1:{self.door.port}"

    def kafka_input(self, **more: Any) -> dict[str, Any]:
        """The entry of `sources` for the topic with the frames."""
        return {
            "bootstrap_servers": self.address,
            "topic": TOPIC,
            "group_id": "lab",
            "session_timeout_ms": SESSION_MS,
        } | more

    def create_topics(self) -> None:
        self.broker.create_topic(TOPIC, partitions=2)
        self.broker.create_topic(f"{TOPIC}.dlq")


@contextmanager
def running_servers(folder: Path) -> Iterator[Servers]:
    """Two brokers with their topics, and a Valkey; all keep their ports when they are started again."""
    with ExitStack() as stack:
        ports = free_port(), free_port()
        door = stack.enter_context(Door(ports[1], ports[0]))  # first: the broker looks at itself through it
        broker = stack.enter_context(EmbeddedBroker(ports[0], advertised_port=ports[1]))
        steady = stack.enter_context(EmbeddedBroker())
        steady.create_topic("scores")
        steady.create_topic("alerts")
        servers = Servers(broker, door, steady, stack.enter_context(lasting_valkey(folder)))
        servers.create_topics()
        yield servers


@dataclass
class TopicLab:
    """Frames on a topic."""

    service: Service
    feed: Feed
    scores: Scores
    servers: Servers
    sights: Sights
    disk: TinyDisk | None
    config: dict[str, Any]
    folder: Path

    def look(self, camera: str, anomalous: bool) -> None:
        """What this camera sees from now on."""
        self.feed.pictures[camera] = lambda number: self.sights.jpeg(number, anomalous)

    def all_scored(self) -> bool:
        """Whether every frame that the broker confirmed was given a score."""
        return not self.scores.missing({camera: set(seqs) for camera, seqs in self.feed.taken.items()})

    def accounts(self, run: str) -> list[Account]:
        """The ledger at rest; asserts that it balances, that /metrics tells the same, and that no frame was passed
        over. Pauses the feed."""
        self.feed.pause()
        assert until(self.all_scored, 30) is not None, self.scores.missing(self.feed.taken)
        return accounts(self.service, run, self.feed.confirmed)


@contextmanager
def topic_lab(
    folder: Path, sights: Sights, cameras: tuple[str, ...] = ("belt-1", "belt-2"), disk_bytes: int | None = None
) -> Iterator[TopicLab]:
    """Everything runs and the first frames are scored. `disk_bytes`: evidence goes to a file system of that size."""
    with ExitStack() as stack:
        servers = stack.enter_context(running_servers(folder))
        disk = TinyDisk(folder / "evidence", disk_bytes) if disk_bytes else None
        config = base_config(folder, sights, servers.valkey) | {
            "sources": [{"kafka": servers.kafka_input()}],
            "publish": {"bootstrap_servers": servers.steady.address},
        }
        service = stack.enter_context(Service(config, folder, "first", disk.before if disk else ()))
        scores = stack.enter_context(Scores(servers.steady.address, "scores"))
        feed = stack.enter_context(Feed(servers.address, TOPIC, dict.fromkeys(cameras, sights.jpeg), FPS))
        lab = TopicLab(service, feed, scores, servers, sights, disk, config, folder)
        started = until(lambda: not service.reasons() and all(service.scored(c) > WARM_UP for c in cameras), 60)
        assert started is not None, (service.reasons(), service.ledger(), service.tail())
        yield lab
        lab.service.kill()  # it may be another by now


@dataclass
class CameraLab:
    """Network cameras, each of which can be hurt on its own."""

    service: Service
    cameras: dict[str, RtspPeer]
    valkey: EmbeddedValkey
    began_s: float
    """When the service answered for the first time, monotonic."""

    def up(self, camera: str) -> bool:
        return bool(self.service.cameras().get(camera, {}).get("up"))


@contextmanager
def camera_lab(folder: Path, sights: Sights, cameras: dict[str, RtspPeer]) -> Iterator[CameraLab]:
    """The cameras are served in the order given; what they do is theirs. The service has just begun to answer."""
    with ExitStack() as stack:
        valkey = stack.enter_context(lasting_valkey(folder))
        for camera in cameras.values():
            stack.enter_context(camera)
        sources = [
            {"rtsp": {"camera": name, "url": camera.url, "open_timeout_s": 2, "read_timeout_s": 2}}
            for name, camera in cameras.items()
        ]
        config = base_config(folder, sights, valkey) | {"sources": sources, "health": {"frozen_after_s": FROZEN_S}}
        service = stack.enter_context(Service(config, folder, "cameras"))
        yield CameraLab(service, cameras, valkey, time.monotonic())


def lasting_valkey(folder: Path) -> EmbeddedValkey:
    """A Valkey that can be stopped and started again: the same port, the same data."""
    data = folder / "valkey"
    data.mkdir()
    return EmbeddedValkey(free_port(), data)


def base_config(folder: Path, sights: Sights, valkey: EmbeddedValkey) -> dict[str, Any]:
    """What every service of the lab has in common."""
    return {
        "model": {"checkpoint": str(sights.checkpoint), "device": "cpu", "threads": 1},
        "redis": {"url": valkey.address, "timeout_s": 1},
        "batching": {"max_size": 16, "decode_threads": 1},
        "window": {"warm_up_frames": WARM_UP},
        "alerts": {
            "fire_after": {"frames": 2, "of": 3},
            "resolve_after": {"frames": 3},
            "cooldown_s": 0,
        },
        "evidence": {"dir": str(folder / "evidence")},
    }


def accounts(service: Service, run: str, sent: dict[str, int] | None = None) -> list[Account]:
    """The ledger of a service at rest, which has to balance, and which /metrics has to tell alike."""
    ledger = service.at_rest()
    for camera, account in ledger.items():
        assert account.in_flight == 0, (run, camera, account)
        told = {
            kind: round(service.metric(f"linewatch_frames_{kind}_total", camera=camera))
            for kind in ("captured", "scored", "dropped", "failed")
        }
        assert told == {
            "captured": account.captured,
            "scored": account.scored,
            "dropped": sum(account.dropped.values()),
            "failed": sum(account.failed.values()),
        }, (run, camera)
    return [
        Account(run, camera, (sent or {}).get(camera), a.captured, a.scored, a.dropped, a.failed)
        for camera, a in ledger.items()
    ]


def ended(service: Service) -> Ended:
    """Stop it in order; its exit code and its summary have to be right."""
    end = service.stop()
    assert end.code == 0, (end, service.tail())
    assert adds_up(end), end.summary
    return end


def stall(server: ProgramServer) -> None:
    """The process stands still: its connections stay, and nothing is answered."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)


def resume(server: ProgramServer) -> None:
    """After `stall`."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGCONT)
