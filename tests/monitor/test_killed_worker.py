"""`linewatch run` in processes of its own: one is killed in the middle of its work, another goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from kafka import KafkaConsumer, KafkaProducer

from monitor.embedded import EmbeddedBroker, EmbeddedValkey
from monitor.judging.baseline.store import BaselineStore
from tests.monitor.service import checkpoint, pictures, until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FRAMES = 130
STRETCHES = {"over": range(8, 14), "firing": range(30, 80), "ahead": range(90, 106)}
"""Where each camera's anomalous frames lie. At the kill one episode is over, one is firing and one is to come."""
BEFORE_THE_KILL = 60
SEEN_AT_THE_KILL = 45


class Records:
    """What has come to a topic so far."""

    def __init__(self, address: str, topic: str) -> None:
        self._consumer: Any = KafkaConsumer(
            topic,
            bootstrap_servers=address,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            metadata_max_age_ms=1000,
            fetch_max_wait_ms=50,
        )
        self.all: list[dict[str, Any]] = []

    def look(self) -> list[dict[str, Any]]:
        for records in self._consumer.poll(timeout_ms=50).values():
            self.all += [json.loads(record.value) for record in records]
        return self.all

    def close(self) -> None:
        self._consumer.close(autocommit=False)


class Run:
    """One group of workers with topics, a window and an outbox of its own, on the frames that all runs share."""

    def __init__(
        self, name: str, model: Path, topic: str, broker: EmbeddedBroker, valkey: EmbeddedValkey, folder: Path
    ) -> None:
        self.folder, self.prefix = folder, f"{name}-{topic}"
        self.log = folder / f"{name}.log"
        topics = {kind: f"{kind}-{name}-{topic}" for kind in ("scores", "alerts")}
        for created in topics.values():
            broker.create_topic(created)
        self.scores, self.events = (Records(broker.address, topics[kind]) for kind in ("scores", "alerts"))
        self.config = folder / f"{name}.yaml"
        servers = {"bootstrap_servers": broker.address}
        self.config.write_text(
            yaml.safe_dump(
                {
                    "model": {"checkpoint": str(model), "device": "cpu"},
                    "sources": [{"kafka": servers | {"topic": topic, "group_id": name, "session_timeout_ms": 6000}}],
                    "redis": {"url": valkey.address, "prefix": self.prefix},
                    "publish": servers | {"scores_topic": topics["scores"], "alerts_topic": topics["alerts"]},
                    "http": {"port": 0},
                    "evidence": {"dir": str(folder / name)},
                    "window": {"warm_up_frames": 5},
                    "health": {"enabled": False},  # its pictures stand still for longer than any camera's
                    "batching": {"max_size": 8},
                    "alerts": {"cooldown_s": 0},
                }
            )
        )

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "monitor.cli", "run", str(self.config)]
        with self.log.open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=self.folder)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(20)

    def leave(self, process: subprocess.Popen[bytes]) -> None:
        """As a supervisor ends a worker."""
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, self.log.read_text()

    def seqs(self) -> dict[str, list[int]]:
        """The frames of each camera that have been scored, in the order in which they were."""
        found: dict[str, list[int]] = {camera: [] for camera in STRETCHES}
        for score in self.scores.look():
            found[score["camera"]].append(score["seq"])
        return found

    def scored_all(self) -> bool:
        return all(len(set(seqs)) == FRAMES for seqs in self.seqs().values())

    def alerts(self) -> dict[str, dict[str, Any]]:
        """Every event by its id; one that came again must say the same."""
        found: dict[str, dict[str, Any]] = {}
        for event in self.events.look():
            data = {k: event["data"][k] for k in ("alert_id", "camera", "started_at", "ended_at", "severity", "frame")}
            told = {"type": event["type"], **data}
            assert found.setdefault(event["id"], told) == told
        return found

    def windows(self, client: redis.Redis) -> dict[str, dict[str, float]]:
        """What is in each camera's window: the frames' identities and their scores."""
        store = BaselineStore(client, self.prefix)
        windows = {key.camera: store.export(key)["window"] for key in store.list()}
        return {c: dict(zip(w["identities"], w["scores"], strict=True)) for c, w in windows.items()}


def send(producer: Any, topic: str, jpegs: tuple[bytes, bytes], frames: range, start_ns: int) -> None:
    for seq in frames:
        for partition, (camera, stretch) in enumerate(STRETCHES.items()):
            headers = [("seq", b"%d" % seq), ("captured_at", b"%d" % (start_ns + seq * 100_000_000))]
            jpeg = jpegs[seq in stretch]
            producer.send(topic, key=camera.encode(), value=jpeg, headers=headers, partition=partition % 2)
    producer.flush(20)


@pytest.fixture
def model(tmp_path: Path) -> tuple[Path, tuple[bytes, bytes]]:
    """A checkpoint, and a normal and an anomalous JPEG."""
    path = tmp_path / "model.safetensors"
    return path, pictures(checkpoint(path))


def test_a_worker_is_killed_and_another_goes_on_as_if_nothing_had_happened(
    model: tuple[Path, tuple[bytes, bytes]],
    broker: EmbeddedBroker,
    topic: str,
    valkey: EmbeddedValkey,
    redis_client: redis.Redis,
    tmp_path: Path,
) -> None:
    path, jpegs = model
    producer = KafkaProducer(bootstrap_servers=broker.address)
    start_ns = time.time_ns() - FRAMES * 100_000_000
    send(producer, topic, jpegs, range(BEFORE_THE_KILL), start_ns)
    killed = Run("killed", path, topic, broker, valkey, tmp_path)
    with killed.worker() as first:
        assert until(lambda: all(len(s) >= SEEN_AT_THE_KILL for s in killed.seqs().values())), killed.log.read_text()
        first.kill()
    at_s = time.monotonic()
    send(producer, topic, jpegs, range(BEFORE_THE_KILL, FRAMES), start_ns)
    with killed.worker() as second:
        assert until(killed.scored_all, 90), (killed.seqs(), killed.log.read_text())
        took_s = time.monotonic() - at_s
        killed.leave(second)
    calm = Run("calm", path, topic, broker, valkey, tmp_path)
    with calm.worker() as only:
        assert until(calm.scored_all, 90), calm.log.read_text()
        calm.leave(only)

    assert calm.seqs() == {camera: list(range(FRAMES)) for camera in STRETCHES}
    assert until(lambda: len(calm.alerts()) == 6 and len(killed.alerts()) >= 6), (calm.alerts(), killed.alerts())
    repeated = sum(map(len, killed.seqs().values())) - len(STRETCHES) * FRAMES
    print(f"all scored {took_s:.1f} s after the kill; {repeated} frames twice")
    assert [data["type"].rpartition(".")[2] for data in calm.alerts().values()].count("firing") == 3
    assert killed.alerts() == calm.alerts()
    assert killed.windows(redis_client) == calm.windows(redis_client)
    assert {camera: len(window) for camera, window in calm.windows(redis_client).items()} == {
        camera: FRAMES - len(stretch) for camera, stretch in STRETCHES.items()
    }
    for run in (killed, calm):
        run.scores.close()
        run.events.close()


def test_two_workers_share_the_cameras_and_leave_nothing_twice(
    model: tuple[Path, tuple[bytes, bytes]],
    broker: EmbeddedBroker,
    topic: str,
    valkey: EmbeddedValkey,
    tmp_path: Path,
) -> None:
    path, jpegs = model
    producer = KafkaProducer(bootstrap_servers=broker.address)
    start_ns = time.time_ns() - FRAMES * 100_000_000
    run = Run("shared", path, topic, broker, valkey, tmp_path)

    def assignments() -> int:
        return run.log.read_text().count("kafka_assigned")

    with run.worker() as first:
        send(producer, topic, jpegs, range(40), start_ns)
        assert until(lambda: all(len(s) == 40 for s in run.seqs().values())), run.log.read_text()
        with run.worker() as second:
            assert until(lambda: assignments() == 2, 60), run.log.read_text()
            send(producer, topic, jpegs, range(40, 85), start_ns)
            assert until(lambda: all(len(s) >= 60 for s in run.seqs().values())), run.log.read_text()
            run.leave(first)
            send(producer, topic, jpegs, range(85, FRAMES), start_ns)
            assert until(run.scored_all, 60), (run.seqs(), run.log.read_text())
            run.leave(second)
    assert run.seqs() == {camera: list(range(FRAMES)) for camera in STRETCHES}
    run.scores.close()
    run.events.close()
