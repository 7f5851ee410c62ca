"""A camera that is covered, and one that falls silent, through the whole service: told as what they are, and no alert
about parts meanwhile."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from kafka import KafkaProducer
from numpy.typing import NDArray

from models.calibration import Calibration
from models.checkpoint import save
from models.ganomaly import Architecture
from models.method_scorer import MethodScorer
from models.methods.ganomaly import Ganomaly
from models.preprocess import Preprocess
from monitor.embedded import EmbeddedBroker, EmbeddedValkey
from streams.codec import encode_jpeg
from tests.monitor.service import Running, until

pytestmark = pytest.mark.slow
FPS = 10


def scene(seed: int) -> NDArray[np.uint8]:
    """A bench with things that stand still, and the noise of a sensor."""
    random = np.random.default_rng(7)
    pixels = np.full((240, 320, 3), 110, np.float32)
    for _ in range(40):
        x, y = int(random.integers(0, 300)), int(random.integers(0, 220))
        shade = float(random.integers(30, 220))
        cv2.rectangle(pixels, (x, y), (x + 24, y + 18), (shade, shade, shade), -1)
    pixels += np.random.default_rng(seed).normal(0, 2, pixels.shape)
    return pixels.clip(0, 255).astype(np.uint8)


def cover(seed: int) -> NDArray[np.uint8]:
    """A hand before the lens."""
    noise = np.random.default_rng(seed).normal(0, 2, (240, 320, 3))
    return (np.full((240, 320, 3), 90) + noise).clip(0, 255).astype(np.uint8)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A random network whose calibration calls the scene normal and the cover anomalous."""
    import torch  # noqa: PLC0415 - only this needs it

    preprocess = Preprocess(32, 3)
    pictures = np.stack([preprocess.picture(p) for p in (scene(1), scene(2), cover(1), cover(2))])
    for seed in range(50):
        torch.manual_seed(seed)
        method = Ganomaly(Architecture(size=32, channels=3, nz=8, ngf=8))
        scores = MethodScorer(method, None, device="cpu").score(pictures)
        if scores[2:].min() > 1.5 * scores[:2].max():
            break
    else:
        pytest.fail("no random network scores the cover higher than the scene")
    calibration = Calibration.from_scores(np.linspace(scores[:2].min() * 0.9, scores[:2].max() * 1.1, 40))
    path = tmp_path / "model.safetensors"
    save(path, method, preprocess, calibration=calibration, training={})
    return path


@pytest.fixture
def config(
    model: Path, broker: EmbeddedBroker, topic: str, valkey: EmbeddedValkey, prefix: str, tmp_path: Path
) -> dict[str, Any]:
    servers = {"bootstrap_servers": broker.address}
    return {
        "model": {"checkpoint": str(model), "device": "cpu"},
        "sources": [{"kafka": servers | {"topic": topic, "group_id": f"g-{topic}", "session_timeout_ms": 6000}}],
        "redis": {"url": valkey.address, "prefix": prefix},
        "http": {"port": 0},
        "evidence": {"dir": str(tmp_path / "evidence")},
        "health": {"learn_s": 4, "after_s": 1, "clear_after_s": 1, "offline_after_s": 4, "online_after_s": 1},
    }


class Camera:
    """Sends pictures at its rate, with their capture times."""

    def __init__(self, broker: EmbeddedBroker, topic: str) -> None:
        self.producer = KafkaProducer(bootstrap_servers=broker.address)
        self.topic, self.sent = topic, 0

    def show(self, picture: Any, seconds: float) -> None:
        for _ in range(round(seconds * FPS)):
            self.sent += 1
            headers = [("captured_at", b"%d" % time.time_ns())]
            self.producer.send(self.topic, key=b"line-1", value=encode_jpeg(picture(self.sent)), headers=headers)
            time.sleep(1 / FPS)
        self.producer.flush(10)


def conditions(service: Running, state: str) -> list[str]:
    return [alert["condition"] for alert in service.json(f"/api/alerts?state={state}")["alerts"]]


def test_a_hand_before_the_lens_is_no_bad_part_and_silence_is_an_alert_of_its_own(
    config: dict[str, Any], broker: EmbeddedBroker, topic: str, tmp_path: Path
) -> None:
    camera = Camera(broker, topic)
    with Running(config, tmp_path) as service:
        camera.show(scene, 7)
        assert until(lambda: bool(service.json("/api/cameras"))), "no frame arrived"
        assert service.json("/api/alerts")["alerts"] == []
        camera.show(cover, 3)
        assert until(lambda: conditions(service, "firing") == ["covered"]), service.json("/api/alerts")
        (view,) = service.json("/api/cameras")
        assert view["troubles"] == ["covered"] and view["held_back"] == {"camera_trouble": 1} and not view["firing"]
        (alert,) = service.json("/api/alerts")["alerts"]
        assert service.get(f"/api/alerts/{alert['alert_id']}/evidence.jpg")[0] == 200
        camera.show(scene, 3)
        assert until(lambda: conditions(service, "resolved") == ["covered"]), service.json("/api/alerts")

        assert until(lambda: conditions(service, "firing") == ["offline"]), service.json("/api/alerts")
        camera.show(scene, 3)
        assert until(lambda: conditions(service, "firing") == []), service.json("/api/alerts")
        assert sorted(conditions(service, "resolved")) == ["covered", "offline"]
        (view,) = service.json("/api/cameras")
        assert view["troubles"] == [] and view["ledger"]["captured"] == camera.sent
        metrics = service.get("/metrics")[1].decode()
        assert 'linewatch_alerts_held_back_total{camera="line-1",reason="camera_trouble"} 1.0' in metrics
        assert 'linewatch_camera_trouble{camera="line-1",condition="covered"} 0.0' in metrics
    camera.producer.close()


def test_a_view_that_changed_on_purpose_is_accepted(
    config: dict[str, Any], broker: EmbeddedBroker, topic: str, tmp_path: Path
) -> None:
    def moved(seed: int) -> NDArray[np.uint8]:
        return np.ascontiguousarray(np.roll(scene(seed), 24, axis=0))

    camera = Camera(broker, topic)
    with Running(config, tmp_path) as service:
        camera.show(scene, 7)
        camera.show(moved, 3)
        assert until(lambda: conditions(service, "firing") != []), service.json("/api/cameras")
        assert service.get("/api/cameras/line-1/accept-view", method="POST")[0] == 202
        assert service.get("/api/cameras/line-9/accept-view", method="POST")[0] == 404
        camera.show(moved, 8)
        assert until(lambda: conditions(service, "firing") == []), service.json("/api/alerts")
        (view,) = service.json("/api/cameras")
        assert view["troubles"] == []
    camera.producer.close()
