"""A monitored line as the live page sees it: the service's own parts, fed by hand."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import redis
import redis.asyncio

from monitor.alerting.alert import ANOMALY, DEGRADED, OFFLINE, ONLINE, Alert, Event, TriggerFrame
from monitor.alerting.evidence import EvidenceStore
from monitor.alerting.outbox import Outbox
from monitor.embedded import EmbeddedValkey
from monitor.judging.baseline.port import BaselineKey, Criterion, Entry, Range, Rule, WindowRules
from monitor.judging.baseline.redis_window import RedisWindow
from monitor.judging.baseline.store import BaselineStore
from monitor.judging.episodes import Severity
from monitor.judging.judge import State, Verdict
from monitor.orders.marks import Marks
from monitor.orders.orders import Orders
from monitor.serving.api import Served, build_app
from monitor.serving.board import Board
from monitor.serving.ledger import Ledger
from monitor.serving.metrics import Metrics
from monitor.serving.server import HttpServer
from streams.codec import encode_jpeg
from streams.frame import Frame
from tests.monitor.scenes import MODEL, window_range
from tests.monitor.served_delivery import served_delivery

LIMIT = 0.01
"""The threshold on the raw score, of every camera."""


@dataclass
class Line:
    """The application on a free port, its outbox in `valkey` under `prefix`, its evidence in
    `folder`. Nothing listens before `server.start()`."""

    valkey: EmbeddedValkey
    folder: Path
    prefix: str
    board: Board = field(default_factory=Board)
    held_back: dict[str, dict[str, int]] = field(default_factory=dict)
    accepted: list[str] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        metrics = Metrics()
        self.ledger = Ledger(metrics)
        client = redis.Redis.from_url(self.valkey.address, decode_responses=True, retry=None)
        self.outbox = Outbox(client, self.prefix)
        self.evidence = EvidenceStore(self.folder, keep_days=1)
        rules = WindowRules(max_frames=2000, max_age_s=3600, warm_up_frames=100, relearn_after=2000)
        self.store = BaselineStore(client, self.prefix, rules=rules)
        self.window = RedisWindow(client, self.prefix, rules, address=self.valkey.address)
        self.orders = Orders(client, self.prefix)
        self.server = HttpServer("127.0.0.1", 0)
        address = self.valkey.address

        def events() -> redis.asyncio.Redis:
            return redis.asyncio.Redis.from_url(address, decode_responses=True)

        self.server.serve(
            build_app(
                Served(
                    version="0",
                    board=self.board,
                    ledger=self.ledger,
                    metrics=metrics,
                    outbox=self.outbox,
                    evidence=self.evidence,
                    events=events,
                    held_back=lambda camera: self.held_back.get(camera, {}),
                    accept_view=lambda camera: self.accepted.append(camera) is None,
                    rules=lambda: rules,
                    store=self.store,
                    orders=self.orders,
                    marks=Marks(
                        client,
                        self.prefix,
                        self.outbox,
                        self.store,
                        self.evidence,
                        base_url="http://elsewhere",
                        keep_s=600,
                    ),
                    current=lambda camera: BaselineKey(camera, MODEL),
                    threshold_from=lambda camera: None,
                    episode_state=lambda camera: "quiet",
                    region=lambda camera: None,
                    reload=list,
                    notes=lambda: self.notes,
                    **served_delivery(client, self.prefix, self.server.url),
                )
            )
        )

    def see(
        self,
        camera: str,
        *,
        grey: int = 90,
        score: float = 0.004,
        seq: int = 1,
        ago_s: float = 0.0,
        firing: str | None = None,
        window: Range | None = None,
    ) -> Verdict:
        """One judged frame of a camera, a picture of one grey."""
        at_ns = time.time_ns() - round(ago_s * 1e9)
        payload = encode_jpeg(np.full((90, 160, 3), grey, dtype=np.uint8))
        frame = Frame(camera, seq, at_ns, f"frames/0/{seq}", payload=payload)
        high = LIMIT * 0.9
        verdict = Verdict(
            frame=frame,
            picture=np.zeros((8, 8, 3), dtype=np.uint8),
            score=score,
            normalised=min(1.0, score / high),
            low=0.0,
            high=high,
            count=200,
            state=State.READY,
            limit=LIMIT,
            threshold=1.0,
            anomalous=score > LIMIT,
            model=MODEL,
            key=BaselineKey(camera, MODEL),
            window=window_range(200) if window is None else window,
        )
        self.ledger.captured(camera)
        self.ledger.scored(camera)
        self.board.judged(verdict, firing)
        return verdict

    def learn(self, camera: str, frames: int = 200) -> Range:
        """Frames of good parts enter the camera's real window, 0.1 s apart up to now; what the last one met."""
        now_ms = time.time_ns() // 1_000_000
        rule = Rule(Criterion.RISING, LIMIT, 0.0, LIMIT * 0.9)
        scores = np.random.default_rng(1).normal(0.004, 0.0005, frames)
        entries = [
            Entry(BaselineKey(camera, MODEL), f"learnt/{n}", float(score), now_ms - 100 * (frames - n), rule)
            for n, score in enumerate(scores)
        ]
        return self.window.judge(entries)[-1]

    def alarm(
        self,
        alert_id: str,
        camera: str,
        *,
        ago_s: float = 5.0,
        ended: bool = False,
        picture: bool = True,
        condition: str = ANOMALY,
    ) -> Alert:
        """An alert as the reporter writes it: evidence first, then the outbox. One without a picture has no frame."""
        at_ns = time.time_ns() - round(ago_s * 1e9)
        if picture:
            heat = np.zeros((32, 32), dtype=np.float32)
            heat[8:16, 8:16] = 1.0
            pixels = np.full((90, 160, 3), 120, dtype=np.uint8)
            cv2.circle(pixels, (60, 40), 20, (40, 60, 200), -1)
            self.evidence.save(alert_id, Frame(camera, 7, at_ns, "frames/0/7", pixels=pixels), heat)
        alert = Alert(
            alert_id=alert_id,
            camera=camera,
            condition=condition,
            severity=Severity.CRITICAL,
            started_at=at_ns,
            ended_at=at_ns + 3_000_000_000 if ended else None,
            peak_score=0.025,
            threshold=LIMIT,
            frame=TriggerFrame(camera=camera, seq=7, captured_at=at_ns, origin="frames/0/7") if picture else None,
            evidence_url="http://elsewhere/evidence.jpg" if picture else None,
            model="0123456789ab",
        )
        if condition == ANOMALY:
            kind = f"linewatch.alert.{'resolved' if ended else 'firing'}"
        else:
            kind = ONLINE if ended else OFFLINE if condition == "offline" else DEGRADED
        self.outbox.write(Event(kind, at_ns, alert), ttl_s=600)
        return alert
