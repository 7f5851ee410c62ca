"""The real application on a free port, with tokens, limits and links as a test wants them, on a real Valkey."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
import redis.asyncio
from fastapi import FastAPI

from monitor.alerting.alert import Alert
from monitor.http_settings import Http
from monitor.judging.baseline.port import BaselineKey
from monitor.judging.judge import State, Verdict
from monitor.links import LinkSigner
from monitor.orders.marks import Marks
from monitor.orders.orders import Orders
from monitor.serving.api import Served, build_app
from monitor.serving.board import Board
from monitor.serving.ledger import Ledger
from monitor.serving.metrics import Metrics
from monitor.serving.server import HttpServer
from monitor.subscription_settings import Escalation, Subscription
from streams.codec import encode_jpeg
from streams.frame import Frame
from tests.monitor.line_state import MODEL, RULES, LineState
from tests.monitor.scenes import window_range
from tests.monitor.served_delivery import served_delivery

VIEWER, OPERATOR, ADMIN, OF_ALL = (f"{who}-0123456789abcdef" for who in ("viewer", "operator", "admin", "of-all"))
"""The tokens of Vera, Otto and Ada, and `http.token`."""
PEOPLE = [
    {"name": name, "role": role, "token": token}
    for name, role, token in (("Vera", "viewer", VIEWER), ("Otto", "operator", OPERATOR), ("Ada", "admin", ADMIN))
]
SUBSCRIPTIONS = (
    Subscription(name="shift", to=("hook",), escalate=Escalation(to="boss", after_s=60)),
    Subscription(name="boss", to=("hook",)),
)


@dataclass
class Guarded:
    """`http`: the section of the configuration. Listens once `start` was called."""

    line: LineState
    http: dict[str, Any] = field(default_factory=dict)
    clock: Any = time.time

    def __post_init__(self) -> None:
        settings = Http.model_validate(self.http)
        self.settings = settings
        client, prefix = self.line.client, self.line.prefix
        self.board, metrics = Board(), Metrics()
        self.orders = Orders(client, prefix)
        self.server = HttpServer("127.0.0.1", 0)
        delivery = served_delivery(
            client,
            prefix,
            settings.public_url or self.server.url,
            configured=SUBSCRIPTIONS,
            http=settings,
            clock=self.clock,
        )
        self.links: LinkSigner = delivery["links"]
        self.app: FastAPI = build_app(
            Served(
                version="0",
                board=self.board,
                ledger=Ledger(metrics),
                metrics=metrics,
                outbox=self.line.outbox,
                evidence=self.line.evidence,
                events=lambda: redis.asyncio.Redis.from_url(self.line.address, decode_responses=True),
                held_back=lambda camera: {},
                accept_view=lambda camera: True,
                rules=lambda: RULES,
                store=self.line.store,
                orders=self.orders,
                marks=Marks(
                    client,
                    prefix,
                    self.line.outbox,
                    self.line.store,
                    self.line.evidence,
                    base_url="http://page",
                    keep_s=600,
                ),
                current=lambda camera: self.board.read(camera, lambda s: s.verdict.key if s.verdict else None),
                threshold_from=lambda camera: None,
                episode_state=lambda camera: "quiet",
                region=lambda camera: None,
                reload=list,
                notes=dict,
                **delivery,
            )
        )
        self.server.serve(self.app)

    def start(self) -> Guarded:
        self.server.start()
        return self

    def client(self, token: str | None = None, **headers: str) -> httpx.Client:
        """Speaks to it as a program with this token does."""
        shown = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx.Client(
            base_url=self.server.url, headers=shown | headers, timeout=30, trust_env=False, verify=False
        )

    def see(self, camera: str = "line-1") -> None:
        """A judged frame."""
        payload = encode_jpeg(np.full((48, 64, 3), 90, np.uint8))
        frame = Frame(camera, 7, time.time_ns(), "t/0/7", payload=payload)
        self.board.judged(
            Verdict(
                frame=frame,
                picture=np.zeros((8, 8, 3), np.uint8),
                score=1.5,
                normalised=0.4,
                low=1.0,
                high=3.0,
                count=50,
                state=State.READY,
                limit=2.5,
                threshold=0.8,
                anomalous=False,
                model=MODEL,
                key=BaselineKey(camera, MODEL),
                window=window_range(count=50),
            ),
            None,
        )

    def alarm(self, alert_id: str = "a1", **more: Any) -> Alert:
        """An alert that still lasts, with its picture."""
        alert = self.line.alarm(alert_id, **{"lasted_s": None, **more})
        url = f"http://page/api/alerts/{alert_id}/evidence.jpg"
        told = alert.model_copy(update={"evidence_url": url})
        self.line.client.hset(self.line.outbox.key(alert_id), "episode", json.dumps(told.model_dump(mode="json")))
        return told
