"""What happens on a line, on a whole service: products change, cameras are shelved, storms break, normality drifts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from kafka import KafkaProducer

from monitor.embedded import EmbeddedBroker, EmbeddedValkey
from tests.monitor.service import Running, checkpoint, pictures, until
from tests.monitor.test_service import configuration, kafka

pytestmark = pytest.mark.slow


class Line:
    """Cameras that send normal and odd frames to a topic, and the service that reads it."""

    def __init__(self, producer: KafkaProducer, topic: str, normal: bytes, odd: bytes) -> None:
        self.producer, self.topic, self.normal, self.odd = producer, topic, normal, odd
        self.sent: dict[str, int] = {}

    def send(
        self, camera: str, count: int, *, odd: bool = False, product: str | None = None, ago_s: float | None = None
    ) -> None:
        """`ago_s`: captured a second apart, the first so long ago; otherwise now."""
        begun_ns = time.time_ns() - round((ago_s or 0) * 1e9)
        for nth in range(count):
            seq = self.sent[camera] = self.sent.get(camera, 0) + 1
            headers = [("seq", b"%d" % seq)]
            if product is not None:
                headers.append(("product", product.encode()))
            if ago_s is not None:
                headers.append(("captured_at", b"%d" % (begun_ns + nth * 1_000_000_000)))
            value = self.odd if odd else self.normal
            self.producer.send(self.topic, key=camera.encode(), value=value, headers=headers)
        self.producer.flush(10)

    def scored(self, running: Running) -> bool:
        views = {view["camera"]: view["ledger"]["scored"] for view in running.json("/api/cameras")}
        return views == self.sent


Make = Callable[..., dict[str, Any]]


@pytest.fixture
def line(broker: EmbeddedBroker, topic: str, tmp_path: Path) -> Iterator[Line]:
    broker.create_topic(topic)
    producer = KafkaProducer(bootstrap_servers=broker.address)
    yield Line(producer, topic, *pictures(checkpoint(tmp_path / "model.safetensors")))
    producer.close()


@pytest.fixture
def make(line: Line, broker: EmbeddedBroker, valkey: EmbeddedValkey, prefix: str, tmp_path: Path) -> Make:
    def make(**sections: Any) -> dict[str, Any]:
        base = {"health": {"enabled": False}, "window": {"warm_up_frames": 10}}
        sources = [kafka(broker, line.topic)]
        return configuration(tmp_path / "model.safetensors", sources, valkey, prefix, tmp_path, **base | sections)

    return make


def view(running: Running, camera: str = "line-1") -> dict[str, Any]:
    return next(found for found in running.json("/api/cameras") if found["camera"] == camera)


def alerts(running: Running, condition: str = "anomaly") -> list[dict[str, Any]]:
    return [alert for alert in running.json("/api/alerts")["alerts"] if alert["condition"] == condition]


def test_each_product_has_its_own_baseline_and_finds_it_again(line: Line, make: Make, tmp_path: Path) -> None:
    with Running(make(), tmp_path) as running:
        line.send("line-1", 15, product="bottle")
        assert until(lambda: line.scored(running))
        assert (view(running)["product"], view(running)["baseline"]["phase"]) == ("bottle", "ready")
        line.send("line-1", 4, product="can")
        assert until(lambda: line.scored(running))
        assert (view(running)["product"], view(running)["baseline"]["phase"]) == ("can", "warming")
        line.send("line-1", 1, product="bottle")
        assert until(lambda: line.scored(running))
        assert view(running)["baseline"] == view(running)["baseline"] | {"phase": "ready", "count": 15}


def test_a_product_set_by_hand_holds_for_frames_that_name_none(line: Line, make: Make, tmp_path: Path) -> None:
    with Running(make(), tmp_path) as running:
        line.send("line-1", 5)
        assert until(lambda: line.scored(running))
        assert running.post("/api/cameras/line-1/product", {"product": "jar", "by": "Ada"})[0] == 200
        line.send("line-1", 2)
        assert until(lambda: line.scored(running))
        assert view(running)["product"] == "jar" and view(running)["baseline"]["count"] == 1


def test_a_shelved_camera_calls_nobody_learns_nothing_and_calls_again_afterwards(
    line: Line, make: Make, tmp_path: Path
) -> None:
    with Running(make(), tmp_path) as running:
        line.send("line-1", 15)
        assert until(lambda: line.scored(running))
        order = {"minutes": 30, "by": "Ada", "why": "cleaning"}
        assert running.post("/api/cameras/line-1/shelve", order)[0] == 200
        line.send("line-1", 8, odd=True)
        line.send("line-1", 8)
        assert until(lambda: line.scored(running))
        seen = view(running)
        assert alerts(running) == [] and seen["held_back"] == {"maintenance": 1}
        assert seen["baseline"]["count"] == 15 and seen["shelved"]["why"] == "cleaning"
        assert running.post("/api/cameras/line-1/unshelve", {"by": "Ada"})[0] == 200
        line.send("line-1", 8, odd=True)
        assert until(lambda: len(alerts(running)) == 1)


def test_a_storm_is_one_alert_that_says_how_many_were_held_back(line: Line, make: Make, tmp_path: Path) -> None:
    config = make(alerts={"cooldown_s": 0, "storm": {"max_alerts": 2, "within_s": 4}})
    cameras = [f"line-{n}" for n in range(6)]
    with Running(config, tmp_path) as running:
        for camera in cameras:
            line.send(camera, 12)
        for camera in cameras:
            line.send(camera, 4, odd=True)
            line.send(camera, 11)  # over before the storm is
        assert until(lambda: len(alerts(running, "storm")) == 1)
        assert until(lambda: alerts(running, "storm")[0]["ended_at"] is not None)
        (storm,) = alerts(running, "storm")
        assert storm["camera"] == "*" and sum(storm["held_back"].values()) == 4, storm
        assert len(alerts(running)) == 2 and all(alert["ended_at"] for alert in alerts(running))


def test_a_lasting_change_drifts_is_told_and_is_the_new_normal(line: Line, make: Make, tmp_path: Path) -> None:
    config = make(window={"warm_up_frames": 10, "relearn_after_frames": 40}, alerts={"cooldown_s": 0})
    with Running(config, tmp_path) as running:
        line.send("line-1", 15)
        line.send("line-1", 25, odd=True)
        assert until(lambda: line.scored(running))
        assert view(running)["baseline"]["phase"] == "drifting"
        (drift,) = alerts(running, "drift")
        assert drift["ended_at"] is None and len(alerts(running)) == 1
        line.send("line-1", 30, odd=True)
        assert until(lambda: line.scored(running))
        assert view(running)["baseline"]["phase"] == "ready" and not view(running)["anomalous"]
        assert alerts(running, "drift")[0]["ended_at"] is not None
        assert alerts(running)[0]["ended_at"] is not None
        assert b'linewatch_baselines_relearnt_total{camera="line-1"} 1.0' in running.get("/metrics")[1]


def test_outside_the_region_nothing_counts(line: Line, make: Make, tmp_path: Path) -> None:
    """With the left half as region, what changes in the right one is not seen."""
    scene = np.random.default_rng(0).integers(30, 220, (48, 64, 3), np.uint8)  # not blank: it is to be a fill
    beside, inside = scene.copy(), scene.copy()
    beside[:, 32:], inside[:, :32] = 255, 255
    line.normal, beside_png, inside_png = (
        cv2.imencode(".png", picture)[1].tobytes() for picture in (scene, beside, inside)
    )
    config = make(
        cameras=[{"match": "*", "region": [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]}],
    )
    with Running(config, tmp_path) as running:
        line.send("line-1", 20, ago_s=60)  # a second apart: the fill is learnt of pictures that are
        assert until(lambda: line.scored(running))
        before = view(running)["score"]
        line.odd = beside_png
        line.send("line-1", 5, odd=True)
        assert until(lambda: line.scored(running))
        assert view(running)["score"] == pytest.approx(before, rel=1e-9)
        line.odd = inside_png
        line.send("line-1", 5, odd=True)
        assert until(lambda: line.scored(running))
        assert view(running)["score"] != pytest.approx(before, rel=1e-3)


def test_what_was_marked_leaves_the_baseline(line: Line, make: Make, tmp_path: Path) -> None:
    with Running(make(), tmp_path) as running:
        line.send("line-1", 15)
        assert until(lambda: line.scored(running))
        time.sleep(2.5)
        line.send("line-1", 3)
        assert until(lambda: line.scored(running))
        running.get("/api/cameras/line-1/latest.jpg")
        status, missed = running.post("/api/cameras/line-1/missed", {"by": "Ada", "seconds": 1})
        assert status == 200 and missed["condition"] == "missed" and missed["evidence_url"]
        assert running.json("/api/cameras/line-1/baseline")["count"] == 15
        assert running.get(f"/api/alerts/{missed['alert_id']}/evidence.jpg")[0] == 200


def test_a_reset_a_freeze_and_a_document_of_the_baseline(line: Line, make: Make, tmp_path: Path) -> None:
    with Running(make(), tmp_path) as running:
        line.send("line-1", 15)
        assert until(lambda: line.scored(running))
        path = "/api/cameras/line-1/baseline"
        document = running.json(f"{path}/export")
        assert running.post(f"{path}/freeze", {"by": "Ada"})[1]["frozen"]
        line.send("line-1", 5)
        assert until(lambda: line.scored(running))
        assert running.json(path)["count"] == 15
        assert running.post(f"{path}/reset", {"by": "Ada"})[1]["phase"] == "cold"
        line.send("line-1", 2)
        assert until(lambda: line.scored(running))
        assert running.json(path)["count"] == 2
        assert running.post(f"{path}/import", document)[1]["count"] == 15
        assert running.json(path)["phase"] == "ready"
