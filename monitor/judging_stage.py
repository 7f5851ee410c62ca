"""The last stage of a frame's way: from its score to its verdict, to what that means, and back to its source."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import structlog

from monitor.alerting.reporter import Reporter
from monitor.alerting.takeover import Takeover
from monitor.judging.baseline.port import WindowRules
from monitor.judging.drift import DriftWatch
from monitor.judging.episodes import Episode, Episodes, Hold, Transition
from monitor.judging.judge import Judge, Verdict
from monitor.judging.presence import Presence
from monitor.judging.watch import CameraWatch, Notice
from monitor.publishing import ScorePublisher, score_record
from monitor.recording import ScoreRecorder, recorded
from monitor.scoring.inbox import Arrival
from monitor.scoring.score import Score
from monitor.serving.board import Board
from monitor.serving.display import Display
from monitor.serving.ledger import Ledger
from monitor.serving.metrics import Metrics
from streams.frame import Frame

log = structlog.get_logger(__name__)

MAX_HELD = 10_000
"""So many finished frames may wait for the outbox; then the pipeline stands still, and Kafka is paused."""

UNDECIDED_S = 10.0
"""So long an episode waits for a suspicion of its camera to be decided, where no more frames come."""


@dataclass(frozen=True, slots=True)
class JudgingParts:
    """What the stage strings together.

    shelved(camera, ns): whether nobody is to be called about this camera at that time; shelved_by_hand: whether by
    somebody rather than by the schedule. unsettled(camera): whether what the network sees of it may yet change.
    window_rules(): as they stand. left(camera): told when another worker has it. seen(frame):
    told of each before it is judged.
    """

    presence: Presence
    watch: CameraWatch
    takeover: Takeover
    judge: Judge
    drift: DriftWatch
    episodes: Episodes
    reporter: Reporter
    publisher: ScorePublisher | None
    recorder: ScoreRecorder | None
    shelved: Callable[[str, int], bool]
    shelved_by_hand: Callable[[str, int], bool]
    unsettled: Callable[[str], bool]
    left: Callable[[str], None]
    seen: Callable[[Frame], None]
    window_rules: Callable[[], WindowRules]
    ledger: Ledger
    board: Board
    metrics: Metrics


class JudgingStage:
    """Judges batches in order. Belongs to one thread; raises nothing that one frame or server could cause.

    A frame is finished at its source only when everything that it caused is in the outbox, with the state that it led
    to, or is decided not to come to that.
    """

    def __init__(self, parts: JudgingParts) -> None:
        self._p = parts
        self._display = Display(parts.board, parts.metrics, parts.episodes, parts.watch, parts.shelved)
        self._held: deque[Arrival] = deque()
        self._undecided_since_s: dict[str, float] = {}

    @property
    def full(self) -> bool:
        """Whether so many frames wait for the outbox that no more should come."""
        return len(self._held) > MAX_HELD

    @property
    def unwritten(self) -> int:
        """Events and states that are not in the outbox."""
        return self._p.reporter.waiting

    def take(self, scores: Sequence[Score]) -> None:
        """Judge one batch. Raises only for a fault of ours, and then has not taken the frames."""
        verdicts, transitions = self._judge(scores)
        self._hold([score.arrival for score in scores])
        try:
            self._display.alerts(transitions)
            self._display.verdicts(verdicts)
        except Exception:
            log.exception("showing_failed")  # the frames are judged and counted; only the page lags
        self.finish()

    def look_round(self) -> None:
        """What is to be noticed where no frame comes."""
        try:
            self._take_leave()
            self._meet(self._p.presence.silence_s())
            self._tell(self._p.watch.tick())
            self._decide_late()
        except Exception:
            log.exception("camera_watch_failed")

    def finish(self) -> None:
        """Write what waits for the outbox, and tell the sources which frames are done."""
        self._p.reporter.flush()
        if self._p.reporter.waiting or self._p.episodes.undecided():
            return
        while self._held:
            arrival = self._held.popleft()
            arrival.source.finish(arrival.frame)

    def end(self, flush_s: float) -> None:
        """Nothing more comes: decide what waits, and write it, for `flush_s` at most where the outbox is away."""
        for camera in self._p.episodes.undecided():
            self._let_go(camera)
        self.finish()
        end_s = time.monotonic() + flush_s
        while self._p.reporter.waiting and time.monotonic() < end_s:
            time.sleep(0.2)
            self.finish()
        if self._p.reporter.waiting:
            # Their frames are not finished: from Kafka they come again, and the alerts with them.
            log.error("alerts_not_written", events=self._p.reporter.waiting, reason=self._p.judge.trouble)

    def _judge(self, scores: Sequence[Score]) -> tuple[list[Verdict], list[Transition]]:
        p = self._p
        self._take_leave()
        self._meet({score.frame.camera for score in scores})
        with p.metrics.stage.labels("health").time():
            holds, notices = p.watch.see(scores)
        self._tell(notices)
        with p.metrics.stage.labels("window").time():
            verdicts = p.judge.judge(scores, keep_out=self._kept_out(scores, holds))
        p.board.trouble("window", p.judge.trouble)
        with p.metrics.stage.labels("report").time():
            transitions, firing = [], []
            for verdict, hold in zip(verdicts, holds, strict=True):
                p.seen(verdict.frame)
                if (transition := p.episodes.step(verdict, hold)) is not None:
                    transitions.append(transition)
                firing.append(p.episodes.active(verdict.frame.camera))
            p.reporter.report(transitions, p.episodes.changed())
            rules = p.window_rules()
            for drift in p.drift.see(verdicts, rules.drifting_from):
                p.reporter.report_drift(drift, rules.relearn_after)
        p.board.trouble("evidence", p.reporter.evidence_trouble)
        for verdict in verdicts:
            p.ledger.scored(verdict.frame.camera)
        self._record(verdicts, holds, firing)
        return verdicts, transitions

    def _kept_out(self, scores: Sequence[Score], holds: Sequence[Hold]) -> set[int]:
        """The frames that must leave no trace in their windows."""
        return {
            index
            for index, (score, hold) in enumerate(zip(scores, holds, strict=True))
            if hold is not Hold.NO
            or self._p.shelved(score.frame.camera, score.frame.captured_at_ns)
            or self._p.unsettled(score.frame.camera)
        }

    def _record(self, verdicts: Sequence[Verdict], holds: Sequence[Hold], firing: Sequence[Episode | None]) -> None:
        """Hand the scores to who publishes and who keeps them. Neither waits."""
        publisher, recorder = self._p.publisher, self._p.recorder
        if publisher is None and recorder is None:
            return
        with self._p.metrics.stage.labels("publish").time():
            records = [
                recorded(
                    score_record(verdict),
                    verdict,
                    hold,
                    self._p.shelved_by_hand(verdict.frame.camera, verdict.frame.captured_at_ns),
                    None if episode is None else episode.alert_id,
                )
                for verdict, hold, episode in zip(verdicts, holds, firing, strict=True)
            ]
            if publisher is not None:
                publisher.publish(records)
            if recorder is not None:
                recorder.record(records)

    def _take_leave(self) -> None:
        """Forget the cameras that another worker judges or has judged, when everything that they caused is told."""
        for camera in self._p.watch.departed():
            self._let_go(camera)
            self._p.episodes.forget(camera)
            self._p.drift.forget(camera)
            self._p.takeover.forget(camera)
            if not self._p.presence.knows(camera):  # it may have come back already
                self._p.left(camera)
                self._display.gone(camera)

    def _decide_late(self) -> None:
        """An episode that waits for a suspicion to be decided does not wait for ever where no frame comes."""
        now_s, waiting = time.monotonic(), set(self._p.episodes.undecided())
        self._undecided_since_s = {c: self._undecided_since_s.get(c, now_s) for c in waiting}
        for camera, since_s in self._undecided_since_s.items():
            if now_s - since_s > UNDECIDED_S:
                self._let_go(camera)

    def _let_go(self, camera: str) -> None:
        transition = self._p.episodes.let_go(camera)
        if transition is not None:
            self._p.reporter.report([transition], self._p.episodes.changed())
            self._display.alerts([transition])

    def _meet(self, cameras: Iterable[str]) -> None:
        """Go on with what was firing at cameras that are new here, show it, and end what nobody goes on with."""
        if self._p.reporter.waiting:
            self._p.reporter.flush()
        if self._p.reporter.waiting:
            return  # what is known in Redis is behind what was judged here
        found = self._p.takeover.meet(cameras)
        for camera in found.in_trouble:
            self._display.in_trouble(camera)
        for alert in found.drifting:
            if (over := self._p.drift.adopt(alert.drift())) is not None:
                self._p.reporter.report_drift(over, round(alert.threshold))
        for ended in found.ended:
            if isinstance(ended, Transition):
                self._p.reporter.report([ended])
            else:
                self._tell([Notice(ended, None)])

    def _tell(self, notices: list[Notice]) -> None:
        """Report what began or ended at the cameras themselves, and show it."""
        for notice in notices:
            self._p.reporter.report_trouble(notice.trouble, notice.frame)
            self._display.trouble(notice)

    def _hold(self, arrivals: Sequence[Arrival]) -> None:
        """Remember frames until they may be finished; without their pictures where that can take a while."""
        waiting = self._p.reporter.waiting > 0 or bool(self._p.episodes.undecided())
        for arrival in arrivals:
            self._held.append(replace(arrival, frame=arrival.frame.without_picture()) if waiting else arrival)
