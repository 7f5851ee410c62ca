"""A flood of alerts from real frames, with everything failing on the way to the one who is to be told."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from kafka import KafkaProducer

from monitor.embedded import EmbeddedBroker, EmbeddedValkey
from tests.faults.hook import SECRET, FlakyHook
from tests.faults.process import Process, until
from tests.faults.service import Service
from tests.monitor.service import checkpoint, pictures

TOPIC = "frames"
FIRE, RESOLVE = 3, 4
"""Anomalous frames that begin an episode, normal ones that end it."""


@dataclass(frozen=True)
class Flood:
    """So many episodes at each of so many cameras. pause: normal frames between two, beyond those that end one."""

    cameras: int = 50
    episodes: int = 10
    pause: int = 0

    @property
    def events(self) -> int:
        return 2 * self.cameras * self.episodes

    @property
    def frames(self) -> int:
        return self.cameras * self.episodes * (FIRE + RESOLVE + self.pause)

    def send(self, servers: str, jpegs: tuple[bytes, bytes]) -> None:
        """All frames into the topic. jpegs: a normal one and an anomalous one."""
        producer = KafkaProducer(bootstrap_servers=servers, linger_ms=20)
        start_ns, seq = time.time_ns() - self.frames * 1_000_000, 0
        for _ in range(self.episodes):
            for anomalous in [True] * FIRE + [False] * (RESOLVE + self.pause):
                for camera in range(self.cameras):
                    seq += 1
                    producer.send(
                        TOPIC,
                        key=f"camera-{camera:02}".encode(),
                        value=jpegs[anomalous],
                        headers=[("captured_at", b"%d" % (start_ns + seq * 1_000_000))],
                    )
        producer.flush(30)
        producer.close()


class Dispatch(Process):
    """`linewatch dispatch`."""

    command, answers_at = "dispatch", "/metrics"

    def served_at(self, port: int) -> dict[str, Any]:
        return {}

    def arguments(self) -> list[str]:
        return ["--metrics-port", str(self._port)]


def config(
    model: Path,
    broker: EmbeddedBroker,
    valkey: EmbeddedValkey,
    folder: Path,
    hook: str | None,
    here: bool,
    tries_per_s: float = 30,
) -> dict[str, Any]:
    """hook: where every event is sent, if anywhere. here: whether the worker delivers. tries_per_s: the default for
    real channels; for tests that must not take so long, more."""
    return {
        "model": {"checkpoint": str(model), "device": "cpu"},
        "sources": [{"kafka": {"bootstrap_servers": broker.address, "topic": TOPIC, "group_id": "storm"}}],
        "redis": {"url": valkey.address},
        "evidence": {"dir": str(folder / "evidence")},
        "health": {"enabled": False},  # its pictures stand still for longer than any camera's
        "alerts": {
            "cooldown_s": 0,
            "fire_after": {"frames": FIRE, "of": FIRE},
            "resolve_after": {"frames": RESOLVE},
            "storm": {"max_alerts": 100_000},
        },
        "channels": [{"name": "hook", "webhook": {"url": hook, "secret": SECRET, "timeout_s": 5}}] if hook else [],
        "subscriptions": [{"name": "all", "to": ["hook"]}] if hook else [],
        "delivery": {"here": here, "allow_targets": ["127.0.0.1"], "max_wait_s": 2, "max_tries_per_s": tries_per_s},
    }


def written(valkey: EmbeddedValkey) -> list[dict[str, Any]]:
    """The events in the outbox, in order."""
    client: Any = redis.Redis.from_url(valkey.address, decode_responses=True)
    with client:
        return [json.loads(fields["event"]) for _, fields in client.xrange("linewatch:events")]


@contextmanager
def flooded(folder: Path, flood: Flood) -> Iterator[tuple[Path, EmbeddedBroker, EmbeddedValkey]]:
    """A model, and servers with the flood in the topic. Redis keeps what it has in a file."""
    model, data = folder / "model.safetensors", folder / "redis"
    data.mkdir()
    jpegs = pictures(checkpoint(model))
    with EmbeddedBroker() as broker, EmbeddedValkey(data=data) as first:
        port = first.port
        first.stop()
        valkey = EmbeddedValkey(port, data)  # on a port that stays the same over a restart
        with valkey:
            broker.create_topic(TOPIC)
            flood.send(broker.address, jpegs)
            yield model, broker, valkey


class Killer:
    """Two dispatchers side by side; one of them is killed every few seconds, and started again."""

    def __init__(self, make: Callable[[str], Dispatch], every_s: float, seed: int = 0) -> None:
        self._two = [make("dispatch-1"), make("dispatch-2")]
        self._every_s = every_s
        self._random = random.Random(seed)
        self._next_s = 0.0
        self.kills = 0

    def __enter__(self) -> Killer:
        for one in self._two:
            one.start()
        self._next_s = time.monotonic() + self._every_s
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._two:
            one.kill()

    def perhaps(self) -> None:
        """Kill one, if it is time."""
        if time.monotonic() < self._next_s:
            return
        one = self._random.choice(self._two)
        one.kill()
        one.start()
        self.kills += 1
        self._next_s = time.monotonic() + self._every_s * self._random.uniform(0.5, 1.5)


@dataclass(frozen=True)
class Arrived:
    """What came of it."""

    events: list[dict[str, Any]]
    hook: FlakyHook
    kills: int
    took_s: float


def storm(folder: Path, flood: Flood, share: float, kill_every_s: float, within_s: float) -> Arrived:
    """The flood is scored while the webhook fails, dispatchers are killed, and Redis is restarted once. Returns when
    every event has arrived, or the time is over."""
    with flooded(folder, flood) as (model, broker, valkey), FlakyHook(share) as hook:
        settings = config(model, broker, valkey, folder, hook.url, here=False, tries_per_s=100)
        with (
            Killer(lambda name: Dispatch(settings, folder, name), kill_every_s) as killer,
            Service(settings, folder, "worker"),
        ):
            began_s, restarted = time.monotonic(), False

            def done() -> bool:
                nonlocal restarted
                killer.perhaps()
                arrived = len(hook.arrived())
                if not restarted and arrived > flood.events // 4:
                    valkey.stop()
                    time.sleep(1)
                    valkey.start()
                    restarted = True
                return restarted and arrived >= flood.events

            until(done, within_s, every_s=0.1)
            took_s = time.monotonic() - began_s
            return Arrived(written(valkey), hook, killer.kills, took_s)
