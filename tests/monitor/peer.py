"""A peer of the channels over real HTTP, and deliveries for it."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from monitor.alerting.alert import EVENT_TYPES, Alert, Event, TriggerFrame
from monitor.delivery.delivery import Delivery, Kind, id_of
from monitor.delivery.materials import Links, PictureKind, Place
from monitor.judging.episodes import Change, Severity

T0_NS = 1_800_000_000_000_000_000
PAGE = "https://linewatch.example"


class FakeMaterials:
    """Links that can be told apart, and one line for all cameras."""

    def file(self, alert_id: str, kind: PictureKind, wait_s: float = 0.0) -> bytes | None:
        return None

    def strip(self, alert_ids: tuple[str, ...]) -> bytes | None:
        return None

    def links(self, alert_id: str, recipient: str) -> Links:
        return Links(f"{PAGE}/", f"{PAGE}/l/{alert_id}/evidence?sig=1&for={recipient}", act=f"{PAGE}/act/{alert_id}")

    def place(self, camera: str) -> Place:
        return Place("hall 3", ("north",))


def event(
    number: int = 1,
    change: Change = Change.FIRING,
    severity: str = "warning",
    at_ns: int = T0_NS,
    camera: str = "cam-1",
) -> dict[str, Any]:
    """What happened to the alert of this number, as a CloudEvent."""
    frame = TriggerFrame(camera=camera, seq=number, captured_at=at_ns, origin="t/0/1")
    alert = Alert(
        alert_id=f"{number:016x}",
        camera=camera,
        severity=Severity(severity),
        started_at=at_ns,
        ended_at=at_ns + 2_000_000_000 if change is Change.RESOLVED else None,
        peak_score=2.0,
        threshold=1.0,
        frame=frame,
        model="m",
    )
    return Event(EVENT_TYPES[change], at_ns, alert).document()


def delivery(*events: dict[str, Any], kind: Kind | None = None, omitted: int = 0) -> Delivery:
    """A message with these events, as a subscription asks for it."""
    told = events or (event(),)
    kind = kind or (Kind.EVENT if len(told) == 1 else Kind.GROUP)
    return Delivery(id_of(*(e["id"] for e in told), "hook"), "hook", kind, tuple(told), ("night-shift",), omitted)


@dataclass
class Answered:
    """What the peer says to a request."""

    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes


class HttpPeer:
    """Notes each request and answers as `answer` says. With a certificate and its key it speaks TLS."""

    def __init__(
        self, answer: Callable[[Request], Answered] | None = None, certificate: tuple[Path, Path] | None = None
    ) -> None:
        self.answer = answer or (lambda request: Answered())
        self.requests: list[Request] = []
        peer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65536  # two packets would wait for a delayed acknowledgement, 40 ms each

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                request = Request(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                peer.requests.append(request)
                said = peer.answer(request)
                self.send_response(said.status)
                for name, value in said.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(said.body)))
                self.end_headers()
                self.wfile.write(said.body)

            def log_message(self, *_: object) -> None:
                """Nothing on the terminal."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> HttpPeer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()
