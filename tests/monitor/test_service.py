"""The whole path on real servers: every kind of source in, verdicts, alerts, pictures and a balanced ledger out."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from monitor.embedded import EmbeddedBroker, EmbeddedRtsp, EmbeddedValkey
from streams.simulator import Line, write_film
from tests.dashboards.stub_grafana import TOKEN, StubGrafana, serve
from tests.monitor.service import Running, checkpoint, pictures, read_topic, until
from tests.monitor.test_outbox import event

pytestmark = pytest.mark.slow


@pytest.fixture
def model(tmp_path: Path) -> tuple[Path, bytes, bytes]:
    """A checkpoint and a normal and an anomalous JPEG."""
    path = tmp_path / "model.safetensors"
    return path, *pictures(checkpoint(path))


def configuration(
    model: Path, sources: list[Any], valkey: EmbeddedValkey, prefix: str, folder: Path, **sections: Any
) -> dict[str, Any]:
    return {
        "model": {"checkpoint": str(model), "device": "cpu"},
        "sources": sources,
        "redis": {"url": valkey.address, "prefix": prefix},
        "http": {"port": 0},
        "evidence": {"dir": str(folder / "evidence")},
        "alerts": {"cooldown_s": 0},
        **sections,
    }


def kafka(broker: EmbeddedBroker, topic: str) -> dict[str, Any]:
    return {
        "kafka": {
            "bootstrap_servers": broker.address,
            "topic": topic,
            "group_id": f"g-{topic}",
            "session_timeout_ms": 6000,
        }
    }


@pytest.fixture
def calm_line(model: tuple[Path, bytes, bytes], valkey: EmbeddedValkey, prefix: str, tmp_path: Path) -> dict[str, Any]:
    """The configuration of one camera that shows the same normal picture for ever."""
    path, normal, _ = model
    (tmp_path / "a.jpg").write_bytes(normal)
    camera = {"files": {"camera": "b", "path": str(tmp_path / "a.jpg"), "loop": True, "fps": 5}}
    return configuration(path, [camera], valkey, prefix, tmp_path)


def balanced(account: dict[str, Any]) -> bool:
    gone = account["scored"] + sum(account["dropped"].values()) + sum(account["failed"].values())
    return bool(account["captured"] == gone and account["in_flight"] == 0)


def bomb(jpeg: bytes) -> bytes:
    data = bytearray(jpeg)
    at = data.find(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", 30_000, 30_000)
    return bytes(data)


def test_all_three_kinds_of_source_in_one_run(
    model: tuple[Path, bytes, bytes],
    broker: EmbeddedBroker,
    topic: str,
    valkey: EmbeddedValkey,
    prefix: str,
    tmp_path: Path,
) -> None:
    path, normal, _ = model
    films = tmp_path / "films"
    films.mkdir()
    frames = write_film(Line(1, 0, width=64, height=48), films / "line.mp4", 4)
    producer = KafkaProducer(bootstrap_servers=broker.address)
    for i in range(30):
        producer.send(topic, key=b"kafka-cam", value=normal, headers=[("seq", b"%d" % i)])
    producer.flush(10)
    with EmbeddedRtsp(films) as rtsp:
        config = configuration(
            path,
            [
                kafka(broker, topic),
                {"rtsp": {"camera": "rtsp-cam", "url": rtsp.url("line")}},
                {"files": {"camera": "bench", "path": str(films / "*.mp4"), "fps": 40}},
            ],
            valkey,
            prefix,
            tmp_path,
        )
        with Running(config, tmp_path) as running:

            def scored() -> dict[str, int]:
                return {c["camera"]: c["ledger"]["scored"] for c in running.json("/api/cameras")}

            assert until(
                lambda: (
                    scored().get("kafka-cam", 0) == 30
                    and scored().get("bench", 0) == frames
                    and scored().get("rtsp-cam", 0) >= 10
                )
            ), scored()
            ready, _ = running.get("/readyz")
            assert ready == 200
            for camera in ("kafka-cam", "rtsp-cam", "bench"):
                status, jpeg = running.get(f"/api/cameras/{camera}/latest.jpg")
                assert status == 200 and cv2.imdecode(np.frombuffer(jpeg, np.uint8), 1) is not None
        accounts = running.service.ledger.accounts()
        assert all(a.in_flight == 0 for a in accounts.values())
        assert accounts["kafka-cam"].captured == 30 and accounts["bench"].captured == frames


def test_an_anomaly_is_one_alert_with_its_picture_everywhere(
    model: tuple[Path, bytes, bytes],
    broker: EmbeddedBroker,
    topic: str,
    valkey: EmbeddedValkey,
    prefix: str,
    tmp_path: Path,
) -> None:
    with serve() as grafana:
        one_alert_everywhere(model, broker, topic, valkey, prefix, tmp_path, grafana)


def one_alert_everywhere(
    model: tuple[Path, bytes, bytes],
    broker: EmbeddedBroker,
    topic: str,
    valkey: EmbeddedValkey,
    prefix: str,
    tmp_path: Path,
    grafana: StubGrafana,
) -> None:
    path, normal, anomalous = model
    alerts_topic, scores_topic = f"alerts-{topic}", f"scores-{topic}"
    for name in (alerts_topic, scores_topic):
        broker.create_topic(name)
    config = configuration(
        path,
        [kafka(broker, topic)],
        valkey,
        prefix,
        tmp_path,
        publish={"bootstrap_servers": broker.address, "scores_topic": scores_topic, "alerts_topic": alerts_topic},
        window={"warm_up_frames": 5},
        grafana={"url": grafana.url, "token": TOKEN},
    )
    producer = KafkaProducer(bootstrap_servers=broker.address)
    line = [normal] * 20 + [anomalous] * 6 + [normal] * 15
    start_ns = time.time_ns() - len(line) * 100_000_000
    with Running(config, tmp_path) as running:
        for i, jpeg in enumerate(line):
            producer.send(
                topic,
                key=b"line-1",
                value=jpeg,
                headers=[
                    ("seq", b"%d" % i),
                    ("captured_at", b"%d" % (start_ns + i * 100_000_000)),
                ],
            )
        producer.flush(10)
        records = read_topic(broker.address, alerts_topic, 2)
        events = [json.loads(r.value) for r in records]
        assert [e["type"] for e in events] == ["linewatch.alert.firing", "linewatch.alert.resolved"]
        assert [r.key for r in records] == [b"line-1"] * 2
        firing, resolved = (e["data"] for e in events)
        assert firing["alert_id"] == resolved["alert_id"] and events[0]["id"] != events[1]["id"]
        assert firing["started_at"] == start_ns + 20 * 100_000_000
        assert firing["frame"]["seq"] in (20, 21, 22) and firing["frame"]["origin"].startswith(topic)
        assert resolved["ended_at"] > firing["started_at"] and firing["ended_at"] is None
        assert firing["peak_score"] > firing["threshold"]

        assert until(lambda: any(a.get("timeEnd", 0) > a["time"] for a in grafana.annotations.values()))
        (region,) = grafana.annotations.values()
        assert region["time"] == firing["started_at"] // 1_000_000
        assert region["timeEnd"] == resolved["ended_at"] // 1_000_000
        assert f"alert:{firing['alert_id']}" in region["tags"]

        page = running.json("/api/alerts")
        assert [a["alert_id"] for a in page["alerts"]] == [firing["alert_id"]]
        assert firing["evidence_url"] == f"{running.url}/api/alerts/{firing['alert_id']}/evidence.jpg"
        assert running.get(f"/api/alerts/{firing['alert_id']}/evidence.jpg")[1] == anomalous
        status, heat = running.get(f"/api/alerts/{firing['alert_id']}/heatmap.jpg")
        assert status == 200 and cv2.imdecode(np.frombuffer(heat, np.uint8), 1).shape == (48, 64, 3)

        scores = [json.loads(r.value) for r in read_topic(broker.address, scores_topic, len(line))]
        assert [s["seq"] for s in scores] == list(range(len(line)))
        assert set(scores[0]) == {
            "camera",
            "seq",
            "captured_at",
            "score",
            "normalised",
            "low",
            "high",
            "count",
            "state",
            "model",
        }
        assert all(0 <= s["normalised"] <= 1 for s in scores)
        assert [s["state"] for s in scores[:6]] == ["warming"] * 5 + ["ready"]
        assert [s["count"] for s in scores[:22]] == [*range(21), 20], "anomalous frames stay out of the window"
        metrics = running.get("/metrics")[1].decode()
        assert 'linewatch_frames_scored_total{camera="line-1"} 41.0' in metrics
        assert 'linewatch_alerts_total{camera="line-1"' in metrics
    assert running.service.ledger.balances()
    assert not list((tmp_path / "evidence").rglob("*.part"))


def test_bad_frames_are_counted_put_aside_and_do_not_stop_the_line(
    model: tuple[Path, bytes, bytes],
    broker: EmbeddedBroker,
    topic: str,
    valkey: EmbeddedValkey,
    prefix: str,
    tmp_path: Path,
) -> None:
    path, normal, _ = model
    config = configuration(path, [kafka(broker, topic)], valkey, prefix, tmp_path)
    bad = [b"this is no image", normal[: len(normal) // 2], bomb(normal)]
    producer = KafkaProducer(bootstrap_servers=broker.address)
    for value in [normal, *bad, normal]:
        producer.send(topic, key=b"line-1", value=value, partition=0)
    producer.send(topic, value=normal, partition=0)
    producer.send(topic, key=b"hall/1 {x}", value=normal, partition=0)
    producer.flush(10)
    with Running(config, tmp_path) as running:

        def accounts() -> dict[str, Any]:
            return {c["camera"]: c["ledger"] for c in running.json("/api/cameras")}

        assert until(
            lambda: (
                set(accounts()) == {"line-1", "unknown", "hall/1 {x}"}
                and all(balanced(a) for a in accounts().values())
                and accounts()["hall/1 {x}"]["scored"] == 1
            )
        )
        line = accounts()["line-1"]
        assert line["scored"] == 2 and line["failed"] == {"undecodable": 2, "too_large": 1}
        assert accounts()["unknown"]["failed"] == {"no_camera": 1}
        assert running.get("/api/cameras/hall%2F1%20%7Bx%7D/latest.jpg")[0] == 200
        letters = read_topic(broker.address, f"{topic}.dlq", 4)
    assert sorted(r.value for r in letters) == sorted([*bad, normal])
    origins = {dict(r.headers)["origin"] for r in letters}
    assert origins == {f"{topic}/0/{offset}".encode() for offset in (1, 2, 3, 5)}
    consumer = KafkaConsumer(bootstrap_servers=broker.address, group_id=f"g-{topic}", enable_auto_commit=False)
    assert consumer.committed(TopicPartition(topic, 0)) == 7, "every frame is finished, the bad ones too"
    consumer.close(autocommit=False)


def test_redis_away_at_the_start_and_in_the_middle(
    model: tuple[Path, bytes, bytes], broker: EmbeddedBroker, topic: str, prefix: str, tmp_path: Path
) -> None:
    """Frames are scored all the while, the state says `degraded`, and the alert is written when Redis is back."""
    path, normal, anomalous = model
    server = EmbeddedValkey().start()
    address, port = server.address, server.port
    server.stop()
    producer = KafkaProducer(bootstrap_servers=broker.address)
    config = {
        "model": {"checkpoint": str(path)},
        "sources": [kafka(broker, topic)],
        "http": {"port": 0},
        "redis": {"url": address, "prefix": prefix, "timeout_s": 1},
        "evidence": {"dir": str(tmp_path / "e")},
    }
    with Running(config, tmp_path) as running:
        status, body = running.get("/readyz")
        assert status == 503 and f"127.0.0.1:{port}" in json.loads(body)["reasons"]["redis"]
        for jpeg in [normal] * 5 + [anomalous] * 5:
            producer.send(topic, key=b"line-1", value=jpeg)
        producer.flush(10)

        def camera() -> dict[str, Any]:
            return next((c for c in running.json("/api/cameras") if c["camera"] == "line-1"), {})

        assert until(lambda: camera().get("ledger", {}).get("scored") == 10)
        assert camera()["state"] == "degraded" and camera()["firing"]
        assert running.get("/api/alerts")[0] == 503
        with EmbeddedValkey(port):
            assert until(lambda: running.get("/readyz")[0] == 200)
            assert until(lambda: len(running.json("/api/alerts")["alerts"]) == 1)


def test_a_broker_that_is_away_is_told_and_the_other_sources_go_on(
    model: tuple[Path, bytes, bytes], valkey: EmbeddedValkey, prefix: str, tmp_path: Path
) -> None:
    path, normal, _ = model
    (tmp_path / "a.jpg").write_bytes(normal)
    with EmbeddedBroker() as gone:
        away = kafka(gone, "frames")
    config = configuration(
        path,
        [away, {"files": {"camera": "bench", "path": str(tmp_path / "a.jpg"), "loop": True, "fps": 20}}],
        valkey,
        prefix,
        tmp_path,
    )
    with Running(config, tmp_path) as running:
        assert until(lambda: running.get("/readyz")[0] == 503)
        reasons = json.loads(running.get("/readyz")[1])["reasons"]
        assert gone.name and "does not answer" in reasons["kafka:frames"]
        assert until(lambda: running.json("/api/cameras")[0]["ledger"]["scored"] > 5)


def test_sources_that_end_end_the_run(
    model: tuple[Path, bytes, bytes], valkey: EmbeddedValkey, prefix: str, tmp_path: Path
) -> None:
    path, normal, anomalous = model
    pictures_dir = tmp_path / "pictures"
    pictures_dir.mkdir()
    for i in range(12):
        (pictures_dir / f"{i:02}.jpg").write_bytes(anomalous if 4 <= i < 9 else normal)
    config = configuration(path, [{"files": {"camera": "bench", "path": str(pictures_dir)}}], valkey, prefix, tmp_path)
    running = Running(config, tmp_path)
    running.thread.start()
    running.thread.join(60)
    assert not running.thread.is_alive()
    account = running.service.ledger.accounts()["bench"]
    assert (account.captured, account.scored, account.in_flight) == (12, 12, 0)
    assert running.service.alert_count("bench") == 1


def test_an_episode_that_was_firing_goes_on_after_a_restart(
    model: tuple[Path, bytes, bytes],
    broker: EmbeddedBroker,
    topic: str,
    valkey: EmbeddedValkey,
    prefix: str,
    tmp_path: Path,
) -> None:
    path, normal, anomalous = model
    config = configuration(path, [kafka(broker, topic)], valkey, prefix, tmp_path)
    producer = KafkaProducer(bootstrap_servers=broker.address)

    def send(jpeg: bytes, count: int) -> None:
        for _ in range(count):
            producer.send(topic, key=b"line-1", value=jpeg)
        producer.flush(10)

    with Running(config, tmp_path) as first:
        send(anomalous, 6)
        assert until(lambda: len(first.json("/api/alerts")["alerts"]) == 1)
    with Running(config, tmp_path) as second:
        send(anomalous, 3)
        send(normal, 12)
        assert until(lambda: second.json("/api/alerts")["alerts"][0]["ended_at"] is not None)
        assert len(second.json("/api/alerts")["alerts"]) == 1


def test_with_a_token_all_but_healthz_ask_for_it(calm_line: dict[str, Any], tmp_path: Path) -> None:
    calm_line["http"]["token"] = "s3cret"
    with Running(calm_line, tmp_path) as running:
        for url in ("/", "/readyz", "/metrics", "/api/cameras", "/openapi.json", "/static/page.css"):
            assert running.get(url)[0] == 401, url
            assert running.get(url, authorization="Bearer wrong")[0] == 401, url
            assert running.get(url, authorization="Bearer s3cret")[0] in (200, 503), url
        assert running.get("/api/cameras", authorization="Basic OnMzY3JldA==")[0] == 200
        assert running.get("/api/cameras", authorization="Basic !!!")[0] == 401
        assert running.get("/healthz") == (200, b"ok")


def test_another_sites_page_cannot_change_anything(calm_line: dict[str, Any], tmp_path: Path) -> None:
    with Running(calm_line, tmp_path) as running:
        url = "/api/alerts/abc/acknowledge"
        assert running.get(url, "POST", **{"sec-fetch-site": "cross-site"})[0] == 403
        assert running.get(url, "POST", **{"sec-fetch-site": "same-origin"})[0] == 404
        assert running.get(url, "POST", origin="http://evil.example")[0] == 403  # plain http elsewhere says no more
        assert running.get(url, "POST", origin=running.url)[0] == 404
        assert running.get("/api/alerts/..%2f..%2fetc/evidence.jpg")[0] in (404, 422)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian package prometheus)")
def test_prometheus_own_checker_accepts_the_metrics(
    model: tuple[Path, bytes, bytes], valkey: EmbeddedValkey, prefix: str, tmp_path: Path
) -> None:
    path, normal, anomalous = model
    for i in range(8):
        (tmp_path / f"{i}.jpg").write_bytes(anomalous if i > 2 else normal)
    config = configuration(
        path,
        [{"files": {"camera": "b", "path": str(tmp_path / "*.jpg"), "loop": True, "fps": 50}}],
        valkey,
        prefix,
        tmp_path,
    )
    with Running(config, tmp_path) as running:
        assert until(lambda: running.json("/api/cameras")[0]["ledger"]["scored"] > 8)
        metrics = running.get("/metrics")[1]
        assert running.json("/openapi.json")["info"]["title"] == "linewatch"
    checked = subprocess.run(["promtool", "check", "metrics"], input=metrics, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_listeners_get_what_they_missed_and_may_leave_at_any_time(
    calm_line: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Running(calm_line, tmp_path) as running:
        for number in range(1, 40):
            running.service.outbox.write(event(number), 60)
        request = urllib.request.Request(running.url + "/api/events", headers={"Last-Event-ID": "0-0"})
        for _ in range(8):
            with urllib.request.urlopen(request, timeout=10) as stream:
                assert b"linewatch.alert.firing" in stream.read(300)
        with urllib.request.urlopen(request, timeout=10) as stream:
            ids = []
            while len(ids) < 39:
                line = stream.readline()
                if line.startswith(b"data:"):
                    ids.append(json.loads(line[5:])["id"])
        assert ids == [f"{number:x}.firing" for number in range(1, 40)]
        with urllib.request.urlopen(running.url + "/api/events", timeout=10) as stream:
            stream.readline()  # connected: from now on
            running.service.outbox.write(event(99), 60)
            assert any(b'"63.firing"' in stream.readline() for _ in range(10))
        assert running.get("/healthz")[0] == 200
    assert "Exception" not in caplog.text
