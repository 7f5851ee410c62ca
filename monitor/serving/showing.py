"""From what the service knows to what the API answers. Pure: what is shown comes as arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from monitor.judging.baseline.life import Life
from monitor.judging.baseline.port import Range, WindowRules
from monitor.judging.judge import Verdict
from monitor.orders.shelf import Shelf
from monitor.serving.board import Point, Status
from monitor.serving.ledger import Account
from monitor.serving.views import (
    BaselineState,
    BaselineView,
    CameraView,
    DistributionView,
    LedgerView,
    RegionView,
    ScoresView,
    ShelvedView,
    ThresholdFrom,
)


def ledger_view(account: Account) -> LedgerView:
    return LedgerView(
        captured=account.captured,
        scored=account.scored,
        dropped=dict(account.dropped),
        failed=dict(account.failed),
        in_flight=account.in_flight,
    )


@dataclass(frozen=True, slots=True)
class Around:
    """What is shown of a camera besides its frames."""

    held_back: Mapping[str, int]
    product: str
    threshold_from: ThresholdFrom | None
    episode: str
    shelved: Shelf | None
    region: RegionView | None


def camera_view(status: Status, account: Account, rules: WindowRules, around: Around) -> CameraView:
    verdict = status.verdict
    shelf = around.shelved
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
        warm_up_frames=rules.warm_up_frames,
        anomalous=verdict.anomalous if verdict else None,
        firing=status.firing,
        troubles=list(status.troubles),
        held_back=dict(around.held_back),
        fps=0.0 if status.stale else _rate(list(status.points)),
        ledger=ledger_view(account),
        product=around.product,
        baseline=baseline_state(verdict.window, rules) if verdict and verdict.window else None,
        threshold_from=around.threshold_from,
        p_value=verdict.p_value if verdict else None,
        episode=around.episode,
        shelved=None if shelf is None else ShelvedView(**shelf.model_dump(exclude={"camera"})),
        region=around.region,
    )


def baseline_state(window: Range, rules: WindowRules) -> BaselineState:
    return BaselineState(
        phase=window.phase.value,
        count=window.count,
        needed=rules.warm_up_frames,
        refused=window.refused,
        relearn_after=rules.relearn_after,
        frozen=window.frozen,
        epoch=window.epoch,
    )


def baseline_view(
    life: Life, verdict: Verdict | None, threshold_from: ThresholdFrom | None, distribution: DistributionView | None
) -> BaselineView:
    """verdict: the newest that was judged by this baseline."""
    return BaselineView(
        camera=life.key.camera,
        model=life.key.model,
        product=life.key.product,
        phase=life.phase.value,
        count=life.count,
        needed=life.needed,
        refused=life.refused,
        relearn_after=life.relearn_after,
        frozen=life.frozen,
        epoch=life.epoch,
        began_ms=life.began_ms,
        ready_ms=life.ready_ms,
        newest_ms=life.newest_ms,
        relearnt=life.relearnt,
        relearnt_ms=life.relearnt_ms,
        low=verdict.low if verdict else None,
        high=verdict.high if verdict else None,
        limit=verdict.limit if verdict else None,
        threshold_from=threshold_from,
        distribution=distribution,
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
