"""The channel through Apprise, against a real SMTP server and a real HTTP server."""

from __future__ import annotations

import base64
import email.policy
import io
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from email.message import EmailMessage
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from monitor.channel_settings import Apprise
from monitor.delivery.channels.apprise_channel import AppriseChannel
from monitor.delivery.channels.apprise_reasons import without_secrets
from monitor.delivery.channels.channel import DeliveryFailed, DeliveryRefused
from monitor.delivery.delivery import Kind
from tests.monitor.told import JPEG, MadeUp, event, many, one

PASSWORD = "s3cret-Pass"


@pytest.fixture
def our_logs() -> Iterator[io.StringIO]:
    """All that gets to the root logger, at any level. (caplog would also listen where nothing is passed on.)"""
    root, said = logging.getLogger(), io.StringIO()
    handler, level = logging.StreamHandler(said), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield said
    root.setLevel(level)
    root.removeHandler(handler)


class Mailbox:
    """Keeps the mails that arrive. refuse: what to say to a recipient instead of OK."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, EmailMessage]] = []
        self.refuse: dict[str, str] = {}
        self.too_big_above: int | None = None
        self.wait: threading.Event | None = None

    async def handle_RCPT(self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _o: Any) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        content = cast(bytes, envelope.content)
        if self.too_big_above is not None and len(content) > self.too_big_above:
            return "552 5.3.4 message too big"
        mail = BytesParser(policy=email.policy.default).parsebytes(content)
        self.mails.append((envelope.rcpt_tos[0], mail))
        return "250 OK"


def _login(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and data.password == PASSWORD.encode()
    return AuthResult(success=right, handled=False)  # the server is to say so itself


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def smtp_port(mailbox: Mailbox) -> Iterator[int]:
    server = Controller(mailbox, hostname="127.0.0.1", port=_free_port(), authenticator=_login, auth_require_tls=False)
    server.start()
    yield server.port
    server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _mailto(port: int, password: str = PASSWORD, more: str = "", to: str = "shift@plant.example") -> str:
    login = f"watcher:{password}@" if password else ""
    return f"mailto://{login}127.0.0.1:{port}/?from=watcher@plant.example&to={to}{more}"


def _channel(url: str, **settings: Any) -> AppriseChannel:
    return AppriseChannel("phone", Apprise.model_validate({"url": url, "timeout_s": 10, **settings}), MadeUp())


def test_a_mail_has_subject_text_html_and_the_very_picture(mailbox: Mailbox, smtp_port: int) -> None:
    channel = _channel(_mailto(smtp_port), attach=["picture", "heatmap", "clip"])
    delivery = one(event(0, camera="line-3\r\nBcc: all@plant.example <b>"))
    channel.deliver(delivery)
    ((recipient, mail),) = mailbox.mails
    assert recipient == "shift@plant.example"
    assert mail["Subject"] == "line-3 Bcc: all＠plant.example ＜b＞: part anomaly, critical"
    assert mail["Bcc"] is None and "watcher@plant.example" in mail["From"]
    assert mail["X-Linewatch-Delivery"] == delivery.delivery_id
    assert mail["References"] == f"<{'0' * 16}@linewatch>"
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None and html is not None
    assert "2.31 × the limit" in text.get_content()
    assert f"https://plant.example/act/{'0' * 16}.x_y" in text.get_content()  # not only behind a word
    assert f'<a href="https://plant.example/act/{"0" * 16}.x_y">' in html.get_content()
    attached = {part.get_filename(): part for part in mail.iter_attachments()}
    assert [part.get_content_type() for part in attached.values()] == ["image/jpeg", "image/jpeg", "video/mp4"]
    name = "line-3_Bcc_all_plant.example_b-picture.jpg"
    assert attached[name].get_payload(decode=True) == JPEG


def test_a_digest_takes_the_strip_along(mailbox: Mailbox, smtp_port: int) -> None:
    _channel(_mailto(smtp_port)).deliver(many(event(0), event(1), kind=Kind.DIGEST))
    ((_, mail),) = mailbox.mails
    (strip,) = mail.iter_attachments()
    assert strip.get_filename() == "alerts.jpg" and strip.get_payload(decode=True) == JPEG


def test_a_mail_that_is_too_big_goes_without_its_picture(mailbox: Mailbox, smtp_port: int) -> None:
    mailbox.too_big_above = 6000
    channel = AppriseChannel(
        "phone", Apprise.model_validate({"url": _mailto(smtp_port)}), MadeUp({"picture": JPEG * 20})
    )
    channel.deliver(one(event(0)))
    ((_, mail),) = mailbox.mails
    assert not list(mail.iter_attachments()) and mail["Subject"] == "line-3: part anomaly, critical"


def test_a_mail_server_that_is_away_may_come_back() -> None:
    port = _free_port()
    with pytest.raises(DeliveryFailed, match="Connection refused") as raised:
        _channel(_mailto(port)).deliver(one(event(0)))
    assert PASSWORD not in str(raised.value)


def test_a_recipient_that_does_not_exist_is_refused_for_good(mailbox: Mailbox, smtp_port: int) -> None:
    mailbox.refuse["gone@plant.example"] = "550 5.1.1 no such mailbox"
    with pytest.raises(DeliveryRefused, match=r"gone@plant\.example.*550.*no such mailbox"):
        _channel(_mailto(smtp_port, to="gone@plant.example")).deliver(one(event(0)))


def test_a_wrong_login_is_refused_and_the_password_not_told(
    mailbox: Mailbox, smtp_port: int, our_logs: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DeliveryRefused, match="535") as raised:
        _channel(_mailto(smtp_port, "Wr0ng-Word")).deliver(one(event(0)))
    said = f"{raised.value} {our_logs.getvalue()} {capfd.readouterr()}"
    assert "Wr0ng-Word" not in said and "mailto" not in said and not mailbox.mails


def test_who_has_the_mail_gets_it_no_second_time(mailbox: Mailbox, smtp_port: int) -> None:
    """Of two recipients one is put off at first: the next try is for that one alone."""
    channel = _channel(_mailto(smtp_port, to="anna@plant.example,bert@plant.example"))
    mailbox.refuse["bert@plant.example"] = "451 4.7.1 come again"
    with pytest.raises(DeliveryFailed, match="451"):
        channel.deliver(one(event(0)))
    mailbox.refuse.clear()
    channel.deliver(one(event(0)))
    assert [recipient for recipient, _ in mailbox.mails] == ["anna@plant.example", "bert@plant.example"]
    channel.deliver(one(event(1)))
    assert len(mailbox.mails) == 4


class Hook(ThreadingHTTPServer):
    """Takes what Apprise's json:// sends. status: what it answers with. held: it answers once that is set."""

    def __init__(self) -> None:
        self.status = 200
        self.held = threading.Event()
        self.held.set()
        self.came: list[tuple[dict[str, str], dict[str, Any]]] = []
        super().__init__(("127.0.0.1", 0), _Answer)


class _Answer(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        hook = cast(Hook, self.server)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        hook.came.append((dict(self.headers), body))
        hook.held.wait(20)
        self.send_response(hook.status)
        self.end_headers()
        self.wfile.write(f"you are {self.headers.get('Authorization')} tok-5a6b7c".encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Not on standard error."""


@pytest.fixture
def hook() -> Iterator[Hook]:
    server = Hook()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.held.set()
    server.shutdown()
    server.server_close()


def _json(hook: Hook) -> str:
    return f"json://user:{PASSWORD}@127.0.0.1:{hook.server_port}/in?+X-Token=tok-5a6b7c"


def test_a_json_webhook_gets_text_picture_and_key(hook: Hook) -> None:
    channel = _channel(_json(hook))
    delivery = one(event(0))
    channel.deliver(delivery)
    ((headers, body),) = hook.came
    assert body["title"] == "line-3: part anomaly, critical" and body["type"] == "failure"
    assert "Began: 2026-11-24" in body["message"] and "<" not in body["message"]
    assert base64.b64decode(body["attachments"][0]["base64"]) == JPEG
    assert headers["Idempotency-Key"] == delivery.delivery_id and headers["X-Token"] == "tok-5a6b7c"


@pytest.mark.parametrize(("status", "expected"), [(404, DeliveryRefused), (503, DeliveryFailed), (429, DeliveryFailed)])
def test_the_answer_decides_whether_it_is_tried_again(
    hook: Hook, status: int, expected: type[Exception], our_logs: io.StringIO
) -> None:
    hook.status = status
    with pytest.raises(expected, match=str(status)) as raised:
        _channel(_json(hook)).deliver(one(event(0)))
    for secret in (PASSWORD, "tok-5a6b7c", base64.b64encode(f"user:{PASSWORD}".encode()).decode()):
        assert secret not in str(raised.value) and secret not in our_logs.getvalue()


def test_a_service_that_hangs_holds_nobody_up_and_what_it_took_is_not_sent_again(hook: Hook) -> None:
    hook.held.clear()
    channel = _channel(_json(hook) + "&rto=60", timeout_s=1)
    channel._service._service.socket_read_timeout = 30  # as one that drips a byte a second does
    began = time.monotonic()
    for _ in range(2):
        with pytest.raises(DeliveryFailed, match=r"not sent within 1 s|still on its way"):
            channel.deliver(one(event(0)))
    assert time.monotonic() - began < 6 and len(hook.came) == 1
    hook.held.set()
    assert channel._free.acquire(timeout=20)  # the first try has come back
    channel._free.release()
    channel.deliver(one(event(0)))
    assert len(hook.came) == 1
    channel.deliver(one(event(1)))
    assert len(hook.came) == 2


@pytest.mark.parametrize(
    ("url", "said", "shown"),
    [
        (
            "tgram://123456789:AAbbccDDee-ff_gg/12315544/",
            "bot123456789:AAbbccDDee-ff_gg is blocked",
            "bot***:*** is blocked",
        ),
        ("mailto://u5er:p%40ss@h.example/a@b.example", "login u5er p@ss p%40ss at h.example", "login *** *** *** at "),
        ("mailto://u5er:p@ss@h.example", "p@ss", "***"),
        ("ntfy://tk_0123@ntfy.example/topic?+X=abcd", "tk_0123 abcd on port 8080", "*** *** on port 8080"),
    ],
)
def test_no_part_of_an_address_is_shown_but_where_it_goes(url: str, said: str, shown: str) -> None:
    assert without_secrets(said, url).startswith(shown)
    assert without_secrets("at h.example", url, ["h.example"]) == "at h.example"


@pytest.mark.parametrize(
    "url",
    [
        f"nosuch://user:{PASSWORD}@host",
        f"mailto://user:{PASSWORD}@host?mode={PASSWORD}",
        f"slack://{PASSWORD}",
        PASSWORD,
    ],
)
def test_an_address_that_apprise_cannot_use_is_an_error_at_once(
    url: str, our_logs: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match=r"channel phone: apprise\.url: .* Expected one") as raised:
        _channel(url)
    assert PASSWORD not in f"{raised.value} {our_logs.getvalue()} {capfd.readouterr()}"
