"""A whole service, composed as in production, on the embedded servers."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from kafka import KafkaConsumer

from models.calibration import Calibration
from models.checkpoint import save
from models.ganomaly import Architecture
from models.method_scorer import MethodScorer
from models.methods.ganomaly import Ganomaly
from models.preprocess import Preprocess
from monitor.compose import compose
from monitor.service import Service
from monitor.settings_file import load_settings
from streams.codec import encode_jpeg

DARK = np.full((48, 64, 3), 40, np.uint8)
BRIGHT = np.full((48, 64, 3), 230, np.uint8)
"""The test's network is random, but it gives equal pictures equal scores and these two different ones."""


def checkpoint(path: Path) -> tuple[float, float]:
    """Write a small random network whose calibration calls the higher-scoring of DARK and BRIGHT anomalous.

    Returns the two pictures' scores.
    """
    import torch  # noqa: PLC0415 - only this needs it

    torch.manual_seed(3)
    architecture = Architecture(size=32, channels=3, nz=8, ngf=8)
    method = Ganomaly(architecture)
    preprocess = Preprocess(32, 3)
    scorer = MethodScorer(method, None, device="cpu")
    dark, bright = scorer.score(np.stack([preprocess.picture(p) for p in (DARK, BRIGHT)]))
    normal = min(dark, bright)
    # Around the lower score, so that the threshold lies between the two.
    calibration = Calibration.from_scores(np.linspace(normal * 0.99, normal * 1.01, 40))
    assert calibration.threshold < max(dark, bright)
    save(path, method, preprocess, calibration=calibration, training={})
    return float(dark), float(bright)


def pictures(scores: tuple[float, float]) -> tuple[bytes, bytes]:
    """JPEGs of the normal and of the anomalous picture."""
    normal, anomalous = (DARK, BRIGHT) if scores[0] < scores[1] else (BRIGHT, DARK)
    return encode_jpeg(normal), encode_jpeg(anomalous)


class Running:
    """A composed service that runs in a thread for the length of a `with` block."""

    def __init__(self, config: dict[str, Any], folder: Path) -> None:
        self.path = folder / "config.yaml"
        self.write(config)
        self.service: Service = compose(load_settings(self.path, {}), self.path)
        self.url = self.service.server.url
        self.thread = threading.Thread(target=self.service.run)

    def __enter__(self) -> Running:
        self.thread.start()
        assert until(lambda: self.get("/healthz")[0] == 200)
        return self

    def __exit__(self, *_: object) -> None:
        self.service.stop()
        self.thread.join(60)
        assert not self.thread.is_alive(), "the service did not stop"

    def write(self, config: dict[str, Any]) -> None:
        """Change the configuration on disk; `POST /api/reload` takes it over."""
        self.path.write_text(yaml.safe_dump(config, sort_keys=False))

    def post(self, path: str, body: Any = None) -> tuple[int, Any]:
        """The status and the JSON that answer a POST."""
        request = urllib.request.Request(
            self.url + path,
            method="POST",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
        request = urllib.request.Request(self.url + path, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError:
            return 0, b""

    def json(self, path: str) -> Any:
        status, body = self.get(path)
        assert status == 200, (status, body)
        return json.loads(body)


def until(condition: Callable[[], bool], timeout_s: float = 40) -> bool:
    """Whether the condition comes true in time."""
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        if condition():
            return True
        time.sleep(0.05)
    return False


def read_topic(address: str, topic: str, count: int, timeout_s: float = 30) -> list[Any]:
    """The first `count` records of a topic, or what came in time."""
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=address,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        metadata_max_age_ms=1000,
    )
    found: list[Any] = []
    end_s = time.monotonic() + timeout_s
    while len(found) < count and time.monotonic() < end_s:
        for records in consumer.poll(timeout_ms=200).values():
            found += records
    consumer.close(autocommit=False)
    return found
