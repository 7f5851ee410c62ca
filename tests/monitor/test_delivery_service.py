"""An alert's whole way, from frames to people and back: every part as in production, every peer a real one."""

from __future__ import annotations

import email
import email.policy
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from email.message import EmailMessage
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from kafka import KafkaProducer

from monitor.delivery.channels.signature import HEADER, verify
from monitor.embedded import EmbeddedBroker, EmbeddedValkey
from monitor.embedded.server import free_port
from tests.monitor.peer import HttpPeer
from tests.monitor.service import Running, checkpoint, pictures, until

pytestmark = pytest.mark.slow

TOKEN, OTTO, SECRET = "whole-0123456789abcdef", "otto-0123456789abcdef", "hook-secret-0123456789"
IN_TIME_S = 8
"""So long nobody is called in. What is acknowledged here is so within a second or two of a quiet machine."""


class Mailbox:
    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        self.mails.append(email.message_from_bytes(content, _class=EmailMessage, policy=email.policy.default))
        return "250 OK"

    def about(self, words: str) -> list[EmailMessage]:
        return [mail for mail in self.mails if words in mail["Subject"]]


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    box = Mailbox()
    server = Controller(box, hostname="127.0.0.1", port=free_port())
    server.start()
    yield box, server.port
    server.stop()


class Line:
    """Cameras that write to a topic, ten frames a second by their clock and as fast as may be by ours."""

    def __init__(self, address: str, topic: str) -> None:
        self._producer, self._topic = KafkaProducer(bootstrap_servers=address), topic
        self._at_ns = time.time_ns() - 4_000_000_000
        self._seq = 0

    def show(self, jpeg: bytes, count: int, *cameras: str) -> None:
        for _ in range(count):
            self._seq, self._at_ns = self._seq + 1, self._at_ns + 100_000_000
            headers = [("seq", b"%d" % self._seq), ("captured_at", b"%d" % self._at_ns)]
            for camera in cameras:
                self._producer.send(self._topic, key=camera.encode(), value=jpeg, headers=headers)
        self._producer.flush(10)

    def close(self) -> None:
        self._producer.close(5)


@contextmanager
def listening(url: str) -> Iterator[list[dict[str, Any]]]:
    """The events as a page hears them, until the service ends."""
    heard: list[dict[str, Any]] = []
    headers = {"Authorization": f"Bearer {OTTO}"}
    with httpx.stream("GET", f"{url}/api/events", headers=headers, timeout=60, trust_env=False) as answer:
        assert answer.status_code == 200

        def hear() -> None:
            try:
                for line in answer.iter_lines():
                    if line.startswith("data: "):
                        heard.append(json.loads(line.removeprefix("data: ")))
            except (httpx.HTTPError, httpx.StreamError):
                return  # the service ends

        thread = threading.Thread(target=hear)
        thread.start()
        yield heard
        thread.join(20)
    assert not thread.is_alive(), "the end of the service ends the stream"


def attached(mail: EmailMessage) -> dict[str, bytes]:
    return {str(part.get_filename()): part.get_payload(decode=True) for part in mail.iter_attachments()}  # type: ignore


def links_of(mail: EmailMessage) -> dict[str, str]:
    """The addresses behind words."""
    body = mail.get_body(("html",))
    assert body is not None
    found = re.findall(r'<a href="([^"]+)">([^<]+)</a>', body.get_content())
    return {words: unescape(address) for address, words in found}


def test_an_alert_reaches_people_is_answered_by_a_link_and_escalated_where_nobody_answers(
    mailbox: tuple[Mailbox, int],
    broker: EmbeddedBroker,
    topic: str,
    valkey: EmbeddedValkey,
    prefix: str,
    tmp_path: Path,
) -> None:
    box, smtp_port = mailbox
    model = tmp_path / "model.safetensors"
    normal, anomalous = pictures(checkpoint(model))
    kafka = {"bootstrap_servers": broker.address, "topic": topic, "group_id": topic, "session_timeout_ms": 6000}
    with HttpPeer() as hook:
        config = {
            "model": {"checkpoint": str(model), "device": "cpu"},
            "sources": [{"kafka": kafka}],
            "redis": {"url": valkey.address, "prefix": prefix},
            "http": {"port": 0, "token": TOKEN, "access": [{"name": "Otto", "role": "operator", "token": OTTO}]},
            "evidence": {"dir": str(tmp_path / "evidence"), "clip": {"before_s": 0.5, "after_s": 0.3}},
            "window": {"warm_up_frames": 5},
            "alerts": {"cooldown_s": 0},
            "health": {"enabled": False},  # the line of this test shows one and the same picture
            "channels": [
                {"name": "hook", "webhook": {"url": f"{hook.url}/alerts", "secret": SECRET}},
                {
                    "name": "mail",
                    "apprise": {
                        "url": f"mailto://127.0.0.1:{smtp_port}?from=line@plant.example&to=shift@plant.example",
                        "attach": ["picture", "heatmap", "clip"],
                    },
                },
            ],
            "delivery": {"allow_targets": ["127.0.0.1"]},
            "subscriptions": [{"name": "boss", "to": ["hook"], "tell": ["escalated"]}],
        }
        line = Line(broker.address, topic)
        with ExitStack() as after, Running(config, tmp_path) as running:
            heard = after.enter_context(listening(running.url))
            there_and_back(running.url, box, hook, line, (normal, anomalous), heard)
        line.close()


def there_and_back(
    url: str, box: Mailbox, hook: HttpPeer, line: Line, shown: tuple[bytes, bytes], heard: list[dict[str, Any]]
) -> None:
    normal, anomalous = shown
    everybody = httpx.Client(timeout=30, trust_env=False)
    admin, otto = (
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30, trust_env=False)
        for token in (TOKEN, OTTO)
    )
    shift = {"name": "shift", "to": ["hook", "mail"], "escalate": {"to": "boss", "after_s": IN_TIME_S}}
    assert otto.post("/api/subscriptions", json={"subscription": shift}).status_code == 403
    assert admin.post("/api/subscriptions", json={"subscription": shift, "by": "Ada"}).status_code == 201

    line.show(normal, 15, "seen", "unseen")
    line.show(anomalous, 8, "seen", "unseen")

    # The message: with the very picture, and links that open without a token.
    assert until(lambda: len(box.about("part anomaly, critical")) == 2)
    mail = next(mail for mail in box.mails if mail["Subject"].startswith("seen: "))
    files = attached(mail)
    assert list(files) == ["seen-picture.jpg", "seen-heatmap.jpg", "seen-clip.mp4"]
    assert files["seen-picture.jpg"] == anomalous and files["seen-clip.mp4"][4:8] == b"ftyp"
    links = links_of(mail)
    assert everybody.get(links["Picture"]).content == anomalous
    assert everybody.get(links["Clip"], headers={"Range": "bytes=4-7"}).content == b"ftyp"
    assert everybody.get(links["Heat map"]).headers["content-type"] == "image/jpeg"
    assert everybody.get(f"{url}/api/alerts").status_code == 401, "which all else needs"

    # The webhook: signed, and complete.
    assert until(lambda: len(hook.requests) == 2)
    for request in hook.requests:
        verify(SECRET, request.headers[HEADER.lower()], request.body, time.time())
    told = {event["subject"]: event for event in (json.loads(request.body) for request in hook.requests)}
    data = told["seen"]["data"]
    assert data["evidence_url"] == data["links"]["picture"] and data["clip_url"] == data["links"]["clip"]
    assert everybody.get(data["clip_url"]).headers["cache-control"] == "private, no-cache"

    # Looking changes nothing; pressing the button does, everywhere and at once.
    act = links["Acknowledge, shelve or escalate"]
    assert "Nobody has answered yet" in everybody.get(act).text
    pressed = everybody.post(act, data={"do": "acknowledge", "by": "Zoë <b>"}, follow_redirects=True)
    assert "Acknowledged by Zoë &lt;b&gt; (link of shift)" in pressed.text
    by = "Zoë <b> (link of shift)"
    alert = otto.get(f"/api/alerts/{data['alert_id']}").json()
    assert alert["acknowledged_by"] == by and alert["acknowledged_at"] > alert["started_at"]
    assert until(lambda: "linewatch.alert.acknowledged" in [event["type"] for event in heard])
    assert next(e for e in heard if e["type"].endswith("acknowledged"))["data"]["acknowledged_by"] == by

    # The part is gone: the message that says so knows who saw to it.
    line.show(normal, 15, "seen")
    assert until(lambda: bool(box.about("resolved")))
    resolved = box.about("resolved")[0].get_body(("plain",))
    assert resolved is not None and "Seen by: Zoë ＜b＞ (link of shift)" in resolved.get_content()

    # The other one nobody acknowledged.
    assert until(lambda: len(hook.requests) == 4)
    escalated = json.loads(hook.requests[3].body)
    assert (escalated["type"], escalated["subject"]) == ("linewatch.alert.escalated", "unseen")
    assert (escalated["data"]["escalated_by"], escalated["data"]["escalated_to"]) == ("linewatch", "boss")
    assert until(lambda: heard[-1]["id"] == escalated["id"])
    everything_once(otto, hook, heard)


def everything_once(otto: httpx.Client, hook: HttpPeer, heard: list[dict[str, Any]]) -> None:
    state = {one["camera"]: one for one in otto.get("/api/alerts").json()["alerts"]}
    assert len(state) == 2 and state["seen"]["escalated_at"] is None and state["seen"]["ended_at"] is not None
    assert state["unseen"]["escalated_to"] == "boss" and state["unseen"]["acknowledged_at"] is None
    kinds = [(event["subject"], event["type"].rpartition(".")[2]) for event in heard]
    assert sorted(kinds) == [
        ("seen", "acknowledged"),
        ("seen", "firing"),
        ("seen", "resolved"),
        ("unseen", "escalated"),
        ("unseen", "firing"),
    ]
    keys = [request.headers["idempotency-key"] for request in hook.requests]
    assert len(set(keys)) == len(keys) == 4, "firing twice, resolved, escalated"
    channels = {one["name"]: one for one in otto.get("/api/subscriptions").json()["channels"]}
    assert all(one["queued"] == one["dead"] == 0 for one in channels.values())
