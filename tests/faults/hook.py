"""A webhook that fails as often as it is told to, in every way in which they do, and keeps account of what came."""

from __future__ import annotations

import json
import random
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from monitor.delivery.channels.signature import HEADER, SignatureWrong, verify

SECRET = "the storm's own secret"


@dataclass(frozen=True)
class Came:
    """One request. `answered`: whether the sender could learn that it arrived."""

    key: str
    event_id: str
    alert_id: str
    camera: str
    answered: bool


class FlakyHook:
    """Serves on a free port until the end of the `with` block. `share` of the requests fail."""

    def __init__(self, share: float, seed: int = 0) -> None:
        self._share = share
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self.came: list[Came] = []
        self.failures = dict.fromkeys(("500", "429", "lost", "closed"), 0)
        self.unsigned = 0
        hook = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                hook._serve(self)

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/hook"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def arrived(self) -> set[str]:
        """The ids of the events of which the sender knows that they arrived."""
        with self._lock:
            return {came.event_id for came in self.came if came.answered}

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        with self._lock:
            how = self._random.choice(list(self.failures)) if self._random.random() < self._share else "taken"
            if how in self.failures:
                self.failures[how] += 1
            try:
                verify(SECRET, request.headers.get(HEADER, ""), body, time.time())
            except SignatureWrong:
                self.unsigned += 1
            if how in ("taken", "lost"):  # lost: it has arrived, and the answer gets lost
                event = json.loads(body)
                key, alert = request.headers["Idempotency-Key"], event["data"]["alert_id"]
                self.came.append(Came(key, event["id"], alert, event["subject"], how == "taken"))
        if how in ("lost", "closed"):
            request.close_connection = True
            request.connection.close()
            return
        request.send_response({"taken": 204, "500": 500, "429": 429}[how])
        if how == "429":
            request.send_header("Retry-After", "1")
        request.send_header("Content-Length", "0")
        request.end_headers()
