"""What webhooks say: to a real Alertmanager, to whatever takes its webhooks, and by templates of the site's own."""

from __future__ import annotations

import json
import os
import shutil
import time
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from monitor.alerting.alert import TEST
from monitor.channel_settings import ChannelSettings
from monitor.delivery.channels.alertmanager import NEVER, webhook_body
from monitor.delivery.channels.channel import Channel, DeliveryRefused
from monitor.delivery.channels.make import make_channel
from monitor.delivery.delivery import Kind
from monitor.embedded.child import ChildProcess
from monitor.embedded.server import free_port
from monitor.judging.episodes import Change
from tests.monitor.peer import FakeMaterials, HttpPeer, delivery, event
from tests.monitor.service import until

PROGRAM = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")


def hook(url: str, **settings: Any) -> Channel:
    entry = ChannelSettings.model_validate({"name": "hook", "webhook": {"url": url, **settings}})
    return make_channel(entry, FakeMaterials(), ("127.0.0.1",))


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    """The address of a real one that sends nothing to anybody."""
    if PROGRAM is None:
        message = "no prometheus-alertmanager on the PATH (Debian: apt install prometheus-alertmanager)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    config = tmp_path / "alertmanager.yml"
    config.write_text("route: {receiver: nobody, group_wait: 0s}\nreceivers: [{name: nobody}]\n")
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [PROGRAM, f"--config.file={config}", f"--storage.path={tmp_path / 'data'}", "--cluster.listen-address="]
    child = ChildProcess([*command, f"--web.listen-address=127.0.0.1:{port}"], {}, str(tmp_path), grace_s=5)

    def answers() -> bool:
        assert child.running, child.log_tail()
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    try:
        assert until(answers), child.log_tail()
        yield url
    finally:
        child.stop()


def kept(url: str) -> list[dict[str, Any]]:
    """The alerts that this Alertmanager takes for open."""
    with urllib.request.urlopen(f"{url}/api/v2/alerts", timeout=10) as answer:
        return list(json.load(answer))


def test_an_alertmanager_has_each_alert_once_until_it_is_over(alertmanager: str) -> None:
    now_ns = time.time_ns() - 5_000_000_000
    channel = hook(f"{alertmanager}/api/v2/alerts", format="alertmanager")

    def told(change: Change, severity: str = "warning") -> dict[str, Any]:
        return event(1, change, severity, at_ns=now_ns)

    channel.deliver(delivery(told(Change.FIRING)))
    channel.deliver(delivery(told(Change.FIRING)))
    assert until(lambda: len(kept(alertmanager)) == 1), kept(alertmanager)
    (alert,) = kept(alertmanager)
    assert alert["labels"] == {
        "alertname": "linewatch_anomaly", "alert_id": f"{1:016x}", "camera": "cam-1", "condition": "anomaly",
        "severity": "warning", "line": "hall 3",
    }  # fmt: skip
    assert alert["annotations"]["picture"].startswith("https://linewatch.example/l/")
    # Without an end of ours it would be over in five minutes, though the episode goes on.
    assert datetime.fromisoformat(alert["endsAt"]).timestamp() > time.time() + 86_400

    channel.deliver(delivery(told(Change.RAISED, "critical")))
    assert until(lambda: [a["labels"]["severity"] for a in kept(alertmanager)] == ["critical"]), kept(alertmanager)
    channel.deliver(delivery(told(Change.FIRING), event(2, at_ns=now_ns, camera="cam-2"), kind=Kind.GROUP))
    assert until(lambda: len(kept(alertmanager)) == 3)
    for change, number in ((Change.RESOLVED, 1), (Change.RESOLVED, 2)):
        severity, camera = ("critical", "cam-1") if number == 1 else ("warning", "cam-2")
        channel.deliver(delivery(event(number, change, severity, at_ns=now_ns, camera=camera)))
    assert until(lambda: kept(alertmanager) == []), kept(alertmanager)
    ahead = event(3, Change.RAISED, "critical", at_ns=now_ns + 60_000_000_000)  # a camera's clock
    channel.deliver(delivery(ahead))
    channel.close()


def test_alertmanagers_webhook_body_is_the_same_alert_from_firing_to_resolved() -> None:
    firing = webhook_body(delivery(event(1)), FakeMaterials())
    resolved = webhook_body(delivery(event(1, Change.RESOLVED, "critical")), FakeMaterials())
    assert set(firing) == {
        "version", "groupKey", "truncatedAlerts", "status", "receiver", "groupLabels", "commonLabels",
        "commonAnnotations", "externalURL", "alerts",
    }  # fmt: skip
    assert set(firing["alerts"][0]) == {
        "status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint",
    }  # fmt: skip
    assert (firing["version"], firing["receiver"], firing["status"]) == ("4", "hook", "firing")
    assert firing["alerts"][0]["endsAt"] == NEVER and firing["externalURL"] == "https://linewatch.example"
    assert resolved["status"] == "resolved" and resolved["groupKey"] == firing["groupKey"]
    assert resolved["alerts"][0]["fingerprint"] == firing["alerts"][0]["fingerprint"]
    for name in ("startsAt", "endsAt"):
        assert datetime.fromisoformat(resolved["alerts"][0][name]).year >= 2026


def test_of_several_events_about_one_alert_the_last_counts() -> None:
    several = delivery(event(1), event(2, camera="cam-2"), event(1, Change.RESOLVED), omitted=4)
    body = webhook_body(several, FakeMaterials())
    assert [(a["labels"]["camera"], a["status"]) for a in body["alerts"]] == [
        ("cam-1", "resolved"),
        ("cam-2", "firing"),
    ]
    assert body["status"] == "firing" and body["truncatedAlerts"] == 4
    assert "camera" not in body["commonLabels"] and body["commonLabels"]["line"] == "hall 3"
    test = webhook_body(delivery(event(1) | {"type": TEST}, kind=Kind.TEST), FakeMaterials())
    assert test["alerts"][0]["labels"]["alertname"] == "linewatch_test"


def test_a_template_makes_the_body(tmp_path: Path) -> None:
    file = tmp_path / "body.j2"
    file.write_text(
        '{"text": {{ (event.data.camera ~ " in " ~ place.line) | tojson }}, "picture": {{ links.picture | tojson }},\n'
        ' "all": [{% for e in events %}{{ e.id | tojson }}{{ "," if not loop.last }}{% endfor %}],\n'
        ' "key": {{ delivery.id | tojson }}}'
    )
    with HttpPeer() as peer:
        channel = hook(f"{peer.url}/in", format="template", template=str(file), content_type="application/x+json")
        channel.deliver(delivery(event(1), event(2, camera='"quoted"\n')))
        channel.close()
    (request,) = peer.requests
    assert request.headers["content-type"] == "application/x+json"
    found = json.loads(request.body)
    assert found["text"] == '"quoted"\n in hall 3' and len(found["all"]) == 2
    assert found["key"] == request.headers["idempotency-key"] and "sig=1" in found["picture"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{\n{% if %}}", "body.j2, line 2: "),
        ("{\n\n{{ event.data.kamera | tojson }}}", "body.j2, line 3: UndefinedError: .*kamera"),
        ("\n{{ event.__class__.__mro__ }}", "body.j2, line 2: SecurityError"),
        ('{% include "other" %}', "body.j2, line 1: "),
        ('{"camera": {{ event.data.camera }}}', "body.j2: makes no JSON: .*tojson"),
        ("{% for i in range(99999) %}{% for j in range(99999) %}xxxxxxxx{% endfor %}{% endfor %}", "makes more than"),
        (None, "cannot read .*body.j2"),
        (b"\xff", "body.j2 is not UTF-8"),
    ],
)
def test_a_template_that_cannot_work_is_told_at_the_start(
    tmp_path: Path, text: str | bytes | None, message: str
) -> None:
    file = tmp_path / "body.j2"
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=f"channel hook: .*{message}"):
        hook("http://127.0.0.1:1/", format="template", template=str(file))


def test_a_template_that_fails_later_is_final(tmp_path: Path) -> None:
    file = tmp_path / "body.j2"
    file.write_text("{{ 'ok' }}\n{{ event.data.frame.seq }}")
    channel = hook("http://127.0.0.1:1/", format="template", template=str(file), content_type="text/plain")
    of_a_storm = event(1) | {"data": event(1)["data"] | {"frame": None}}
    with pytest.raises(DeliveryRefused, match="line 2: UndefinedError"):
        channel.deliver(delivery(of_a_storm))
