"""What was judged, put where people and Prometheus see it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from monitor.judging.baseline.port import Fate, Phase
from monitor.judging.episodes import Change, Episodes, Transition
from monitor.judging.judge import Verdict
from monitor.judging.watch import CameraWatch, Notice
from monitor.serving.board import Board
from monitor.serving.metrics import Metrics


class Display:
    """Shows verdicts, alerts and troubles on the board and in the metrics. Belongs to the thread that judges."""

    def __init__(
        self,
        board: Board,
        metrics: Metrics,
        episodes: Episodes,
        watch: CameraWatch,
        shelved: Callable[[str, int], bool],
    ) -> None:
        """`shelved(camera, ns)`: whether nobody is to be called about this camera at that time."""
        self._board = board
        self._metrics = metrics
        self._episodes = episodes
        self._watch = watch
        self._shelved = shelved

    def verdicts(self, verdicts: Sequence[Verdict]) -> None:
        """Show a batch."""
        metrics, now_ns = self._metrics, time.time_ns()
        for verdict in verdicts:
            firing = self._episodes.active(verdict.frame.camera)
            self._board.judged(verdict, firing.alert_id if firing else None)
            metrics.to_verdict.observe(max(0.0, (now_ns - verdict.frame.captured_at_ns) / 1e9))
            if verdict.window is not None and verdict.window.fate is Fate.RELEARNT:
                metrics.relearnt.labels(verdict.frame.camera).inc()
        for verdict in {v.frame.camera: v for v in verdicts}.values():  # a gauge shows the newest of a batch
            self._gauges(verdict)

    def alerts(self, transitions: Sequence[Transition]) -> None:
        """Count the episodes that began."""
        for transition in transitions:
            if transition.change is Change.FIRING:
                episode = transition.episode
                self._metrics.alerts.labels(episode.camera, episode.severity.value).inc()

    def trouble(self, notice: Notice) -> None:
        """Show that a trouble of a camera began or ended."""
        trouble = notice.trouble
        holds = trouble.ended_at_ns is None
        self._metrics.camera_trouble.labels(trouble.camera, trouble.condition.value).set(1 if holds else 0)
        if holds:
            self._metrics.camera_troubles.labels(trouble.camera, trouble.condition.value).inc()
        self._board.in_trouble(trouble.camera, self._watch.conditions(trouble.camera))

    def in_trouble(self, camera: str) -> None:
        """Show the troubles that were taken over from an earlier process."""
        conditions = self._watch.conditions(camera)
        self._board.in_trouble(camera, conditions)
        for condition in conditions:
            self._metrics.camera_trouble.labels(camera, condition).set(1)

    def gone(self, camera: str) -> None:
        """Another worker shows this camera now."""
        self._board.gone(camera)
        self._metrics.forget(camera)

    def _gauges(self, verdict: Verdict) -> None:
        metrics, camera = self._metrics, verdict.frame.camera
        metrics.score.labels(camera).set(verdict.normalised)
        metrics.score_raw.labels(camera).set(verdict.score)
        metrics.low.labels(camera).set(verdict.low)
        metrics.high.labels(camera).set(verdict.high)
        metrics.threshold.labels(camera).set(verdict.threshold)
        metrics.limit.labels(camera).set(verdict.limit)
        metrics.last_frame.labels(camera).set(verdict.frame.captured_at_ns / 1e9)
        metrics.alert_active.labels(camera).set(1 if self._episodes.active(camera) else 0)
        metrics.shelved.labels(camera).set(1 if self._shelved(camera, verdict.frame.captured_at_ns) else 0)
        if verdict.window is None:
            return
        metrics.baseline_frames.labels(camera).set(verdict.window.count)
        metrics.baseline_refused.labels(camera).set(verdict.window.refused)
        for phase in Phase:
            metrics.baseline_phase.labels(camera, phase.value).set(1 if phase is verdict.window.phase else 0)
