"""Troubles of cameras on their way out: the events of the contract, the picture, the way back after a restart."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis

from dashboards.grafana import PushOutcome
from monitor.alerting.alert import ANOMALY, alert_of_trouble
from monitor.alerting.evidence import EvidenceStore
from monitor.alerting.outbox import Outbox
from monitor.alerting.reporter import Reporter
from monitor.delivery.channels.grafana import GrafanaChannel
from monitor.judging.health import Condition, Trouble
from streams.codec import encode_jpeg
from streams.frame import Frame
from tests.monitor.peer import FakeMaterials, delivery
from tests.monitor.scenes import T0_NS

FRAME = Frame("line-1", 7, T0_NS, "frames/0/7", payload=encode_jpeg(np.zeros((48, 64, 3), np.uint8)))


def trouble(condition: Condition, ended: bool = False) -> Trouble:
    return Trouble(
        trouble_id="c0de" if condition is Condition.COVERED else "0ff",
        camera="line-1",
        condition=condition,
        began_at_ns=T0_NS,
        ended_at_ns=T0_NS + 5_000_000_000 if ended else None,
        value=0.75,
        limit=0.5,
    )


@pytest.fixture
def outbox(redis_client: redis.Redis, prefix: str) -> Outbox:
    return Outbox(redis_client, prefix)


@pytest.fixture
def evidence(tmp_path: Path) -> EvidenceStore:
    return EvidenceStore(tmp_path, 1)


@pytest.fixture
def reporter(outbox: Outbox, evidence: EvidenceStore) -> Reporter:
    def heat(picture: object) -> Any:
        raise AssertionError("a camera's trouble has no heat map")

    return Reporter(
        outbox, evidence, heat, model=lambda: "m", base_url="http://h", keep_s=60, written=lambda event: None
    )


def events(outbox: Outbox, client: redis.Redis) -> list[dict[str, Any]]:
    rows: Any = client.xrange(outbox.stream)
    return [json.loads(fields["event"]) for _, fields in rows]


class FakeGrafana:
    """Keeps regions as Grafana would; the adapters themselves are tested against HTTP in tests/dashboards."""

    def __init__(self) -> None:
        self.regions: list[dict[str, Any]] = []
        self.error: Exception | None = None

    def health(self) -> str:
        return "13"

    def ensure_folder(self, uid: str, title: str) -> bool:
        return True

    def push_dashboard(self, dashboard: Mapping[str, Any], folder_uid: str) -> PushOutcome:
        return "created"

    def find_annotation(self, tag: str) -> int | None:
        return next((i for i, r in enumerate(self.regions) if tag in r["tags"]), None)

    def open_region(self, time_ms: int, tags: Sequence[str], text: str) -> int:
        if self.error:
            raise self.error
        found = self.find_annotation(next(t for t in tags if t.startswith("alert:")))
        if found is None:
            self.regions.append({"time": time_ms, "tags": list(tags), "text": text})
            return len(self.regions) - 1
        return found

    def close_region(self, annotation_id: int, time_end_ms: int) -> None:
        self.regions[annotation_id]["timeEnd"] = time_end_ms

    def close(self) -> None:
        """Nothing is open."""


def test_a_covered_camera_is_degraded_and_then_online(
    outbox: Outbox, evidence: EvidenceStore, reporter: Reporter, redis_client: redis.Redis
) -> None:
    reporter.report_trouble(trouble(Condition.COVERED), FRAME)
    assert [a.condition for a in outbox.firing()] == ["covered"]
    reporter.report_trouble(trouble(Condition.COVERED, ended=True), FRAME)
    began, ended = events(outbox, redis_client)
    assert (began["type"], ended["type"]) == ("linewatch.camera.degraded", "linewatch.camera.online")
    assert began["subject"] == "line-1" and began["id"] != ended["id"]
    assert began["data"]["alert_id"] == ended["data"]["alert_id"] == "c0de"
    assert (began["data"]["condition"], began["data"]["severity"]) == ("covered", "warning")
    assert (began["data"]["peak_score"], began["data"]["threshold"]) == (0.75, 0.5)
    assert began["data"]["frame"]["origin"] == "frames/0/7"
    assert began["data"]["evidence_url"] == "http://h/api/alerts/c0de/evidence.jpg"
    picture = evidence.find("c0de", "evidence")
    assert picture is not None and picture.read_bytes() == FRAME.payload
    assert evidence.find("c0de", "heatmap") is None
    assert outbox.firing() == []


def test_an_offline_camera_has_no_picture_and_is_critical(
    outbox: Outbox, reporter: Reporter, redis_client: redis.Redis
) -> None:
    reporter.report_trouble(trouble(Condition.OFFLINE), None)
    (event,) = events(outbox, redis_client)
    assert (event["type"], event["data"]["severity"]) == ("linewatch.camera.offline", "critical")
    assert event["data"]["frame"] is None and event["data"]["evidence_url"] is None


@pytest.mark.parametrize("condition", list(Condition))
def test_a_new_process_gets_the_same_trouble_back(condition: Condition, outbox: Outbox, reporter: Reporter) -> None:
    reporter.report_trouble(trouble(condition), None)
    (alert,) = outbox.firing()
    assert alert.condition != ANOMALY and alert.trouble() == trouble(condition)


def test_grafana_shows_it_as_one_region() -> None:
    grafana = FakeGrafana()
    channel = GrafanaChannel("grafana", grafana, FakeMaterials())
    for kind, ended in (("degraded", False), ("degraded", False), ("online", True)):
        alert = alert_of_trouble(trouble(Condition.COVERED, ended), "m", FRAME, None)
        event = {"type": f"linewatch.camera.{kind}", "id": f"{alert.alert_id}.{kind}", "subject": alert.camera}
        channel.deliver(delivery(event | {"data": alert.model_dump(mode="json")}))
    (region,) = grafana.regions
    assert region["text"].startswith("Camera line-1: covered") and "condition:covered" in region["tags"]
    assert region["timeEnd"] == (T0_NS + 5_000_000_000) // 1_000_000
