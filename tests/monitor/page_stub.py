"""A service as the live page sees it, made of plain dictionaries: every state of a camera can be had at once.

The files of the page, its headers and the addresses are the real ones; the answers are what a test wants them to be.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import numpy as np
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles

from monitor.serving.auth import Gate
from monitor.serving.headers import SecurityHeaders
from monitor.serving.server import HttpServer
from streams.codec import encode_jpeg
from tests.monitor.page_delivery import PageDelivery
from tests.monitor.page_events import PageEvents

Document = dict[str, Any]

WISH: Document = {"method": "spot", "wished_per_day": 3.0, "needed_peaks": 30, "needed_s": 7200.0}
FOUND: Document = WISH | {"peaks": 84, "watched_s": 33_120.0, "value": 0.0101}
SOUGHT: Document = WISH | {"peaks": 4, "watched_s": 745.0, "value": None}
LIMIT = 0.01


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def baseline(phase: str = "ready", **more: Any) -> Document:
    """What the list of cameras says of a baseline."""
    counts = {"cold": 0, "warming": 43, "stale": 12}
    told: Document = {
        "phase": phase,
        "count": counts.get(phase, 1832),
        "needed": 100,
        "refused": 612 if phase == "drifting" else 3,
        "relearn_after": 2000,
        "frozen": False,
        "epoch": 1,
    }
    return told | more


def polygon(*corners: tuple[float, float]) -> list[list[float]]:
    return [list(corner) for corner in corners]


@dataclass
class Stub:
    """Answers the page. `cameras` and `alerts` are what the API gives; `refuse` maps the end of an address to the
    (status, detail) of its refusal; `sent` notes each POST as (address, body). `clips`: of alerts, or why there is
    none. With `old` it is a service from before baselines had a life."""

    cameras: dict[str, Document] = field(default_factory=dict)
    alerts: dict[str, Document] = field(default_factory=dict)
    pictures: dict[str, bytes] = field(default_factory=dict)
    evidence: dict[str, bytes] = field(default_factory=dict)
    scores: dict[str, Document] = field(default_factory=dict)
    counts: dict[str, list[int]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    refuse: dict[str, tuple[int, str]] = field(default_factory=dict)
    sent: list[tuple[str, Document]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    delivery: PageDelivery = field(default_factory=PageDelivery)
    events: PageEvents = field(default_factory=PageEvents)
    clips: dict[str, bytes | str] = field(default_factory=dict)
    old: bool = False

    def __post_init__(self) -> None:
        self.server = HttpServer("127.0.0.1", 0)
        self.server.serve(self._app())

    def see(self, camera: str, **more: Any) -> Document:
        """A camera that was seen just now; `more` are other values of its entry in /api/cameras."""
        view: Document = {
            "camera": camera,
            "up": True,
            "stale": False,
            "age_s": 0.1,
            "captured_at": time.time_ns(),
            "seq": len(self.asked),
            "score": 0.004,
            "normalised": 0.22,
            "low": 0.002,
            "high": 0.009,
            "threshold": 0.8,
            "limit": LIMIT,
            "count": 1832,
            "state": "ready",
            "warm_up_frames": 100,
            "anomalous": False,
            "firing": None,
            "troubles": [],
            "held_back": {},
            "fps": 10.0,
            "ledger": {"captured": 5000, "scored": 5000, "dropped": {}, "failed": {}, "in_flight": 0},
        }
        if not self.old:
            view |= {
                "product": "",
                "baseline": baseline(),
                "threshold_from": FOUND,
                "p_value": 0.31,
                "episode": "quiet",
                "shelved": None,
                "region": None,
            }
        self.cameras[camera] = view | more
        self.pictures.setdefault(camera, encode_jpeg(np.full((90, 160, 3), 90, dtype=np.uint8)))
        return self.cameras[camera]

    def alarm(
        self, alert_id: str, camera: str, *, ago_s: float = 60, lasts_s: float | None = 5, **more: Any
    ) -> Document:
        """An alert that began `ago_s` ago; `lasts_s` None: it still lasts."""
        began = time.time_ns() - round(ago_s * 1e9)
        alert: Document = {
            "alert_id": alert_id,
            "camera": camera,
            "condition": "anomaly",
            "severity": "warning",
            "started_at": began,
            "ended_at": None if lasts_s is None else began + round(lasts_s * 1e9),
            "peak_score": 0.018,
            "threshold": LIMIT,
            "frame": {"camera": camera, "seq": 7, "captured_at": began, "origin": "frames/0/7"},
            "evidence_url": None,
            "model": "0123456789ab",
            "acknowledged_at": None,
            "acknowledged_by": None,
            "false_alarm_at": None,
            "false_alarm_by": None,
        }
        if not self.old:
            alert |= {"held_back": None, "escalated_at": None, "escalated_by": None, "escalated_to": None}
            alert |= {"clip_url": None}
        self.alerts[alert_id] = alert | more
        return self.alerts[alert_id]

    def _baseline(self, camera: str) -> Document:
        view = self.cameras[camera]
        counts = self.counts.get(camera, [0, 2, 9, 30, 80, 160, 240, 300, 260, 190, 120, 70, 40, 24, 12, 8, 4, 2, 1, 1])
        counts = counts + [0] * (40 - len(counts))
        edges = [float(edge) for edge in np.linspace(0.002, 0.009, 41)]
        ago = now_ms() - 3_600_000
        told: Document = view["baseline"] | {
            "camera": camera,
            "model": "0123456789ab",
            "product": view["product"],
            "began_ms": ago,
            "ready_ms": ago + 120_000,
            "newest_ms": now_ms(),
            "relearnt": 0,
            "relearnt_ms": None,
            "low": view["low"],
            "high": view["high"],
            "limit": view["limit"],
            "threshold_from": view["threshold_from"],
            "distribution": {"edges": edges, "counts": counts} if sum(counts) else {"edges": [], "counts": []},
        }
        return told

    def _order(self, camera: str, what: str, body: Document) -> Document:
        view = self.cameras[camera]
        if what == "shelve":
            until = now_ms() + round(body["minutes"] * 60_000)
            view["shelved"] = {"from_ms": now_ms(), "until_ms": until, "by": body["by"], "why": body["why"]}
            return dict(view["shelved"])
        if what == "unshelve":
            view["shelved"] = None
        elif what == "product":
            view["product"] = body["product"] or ""
            return {"camera": camera, "product": view["product"]}
        elif what == "missed":
            return self.alarm(
                "d0d0", camera, ago_s=1, lasts_s=0, condition="missed", acknowledged_at=1, acknowledged_by=body["by"]
            )
        elif what.startswith("baseline/"):
            if what.endswith("reset"):
                view["baseline"] = baseline("warming", count=0, epoch=view["baseline"]["epoch"] + 1)
            else:
                view["baseline"]["frozen"] = what.endswith("freeze")
            return self._baseline(camera)
        return {"camera": camera}

    def _mark(self, alert_id: str, what: str, body: Document) -> Document:
        name = {"acknowledge": "acknowledged", "escalate": "escalated"}.get(what, "false_alarm")
        mark = {f"{name}_at": time.time_ns(), f"{name}_by": body.get("by", "operator")}
        if what == "escalate":
            mark["escalated_to"] = body["to"] or "shift-lead"
        self.alerts[alert_id] = self.alerts[alert_id] | mark
        return self.alerts[alert_id]

    def _refusal(self, path: str) -> JSONResponse | None:
        for end, (status, detail) in self.refuse.items():
            if path.endswith(end):
                return JSONResponse({"detail": detail}, status)
        return None

    def _left(self, camera: str, what: str, body: Document) -> JSONResponse | None:
        """An order about the baseline of a product that the line has left."""
        now = self.cameras[camera].get("product")
        if not what.startswith("baseline/") or body.get("product", now) == now:
            return None
        return JSONResponse({"detail": f"it is {now} by now"}, 409)

    def _app(self) -> FastAPI:
        app = FastAPI(openapi_url=None)
        app.add_middleware(Gate)
        app.add_middleware(SecurityHeaders)
        static = files("monitor.serving").joinpath("static")
        app.mount("/static", StaticFiles(packages=[("monitor.serving", "static")]), name="static")

        @app.get("/")
        def page() -> HTMLResponse:
            return HTMLResponse(static.joinpath("index.html").read_text(encoding="utf-8"))

        @app.get("/readyz")
        def readyz() -> JSONResponse:
            told: Document = {"ready": not self.reasons, "reasons": self.reasons}
            return JSONResponse(told | ({} if self.old else {"notes": self.notes}), 503 if self.reasons else 200)

        self.events.add(app)
        self.delivery.add(app)

        @app.get("/api/cameras")
        def cameras() -> JSONResponse:
            return self._refusal("/api/cameras") or JSONResponse([self.cameras[name] for name in sorted(self.cameras)])

        @app.get("/api/alerts")
        def alerts(state: str | None = None, offset: int = 0, limit: int = 50) -> JSONResponse:
            self.asked.append(f"/api/alerts?{state}+{offset}")
            found = sorted(self.alerts.values(), key=lambda alert: -alert["started_at"])
            if state == "firing":
                found = [alert for alert in found if alert["ended_at"] is None]
            answer: Document = {"alerts": found[offset : offset + limit], "next": None}
            if len(found) > offset + limit:
                answer["next"] = offset + limit
            return self._refusal("/api/alerts") or JSONResponse(answer)

        @app.get("/api/alerts/{alert_id}/{kind}.jpg")
        def evidence(alert_id: str, kind: str) -> Response:
            found = self.evidence.get(f"{alert_id}/{kind}")
            return Response(found, media_type="image/jpeg") if found else PlainTextResponse("none", 404)

        @app.get("/api/alerts/{alert_id}/clip.mp4")
        def clip(alert_id: str) -> Response:
            found = self.clips.get(alert_id, "no clip of this alert is kept")
            if isinstance(found, str):
                return JSONResponse({"detail": found}, 404)
            return Response(found, media_type="video/mp4")

        @app.post("/api/alerts/{alert_id}/{what}")
        async def answer_alert(request: Request, alert_id: str, what: str) -> JSONResponse:
            body = await request.json()
            self.sent.append((f"{alert_id}/{what}", body))
            return self._refusal(what) or JSONResponse(self._mark(alert_id, what, body))

        @app.get("/api/cameras/{camera:path}/scores")
        def scores(camera: str, since_ms: int = 0) -> JSONResponse:
            columns = ("time_ms", "score", "limit", "low", "high", "normalised", "threshold")
            known = self.scores.get(camera, {column: [] for column in columns})
            fresh = [i for i, at in enumerate(known["time_ms"]) if at > since_ms]
            return JSONResponse({"camera": camera} | {column: [known[column][i] for i in fresh] for column in columns})

        @app.get("/api/cameras/{camera:path}/latest.jpg")
        def latest(camera: str) -> Response:
            at = str(self.cameras[camera]["captured_at"])
            return Response(self.pictures[camera], media_type="image/jpeg", headers={"X-Captured-At": at})

        @app.get("/api/cameras/{camera:path}/baseline")
        def of_camera(camera: str) -> JSONResponse:
            self.asked.append(f"{camera}/baseline")
            return self._refusal("/baseline") or JSONResponse(self._baseline(camera))

        @app.post("/api/cameras/{rest:path}")
        async def order(request: Request, rest: str) -> JSONResponse:
            body = await request.json()
            camera = next(name for name in self.cameras if rest.startswith(f"{name}/"))
            what = rest.removeprefix(f"{camera}/")
            self.sent.append((rest, body))
            refusal: Any = self._refusal(f"/{what}") or self._left(camera, what, body)
            return refusal or JSONResponse(self._order(camera, what, body))

        return app
