"""What the API answers, as types: the OpenAPI document is made from these."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, Field

from monitor.alerting.alert import Alert
from monitor.serving.board import Point, Status
from monitor.serving.ledger import Account


class LedgerView(BaseModel):
    """captured = scored + dropped + failed + in_flight."""

    captured: int
    scored: int
    dropped: dict[str, int] = Field(description="By reason.")
    failed: dict[str, int] = Field(description="By reason.")
    in_flight: int


class CameraView(BaseModel):
    """One camera now. Scores are raw but for `normalised` and `threshold`, which lie in 0..1."""

    camera: str
    up: bool
    stale: bool = Field(description="The newest picture no longer shows what the camera sees.")
    age_s: float | None = Field(description="Seconds since the newest verdict.")
    captured_at: int | None = Field(description="Of the newest verdict's frame, ns since the epoch.")
    seq: int | None
    score: float | None
    normalised: float | None
    low: float | None
    high: float | None
    threshold: float | None
    limit: float | None = Field(description="The threshold on the raw score.")
    count: int | None = Field(description="Frames in the window.")
    state: str | None = Field(description="warming, ready or degraded.")
    warm_up_frames: int = Field(description="So many frames make the window ready.")
    anomalous: bool | None = Field(description="Whether the newest verdict is.")
    firing: str | None = Field(description="The id of the open alert.")
    troubles: list[str] = Field(description="What is wrong with the camera itself; its anomaly alerts are held back.")
    held_back: dict[str, int] = Field(description="Alerts held back in this run, by reason.")
    fps: float = Field(description="Verdicts a second over the last ten seconds of frames.")
    ledger: LedgerView


class ScoresView(BaseModel):
    """A camera's chart, oldest first. Times in milliseconds since the epoch; `score`, `limit`, `low`, `high` raw."""

    camera: str
    time_ms: list[int]
    score: list[float]
    limit: list[float]
    low: list[float]
    high: list[float]
    normalised: list[float]
    threshold: list[float]


class AlertPage(BaseModel):
    """Alerts, newest first. `next` is the offset of the following page, null on the last."""

    alerts: list[Alert]
    next: int | None


class Readiness(BaseModel):
    """`reasons`: why frames cannot be scored as they should, by part; empty when ready."""

    ready: bool
    reasons: dict[str, str]


class Who(BaseModel):
    """Who acts."""

    by: str = Field("operator", min_length=1, max_length=100)


def ledger_view(account: Account) -> LedgerView:
    return LedgerView(
        captured=account.captured,
        scored=account.scored,
        dropped=dict(account.dropped),
        failed=dict(account.failed),
        in_flight=account.in_flight,
    )


def camera_view(status: Status, account: Account, warm_up_frames: int, held_back: Mapping[str, int]) -> CameraView:
    verdict = status.verdict
    return CameraView(
        camera=status.camera,
        up=status.up,
        stale=status.stale,
        age_s=status.age_s,
        captured_at=verdict.frame.captured_at_ns if verdict else None,
        seq=verdict.frame.seq if verdict else None,
        score=verdict.score if verdict else None,
        normalised=verdict.normalised if verdict else None,
        low=verdict.low if verdict else None,
        high=verdict.high if verdict else None,
        threshold=verdict.threshold if verdict else None,
        limit=verdict.limit if verdict else None,
        count=verdict.count if verdict else None,
        state=verdict.state.value if verdict else None,
        warm_up_frames=warm_up_frames,
        anomalous=verdict.anomalous if verdict else None,
        firing=status.firing,
        troubles=list(status.troubles),
        held_back=dict(held_back),
        fps=0.0 if status.stale else _rate(list(status.points)),
        ledger=ledger_view(account),
    )


def scores_view(status: Status, since_ms: int) -> ScoresView:
    points = [p for p in status.points if p.time_ns // 1_000_000 > since_ms]
    return ScoresView(
        camera=status.camera,
        time_ms=[p.time_ns // 1_000_000 for p in points],
        score=[p.score for p in points],
        limit=[p.limit for p in points],
        low=[p.low for p in points],
        high=[p.high for p in points],
        normalised=[p.normalised for p in points],
        threshold=[p.threshold for p in points],
    )


def _rate(points: list[Point]) -> float:
    if len(points) < 2:
        return 0.0
    recent = [p for p in points if p.time_ns >= points[-1].time_ns - 10_000_000_000]
    span_ns = recent[-1].time_ns - recent[0].time_ns
    return round((len(recent) - 1) / span_ns * 1e9, 2) if span_ns > 0 else 0.0
