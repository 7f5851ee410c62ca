"""A changed configuration under a running service: thresholds, sources, regions and the model, and no frame is lost."""

from __future__ import annotations

import copy
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from kafka import KafkaProducer

from models.checkpoint import load
from monitor.embedded import EmbeddedBroker, EmbeddedValkey
from tests.monitor.service import Running, checkpoint, pictures, until
from tests.monitor.test_service import balanced, configuration, kafka

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


class Feed:
    """Sends a frame to a topic every few milliseconds until it is closed."""

    def __init__(self, broker: EmbeddedBroker, topic: str, picture: bytes) -> None:
        self.producer = KafkaProducer(bootstrap_servers=broker.address)
        self.topic, self.picture, self.sent = topic, picture, 0

    def send(self, count: int) -> None:
        for _ in range(count):
            self.producer.send(self.topic, key=b"line-1", value=self.picture, headers=[("seq", b"%d" % self.sent)])
            self.sent += 1
            time.sleep(0.005)
        self.producer.flush(10)


@pytest.fixture
def model(tmp_path: Path) -> tuple[Path, bytes, bytes]:
    path = tmp_path / "model.safetensors"
    return path, *pictures(checkpoint(path))


@pytest.fixture
def feed(broker: EmbeddedBroker, topic: str, model: tuple[Path, bytes, bytes]) -> Iterator[Feed]:
    feed = Feed(broker, topic, model[1])
    yield feed
    feed.producer.close()


@pytest.fixture
def config(
    model: tuple[Path, bytes, bytes],
    broker: EmbeddedBroker,
    topic: str,
    valkey: EmbeddedValkey,
    prefix: str,
    tmp_path: Path,
) -> dict[str, Any]:
    broker.create_topic(topic)
    return configuration(model[0], [kafka(broker, topic)], valkey, prefix, tmp_path, health={"enabled": False})


def account(running: Running, camera: str) -> dict[str, Any]:
    found = [view["ledger"] for view in running.json("/api/cameras") if view["camera"] == camera]
    return found[0] if found else {"captured": 0, "scored": 0}


def metric(running: Running, name: str) -> float:
    lines = running.get("/metrics")[1].decode().splitlines()
    return float(next(line.rsplit(" ", 1)[1] for line in lines if line.startswith(name)))


def test_a_threshold_a_region_and_a_source_change_and_every_frame_is_scored(
    config: dict[str, Any], feed: Feed, model: tuple[Path, bytes, bytes], tmp_path: Path
) -> None:
    (tmp_path / "bench.jpg").write_bytes(model[1])
    bench = {"files": {"camera": "bench", "path": str(tmp_path / "bench.jpg"), "loop": True, "fps": 20}}
    with Running(config, tmp_path) as running:
        feed.send(40)
        assert until(lambda: account(running, "line-1")["scored"] == 40)
        changed = copy.deepcopy(config)
        changed["alerts"]["threshold"] = 0.7
        changed["cameras"] = [{"match": "line-*", "region": [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]}]
        changed["sources"].append(bench)
        running.write(changed)
        status, answer = running.post("/api/reload")
        assert status == 200 and set(answer["changed"]) == {"alerts.threshold", "cameras", "sources"}, answer
        feed.send(40)
        assert until(lambda: account(running, "line-1")["scored"] == 80)
        (view,) = [v for v in running.json("/api/cameras") if v["camera"] == "line-1"]
        assert view["threshold"] == pytest.approx(0.7) and view["region"] is not None
        assert until(lambda: account(running, "bench")["scored"] > 3)
        running.write(config)  # and back: the added source goes, its camera with it
        assert running.post("/api/reload")[0] == 200
        assert until(lambda: [v["camera"] for v in running.json("/api/cameras")] == ["line-1"])
        feed.send(20)
        assert until(lambda: account(running, "line-1")["scored"] == 100)
        assert balanced(account(running, "line-1")) and feed.sent == 100
        assert metric(running, 'linewatch_config_reloads_total{outcome="taken"}') == 2
    assert running.service.ledger.balances()


def test_the_topic_itself_can_be_read_with_other_settings(
    config: dict[str, Any], feed: Feed, broker: EmbeddedBroker, tmp_path: Path
) -> None:
    """The source is taken out, what it had under way is finished and committed, and a new one goes on from there."""
    with Running(config, tmp_path) as running:
        enough = threading.Event()

        def send() -> None:  # all the time, so that frames are under way, and some are left for the new one
            while not enough.is_set():
                feed.send(20)

        sending = threading.Thread(target=send)
        sending.start()
        assert until(lambda: account(running, "line-1")["scored"] > 20)
        changed = copy.deepcopy(config)
        changed["sources"][0]["kafka"]["max_message_bytes"] = 2_000_000
        running.write(changed)
        assert running.post("/api/reload")[0] == 200
        taken_out_at = feed.sent
        assert until(lambda: feed.sent > taken_out_at + 200)
        enough.set()
        sending.join()
        assert until(lambda: account(running, "line-1")["scored"] >= feed.sent)
        assert until(lambda: balanced(account(running, "line-1")))
        time.sleep(1)  # what was delivered twice would have come by now
        assert account(running, "line-1")["captured"] == feed.sent


def test_a_camera_that_is_taken_out_leaves_no_alert_behind(
    config: dict[str, Any], model: tuple[Path, bytes, bytes], tmp_path: Path
) -> None:
    (tmp_path / "odd.jpg").write_bytes(model[2])
    odd = {"files": {"camera": "odd", "path": str(tmp_path / "odd.jpg"), "loop": True, "fps": 20}}
    with Running(config | {"sources": [*config["sources"], odd]}, tmp_path) as running:
        assert until(lambda: [a["ended_at"] for a in running.json("/api/alerts")["alerts"]] == [None])
        running.write(config)
        assert running.post("/api/reload")[0] == 200
        assert until(lambda: running.json("/api/alerts")["alerts"][0]["ended_at"] is not None)


def test_another_model_scores_from_the_next_batch_on(
    config: dict[str, Any], feed: Feed, model: tuple[Path, bytes, bytes], tmp_path: Path
) -> None:
    other = tmp_path / "other.safetensors"
    checkpoint_of_size(other, 64)
    with Running(config, tmp_path) as running:
        feed.send(20)
        assert until(lambda: account(running, "line-1")["scored"] == 20)
        before = running.json("/api/cameras/line-1/baseline")["model"]
        shutil.copy(other, model[0])  # trained anew, under the same name
        assert running.post("/api/reload")[0] == 200
        feed.send(20)
        assert until(lambda: account(running, "line-1")["scored"] == 40)
        after = running.json("/api/cameras/line-1/baseline")["model"]
        assert before != after == load(other, device="cpu").info.model_id
        assert running.json("/api/cameras")[0]["ledger"]["failed"] == {}


def checkpoint_of_size(path: Path, size: int) -> None:
    """A random network of another size."""
    import torch  # noqa: PLC0415 - only this needs it

    from models.calibration import Calibration  # noqa: PLC0415
    from models.checkpoint import save  # noqa: PLC0415
    from models.ganomaly import Architecture  # noqa: PLC0415
    from models.methods.ganomaly import Ganomaly  # noqa: PLC0415
    from models.preprocess import Preprocess  # noqa: PLC0415

    torch.manual_seed(5)
    method = Ganomaly(Architecture(size=size, channels=3, nz=8, ngf=8))
    save(path, method, Preprocess(size, 3), calibration=Calibration.from_scores(np.linspace(1, 2, 40)), training={})


def test_a_wrong_file_is_refused_and_the_last_good_one_serves(
    config: dict[str, Any], feed: Feed, tmp_path: Path
) -> None:
    with Running(config, tmp_path) as running:
        wrong = copy.deepcopy(config)
        wrong["alerts"]["threshold"] = 7
        running.write(wrong)
        line = running.path.read_text().splitlines().index("  threshold: 7") + 1
        status, answer = running.post("/api/reload")
        assert status == 422 and f"config.yaml:{line}: alerts.threshold" in answer["detail"], answer
        ready = running.json("/readyz")
        assert ready["ready"] and "the last good one serves" in ready["notes"]["configuration"]
        assert metric(running, "linewatch_config_last_reload_successful") == 0
        feed.send(10)
        assert until(lambda: account(running, "line-1")["scored"] == 10)
        running.write(config)
        assert running.post("/api/reload")[0] == 200
        assert running.json("/readyz")["notes"] == {}
        assert metric(running, "linewatch_config_last_reload_successful") == 1


def test_sighup_reloads_a_process(config: dict[str, Any], feed: Feed, tmp_path: Path) -> None:
    path, log = tmp_path / "config.yaml", tmp_path / "log"
    path.write_text(yaml.safe_dump(config))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "monitor.cli", "run", str(path)]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment, cwd=tmp_path)
    try:
        assert until(lambda: "watching" in log.read_text())
        feed.send(20)
        path.write_text(yaml.safe_dump(config | {"alerts": {"cooldown_s": 5}}))
        process.send_signal(signal.SIGHUP)
        assert until(lambda: "configuration_taken" in log.read_text()), log.read_text()
        path.write_text("model: 5\n")
        process.send_signal(signal.SIGHUP)
        assert until(lambda: "configuration_refused" in log.read_text())
        feed.send(20)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()
        assert "every frame is accounted for" in log.read_text()
    finally:
        process.kill()
        process.wait(20)
