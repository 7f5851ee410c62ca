"""Webhooks over real connections: what is sent, the signature, what answers mean, and what nobody is told."""

from __future__ import annotations

import base64
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.channel_settings import ChannelSettings, Webhook
from monitor.delivery.channels.channel import Channel, DeliveryFailed, DeliveryRefused
from monitor.delivery.channels.make import make_channel
from monitor.delivery.channels.signature import SignatureWrong, sign, verify
from monitor.delivery.channels.targets import Targets
from monitor.delivery.channels.webhook import RETRY_AFTER_AT_MOST_S, WebhookChannel, retry_after_s
from tests.monitor.peer import Answered, FakeMaterials, HttpPeer, Request, delivery, event
from tests.streams.test_kafka_security import certificate

SECRET = "shared-between-both-sides"
HERE = ("127.0.0.1",)


@pytest.fixture
def peer() -> Iterator[HttpPeer]:
    with HttpPeer() as server:
        yield server


def hook(url: str, **settings: Any) -> Channel:
    entry = ChannelSettings.model_validate({"name": "hook", "webhook": {"url": url, **settings}})
    return make_channel(entry, FakeMaterials(), HERE)


def test_each_try_carries_the_same_key_and_a_signature_that_holds(peer: HttpPeer) -> None:
    """The receiver verifies as docs/channels.md tells others to."""
    page = (Path(__file__).parents[2] / "docs/channels.md").read_text(encoding="utf-8")
    told: dict[str, Any] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], told)
    taken: set[str] = set()

    def receive(request: Request) -> Answered:
        try:
            verify(SECRET, request.headers["x-linewatch-signature"], request.body, time.time())
        except SignatureWrong as error:
            return Answered(401, str(error).encode())
        assert told["genuine"](SECRET, request.headers["x-linewatch-signature"], request.body)
        assert not told["genuine"](SECRET, request.headers["x-linewatch-signature"], request.body + b" ")
        assert not told["genuine"](SECRET, sign(SECRET, request.body, time.time() - 400), request.body)
        taken.add(request.headers["idempotency-key"])
        return Answered(204, b"")

    peer.answer = receive
    channel = hook(f"{peer.url}/in", secret=SECRET, token="t0ken-of-the-hook")
    channel.deliver(delivery())
    channel.deliver(delivery())
    channel.close()
    channel.deliver(delivery(event(2)))  # connects anew
    channel.close()
    assert len(peer.requests) == 3 and taken == {delivery().delivery_id, delivery(event(2)).delivery_id}
    headers = peer.requests[0].headers
    assert headers["authorization"] == "Bearer t0ken-of-the-hook"
    assert headers["user-agent"].startswith("linewatch/") and headers["host"] == f"127.0.0.1:{peer.port}"
    with pytest.raises(DeliveryRefused, match="HTTP 401: the signature does not fit"):
        hook(f"{peer.url}/in", secret="another").deliver(delivery())


@given(st.binary(max_size=200), st.integers(0, 2**33), st.integers(-1000, 1000))
def test_a_signature_holds_for_its_body_and_its_time_only(body: bytes, now_s: int, passed_s: int) -> None:
    header = sign(SECRET, body, now_s)
    if abs(passed_s) <= 300:
        verify(SECRET, header, body, now_s + passed_s)
    else:
        with pytest.raises(SignatureWrong, match="s ago"):
            verify(SECRET, header, body, now_s + passed_s)
    for secret, said, content in (
        (SECRET, header, body + b"."),
        (SECRET, header.replace(f"t={now_s}", f"t={now_s + 1}"), body),
        ("shared", header, body),
        (SECRET, header[:-1], body),
        (SECRET, "", body),
    ):
        with pytest.raises(SignatureWrong):
            verify(secret, said, content, now_s)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (302, DeliveryRefused),
        (400, DeliveryRefused),
        (404, DeliveryRefused),
        (408, DeliveryFailed),
        (429, DeliveryFailed),
        (503, DeliveryFailed),
    ],
)
def test_what_an_answer_means(peer: HttpPeer, status: int, expected: type[Exception]) -> None:
    peer.answer = lambda request: Answered(status, b"no\x1b[2J\n " * 300, {"Location": "/other", "Retry-After": "7"})
    with pytest.raises(expected, match=f"HTTP {status}") as caught:
        hook(f"{peer.url}/in").deliver(delivery())
    assert len(peer.requests) == 1 and str(caught.value).isprintable() and len(str(caught.value)) < 300
    if isinstance(caught.value, DeliveryFailed):
        assert caught.value.retry_after_s == 7


@given(st.one_of(st.text(max_size=40), st.integers().map(str), st.floats().map(str)))
def test_retry_after_is_bounded_whatever_comes(value: str) -> None:
    found = retry_after_s(value, 1_800_000_000.0)
    assert found is None or 0 <= found <= RETRY_AFTER_AT_MOST_S


def test_retry_after_as_date() -> None:
    now = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
    for seconds, expected in ((90, 90), (-90, 0), (1_000_000, RETRY_AFTER_AT_MOST_S)):
        said = format_datetime(now + timedelta(seconds=seconds), usegmt=True)
        assert retry_after_s(said, now.timestamp()) == expected
    assert retry_after_s("120", 0) == 120 and retry_after_s("soon", 0) is None and retry_after_s(None, 0) is None


def test_no_secret_is_ever_told(peer: HttpPeer, caplog: pytest.LogCaptureFixture) -> None:
    """Also where the server repeats all that it was sent, and where nobody answers."""
    caplog.set_level(logging.DEBUG)
    peer.answer = lambda request: Answered(400, request.path.encode() + b" " + str(request.headers).encode())
    secrets = ("l0gin-pass", "T0ken-of-hook", "p4th-of-the-hook", "qu3ry-of-the-hook", SECRET)
    login, token, path, query, _ = secrets
    tail = f"/services/{path}?key={query}"
    told = []
    for url, given_token in (
        (f"http://user:{login}@127.0.0.1:{peer.port}{tail}", None),
        (f"http://127.0.0.1:{peer.port}{tail}", token),
        (f"http://user:{login}@127.0.0.1:1{tail}", None),
        (f"http://user:{login}@localhost.invalid:1{tail}", None),
    ):
        channel = hook(url, secret=SECRET, token=given_token)
        with pytest.raises((DeliveryRefused, DeliveryFailed)) as caught:
            channel.deliver(delivery())
        assert caught.value.__context__ is None or caught.value.__suppress_context__
        told.append(str(caught.value))
    assert "HTTP 400: /***" in told[1] and f"http://127.0.0.1:{peer.port}" in told[1], told
    assert "refused" in told[2]
    for wrong in (f"http://[{path}", f"http:///{path}", f"http://user:1#{login}@host/", f"http://user:{login}/@host/"):
        with pytest.raises(ValueError, match="channel hook: url:") as unreadable:
            hook(wrong)
        told.append(str(unreadable.value))
    with pytest.raises(ValueError, match="token: expected one line") as many_lines:
        hook(peer.url, token=f"{token}\nX: y")
    everything = "\n".join([*told, str(many_lines.value), caplog.text])
    assert peer.requests[0].headers["authorization"].startswith("Basic ")
    sent = base64.b64encode(f"user:{login}".encode()).decode()
    assert not [secret for secret in (*secrets, sent, sent.rstrip("=")) if secret in everything]


class Dripping:
    """A server that answers one byte at a time and never comes to an end."""

    def __init__(self, head: bytes) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(head,))

    def _run(self, head: bytes) -> None:
        with self._listener, self._listener.accept()[0] as connection:
            try:
                connection.sendall(head)
                while not self._over.wait(0.02):
                    connection.sendall(b"x")
            except OSError:
                self._over.wait(30)

    def __enter__(self) -> Dripping:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(10)


def test_the_time_limit_holds_for_all_of_a_request() -> None:
    """Each wait for a byte is short; only their sum is not."""
    for head, expected in ((b"HTTP/1.1 200 O", DeliveryFailed), (b"HTTP/1.1 500 No\r\n\r\n", DeliveryFailed)):
        with Dripping(head) as server:
            began_s = time.monotonic()
            with pytest.raises(expected):
                hook(f"http://127.0.0.1:{server.port}/", timeout_s=0.3).deliver(delivery())
            assert 0.25 < time.monotonic() - began_s < 10
    with Dripping(b"HTTP/1.1 200 OK\r\n\r\n") as server:  # it has said that it took it
        hook(f"http://127.0.0.1:{server.port}/", timeout_s=0.3).deliver(delivery())


def test_an_answer_is_read_up_to_its_limit_only(peer: HttpPeer) -> None:
    peer.answer = lambda request: Answered(200, bytes(50_000_000))
    channel = hook(peer.url)
    began_s = time.monotonic()
    channel.deliver(delivery())
    assert time.monotonic() - began_s < 10
    peer.answer = lambda request: Answered()
    channel.deliver(delivery())  # the first connection is of no use any more


def test_tls_checks_the_name_though_it_connects_to_the_address(tmp_path: Path) -> None:
    good, bad = (certificate(tmp_path, n, f"DNS:{n}") for n in ("localhost", "elsewhere.example"))
    for pair, works in ((good, True), (bad, False)):
        with HttpPeer(certificate=pair) as peer:
            settings = Webhook.model_validate({"url": f"https://localhost:{peer.port}/", "ca_file": pair[0]})
            channel = WebhookChannel("hook", settings, FakeMaterials(), Targets(["localhost"]))
            if works:
                channel.deliver(delivery())
                untrusting = WebhookChannel(
                    "hook", settings.model_copy(update={"ca_file": None}), FakeMaterials(), Targets(["localhost"])
                )
                with pytest.raises(DeliveryFailed, match="CERTIFICATE_VERIFY_FAILED"):
                    untrusting.deliver(delivery())
                untrusting.close()
            else:
                with pytest.raises(DeliveryFailed, match=r"[Hh]ostname mismatch"):
                    channel.deliver(delivery())
            channel.close()
    for content, message in ((None, "cannot read"), ("no certificate", "holds no certificate")):
        file = tmp_path / "wrong.pem"
        if content is not None:
            file.write_text(content)
        with pytest.raises(ValueError, match=f"channel hook: ca_file: .*{message}|channel hook: ca_file: {message}"):
            hook("https://localhost/", ca_file=str(file))


def test_cloudevents_alone_and_as_a_batch(peer: HttpPeer) -> None:
    channel = hook(peer.url)
    channel.deliver(delivery())
    channel.deliver(delivery(event(1), event(2), omitted=3))
    channel.close()
    one, several = peer.requests
    assert one.headers["content-type"] == "application/cloudevents+json"
    assert several.headers["content-type"] == "application/cloudevents-batch+json"
    assert several.headers["x-linewatch-omitted"] == "3"
    found = json.loads(one.body)
    assert (found["id"], found["subject"]) == (event()["id"], "cam-1")
    assert found["data"]["links"]["picture"] == found["data"]["evidence_url"]
    assert found["data"]["links"]["picture"].endswith("sig=1&for=night-shift")
    assert found["data"]["place"] == {"line": "hall 3", "tags": ["north"]}
    assert [each["id"] for each in json.loads(several.body)] == [event(1)["id"], event(2)["id"]]
