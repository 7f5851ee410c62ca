"""A configuration and what a line has left in Redis and on disk, for the tests of commands."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import redis
import typer
import yaml
from typer.testing import CliRunner, Result

from monitor.alerting.alert import ANOMALY, EVENT_TYPES, Alert, Event, TriggerFrame
from monitor.alerting.evidence import EvidenceStore
from monitor.alerting.outbox import Outbox
from monitor.judging.baseline.port import BaselineKey, Criterion, Entry, Rule, WindowRules
from monitor.judging.baseline.redis_window import RedisWindow
from monitor.judging.baseline.store import BaselineStore
from monitor.judging.episodes import Change, Severity
from streams.codec import encode_jpeg
from streams.frame import Frame

MODEL = "0123456789ab"
RULES = WindowRules(max_frames=2000, max_age_s=86_400, warm_up_frames=10, relearn_after=40)
STEP_MS = 100


@dataclass
class LineState:
    """One line's configuration file, and hands to put things where its service would."""

    folder: Path
    address: str
    prefix: str

    def __post_init__(self) -> None:
        self.client: Any = redis.Redis.from_url(self.address, decode_responses=True, retry=None)
        self.outbox = Outbox(self.client, self.prefix)
        self.store = BaselineStore(self.client, self.prefix)
        self.evidence = EvidenceStore(self.folder / "evidence", keep_days=30)
        self.window = RedisWindow(self.client, self.prefix, RULES, address=self.address)
        self.config = self.folder / "config.yaml"
        self.configure()

    def configure(self, **sections: Any) -> None:
        tree = {
            "model": {"checkpoint": "model.safetensors"},
            "sources": [{"files": {"camera": "bench", "path": "line"}}],
            "redis": {"url": self.address, "prefix": self.prefix},
            "evidence": {"dir": str(self.folder / "evidence")},
            **sections,
        }
        self.config.write_text(yaml.safe_dump(tree))

    def run(self, app: typer.Typer, *arguments: str | Path, stdin: str | None = None) -> Result:
        """Run a command with this line's configuration."""
        return CliRunner().invoke(app, [*map(str, arguments), "--config", str(self.config)], input=stdin)

    def json(self, app: typer.Typer, *arguments: str | Path) -> Any:
        done = self.run(app, *arguments, "--json")
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    def learn(
        self, camera: str, frames: int = 50, product: str = "", ago_s: float = 60, model: str = MODEL
    ) -> BaselineKey:
        """Judge frames, the first so long ago, a tenth of a second apart, with scores that rise from 1 to 2."""
        key = BaselineKey(camera, model, product)
        first_ms = round((time.time() - ago_s) * 1000)
        rule = Rule(Criterion.ABSOLUTE, 10.0, 0.0, 5.0)
        self.window.judge(
            [
                Entry(key, f"{camera}/{product}/{i}@{ago_s}", 1 + i / frames, first_ms + i * STEP_MS, rule)
                for i in range(frames)
            ]
        )
        return key

    def alarm(
        self,
        alert_id: str,
        camera: str = "line-1",
        ago_s: float = 60,
        lasted_s: float | None = 3,
        grey: int | None = 120,
        condition: str = ANOMALY,
    ) -> Alert:
        """An alert as the reporter writes it; without a grey it has no picture (any more)."""
        at_ns = round((time.time() - ago_s) * 1000) * 1_000_000
        if grey is not None:
            pixels = np.full((48, 64, 3), grey, np.uint8)
            pixels[::7] = (grey + int(alert_id, 16) % 90) % 256  # no two alike
            self.evidence.save(alert_id, Frame(camera, 7, at_ns, "t/0/7", payload=encode_jpeg(pixels)), None)
        alert = Alert(
            alert_id=alert_id,
            camera=camera,
            condition=condition,
            severity=Severity.WARNING,
            started_at=at_ns,
            ended_at=None if lasted_s is None else at_ns + round(lasted_s * 1e9),
            peak_score=3.5,
            threshold=2.5,
            frame=TriggerFrame(camera=camera, seq=7, captured_at=at_ns, origin="t/0/7"),
            model=MODEL,
        )
        change = Change.FIRING if lasted_s is None else Change.RESOLVED
        self.outbox.write(Event(EVENT_TYPES[change], at_ns, alert), ttl_s=600)
        return alert
