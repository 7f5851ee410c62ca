"""The judging of a service, wired: windows, thresholds, episodes, camera health, and what they report to."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.alerting.alert import EVENT_TYPES, Event
from monitor.alerting.reporter import Reporter
from monitor.alerting.stretches import AlarmStretches
from monitor.alerting.takeover import Takeover
from monitor.gate import Gate
from monitor.groundwork import Ground
from monitor.judging.baseline.redis_window import RedisWindow
from monitor.judging.calibrator import Calibrator
from monitor.judging.drift import DriftWatch
from monitor.judging.episodes import Change, Episodes
from monitor.judging.health import CameraHealth
from monitor.judging.judge import Judge, Verdict
from monitor.judging.references import RedisReferences
from monitor.judging.rulebook import Rulebook
from monitor.judging.watch import CameraWatch
from monitor.judging_stage import JudgingParts, JudgingStage
from monitor.live import calibrated
from monitor.publishing import ScorePublisher
from monitor.recording import ScoreRecorder
from monitor.scoring.worker import Worker
from monitor.serving.insight import Insight


@dataclass(frozen=True, slots=True)
class Judging:
    """The stage, and the parts of it that others ask or change."""

    stage: JudgingStage
    window: RedisWindow
    judge: Judge
    episodes: Episodes
    watch: CameraWatch
    calibrator: Calibrator
    insight: Insight


def judging(
    ground: Ground, worker: Worker, publisher: ScorePublisher | None, recorder: ScoreRecorder | None
) -> Judging:
    """Nothing is started, and no server asked."""
    settings, live, lens = ground.settings, ground.live, ground.lens
    gate = Gate(ground.orders, ground.storm, lens.learning)
    episodes = Episodes(live.episode, gate.reason, gate.held)
    health = CameraHealth(settings.health.rules) if settings.health.enabled else None
    watch = CameraWatch(health, ground.presence, RedisReferences(ground.client, ground.prefix))
    insight = Insight(ground.board, live, lambda: calibrator.found)
    calibrator = Calibrator(
        ground.store,
        insight.learning,
        live.wished_per_day,
        AlarmStretches(ground.outbox, ground.keep_s),
        live.alarm,
        settings.alerts.method,
    )
    window = RedisWindow(
        ground.client, settings.redis.prefix, live.window, shards=settings.redis.shards, address=ground.address
    )
    rulebook = Rulebook(
        mode=live.window.mode,
        threshold=live.threshold,
        product=ground.orders.product_of,
        calibrated=lambda model: calibrated(ground.models.of(model)),
        learnt=insight.learnt,
    )
    judge = Judge(window, rulebook)

    def heat(verdict: Verdict) -> NDArray[np.float32]:
        return lens.mask_heat(verdict.frame.camera, worker.heat(verdict.picture, verdict.model))

    reporter = Reporter(
        ground.outbox,
        ground.evidence,
        heat,
        model=lambda: ground.models.current.info.model_id,
        base_url=ground.base_url,
        keep_s=ground.keep_s,
        written=_written(ground),
        storm=ground.storm,
        clips=ground.clips,
    )
    stage = JudgingStage(
        JudgingParts(
            presence=ground.presence,
            watch=watch,
            takeover=Takeover(ground.outbox, episodes, watch),
            judge=judge,
            drift=DriftWatch(),
            episodes=episodes,
            reporter=reporter,
            publisher=publisher,
            recorder=recorder,
            shelved=gate.shelved,
            shelved_by_hand=gate.shelved_by_hand,
            unsettled=lens.learning,
            left=lens.leave,
            seen=(lambda frame: None) if ground.clips is None else ground.clips.see,
            window_rules=lambda: live.window,
            ledger=ground.ledger,
            board=ground.board,
            metrics=ground.metrics,
        )
    )
    return Judging(stage, window, judge, episodes, watch, calibrator, insight)


def _written(ground: Ground) -> Callable[[Event], None]:
    """Measures how long an alert took from its frame to the outbox."""

    def written(event: Event) -> None:
        begins = event.kind != EVENT_TYPES[Change.RAISED] and event.alert.ended_at is None
        if begins and event.alert.frame is not None:
            ground.metrics.to_alert.observe(max(0.0, time.time() - event.alert.frame.captured_at / 1e9))

    return written
