"""A frame's whole way at a glance: sources → inbox → decode → score → judge → report → finish.

Four kinds of threads, each with one job, joined by short queues: one reader a source, one that gathers and decodes
batches, one that scores them, one that judges and reports. A frame is finished at its source only when its verdict
is in the outbox; that is the moment from which a Kafka offset may be committed.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import structlog

from monitor.alerting.reporter import Reporter
from monitor.alerting.takeover import Takeover
from monitor.judging.episodes import Change, Episodes, Hold, Transition
from monitor.judging.judge import Judge, Verdict
from monitor.judging.presence import Presence
from monitor.judging.watch import CameraWatch, Notice
from monitor.publishing import ScorePublisher
from monitor.scoring.decoding import Batch, Decoder, Rejected
from monitor.scoring.inbox import Arrival, Inbox
from monitor.scoring.worker import Score, Worker
from monitor.serving.board import Board
from monitor.serving.ledger import Ledger
from monitor.serving.metrics import Metrics
from monitor.supervision import SourceOutlet, SourceThread
from streams.source import Source

log = structlog.get_logger(__name__)

END = None
"""What a stage sends down its queue when nothing more comes."""

MAX_HELD = 10_000
"""So many finished frames may wait for the outbox; then the pipeline stands still, and Kafka is paused."""

UNDECIDED_S = 10.0
"""So long an episode waits for a suspicion of its camera to be decided, where no more frames come."""


@dataclass(frozen=True, slots=True)
class Stages:
    """What the pipeline strings together."""

    inbox: Inbox
    decoder: Decoder
    worker: Worker
    presence: Presence
    watch: CameraWatch
    takeover: Takeover
    judge: Judge
    episodes: Episodes
    reporter: Reporter
    publisher: ScorePublisher | None
    ledger: Ledger
    board: Board
    metrics: Metrics


class Pipeline:
    """Runs until every source has ended or `stop` is called, then empties itself in order."""

    def __init__(
        self, sources: Sequence[Source], stages: Stages, *, max_batch: int, max_wait_s: float, flush_s: float
    ) -> None:
        """`flush_s`: how long, at the end, alerts may wait for an outbox that is away."""
        self._s = stages
        self._max_batch = max_batch
        self._max_wait_s = max_wait_s
        self._stop = threading.Event()
        self._readers = [self._reader(source) for source in sources]
        self._decoded: queue.Queue[Batch | None] = queue.Queue(maxsize=1)
        self._scored: queue.Queue[list[Score] | None] = queue.Queue(maxsize=1)
        self._held: deque[Arrival] = deque()
        self._flush_s = flush_s
        self._undecided_since_s: dict[str, float] = {}
        self._ending = threading.Event()

    def stop(self) -> None:
        """Stop reading; `run` returns when what was read is finished. Safe from a signal handler."""
        self._stop.set()

    @property
    def unwritten(self) -> int:
        """Alert events that are not in the outbox; after `run`, those that were given up."""
        return self._s.reporter.waiting

    def run(self) -> None:
        """Block until the end. Raises nothing that one frame, source or server could cause."""
        stages = [
            threading.Thread(target=self._gather_and_decode, name="decode", daemon=True),
            threading.Thread(target=self._score, name="score", daemon=True),
            threading.Thread(target=self._judge, name="judge", daemon=True),
        ]
        for thread in (*stages, *self._readers):
            thread.start()
        for reader in self._readers:
            reader.join()
        self._ending.set()
        self._s.inbox.close()
        for thread in stages:
            thread.join()
        self._s.decoder.close()
        if self._s.publisher is not None:
            self._s.publisher.close()
        for reader in self._readers:
            reader.source.close()

    def _reader(self, source: Source) -> SourceThread:
        s = self._s
        outlet = SourceOutlet(source, s.inbox, s.ledger, s.board, s.metrics, s.presence)
        return SourceThread(source, outlet, self._stop, outlet.ended)

    def _gather_and_decode(self) -> None:
        while (arrivals := self._s.inbox.gather(self._max_batch, self._max_wait_s)) is not None:
            try:
                with self._s.metrics.stage.labels("decode").time():
                    batch, rejected = self._s.decoder.decode(arrivals)
            except Exception:
                self._own_fault("decoding_failed", arrivals)
                continue
            self._reject(rejected)
            if batch is not None:
                self._decoded.put(batch)
        self._decoded.put(END)

    def _score(self) -> None:
        while (batch := self._decoded.get()) is not END:
            self._s.metrics.batch_size.observe(len(batch.arrivals))
            try:
                with self._s.metrics.stage.labels("score").time():
                    scores, rejected = self._s.worker.score(batch)
            except Exception:
                self._own_fault("scoring_failed", batch.arrivals)
                continue
            self._reject(rejected)
            if scores:
                self._scored.put(scores)
        self._scored.put(END)

    def _judge(self) -> None:
        while (scores := self._next_scores()) is not END:
            try:
                verdicts, transitions = self._judge_batch(scores)
            except Exception:
                self._own_fault("judging_failed", [score.arrival for score in scores])
                continue
            self._hold([score.arrival for score in scores])
            try:
                self._show(verdicts, transitions)
            except Exception:
                log.exception("showing_failed")  # the frames are judged and counted; only the page lags
            self._finish_held()
        for camera in self._s.episodes.undecided():
            self._let_go(camera)
        self._finish_held()
        end_s = time.monotonic() + self._flush_s
        while self._s.reporter.waiting and time.monotonic() < end_s:
            time.sleep(0.2)
            self._finish_held()
        if self._s.reporter.waiting:
            # Their frames are not finished: from Kafka they come again, and the alerts with them.
            log.error("alerts_not_written", events=self._s.reporter.waiting, reason=self._s.judge.trouble)

    def _next_scores(self) -> list[Score] | None:
        """The next batch; meanwhile what waits for the outbox is tried again."""
        while True:
            while len(self._held) > MAX_HELD and not self._ending.is_set():
                time.sleep(0.2)
                self._decide_late()
                self._finish_held()
            self._look_round()
            try:
                return self._scored.get(timeout=0.5)
            except queue.Empty:
                self._finish_held()

    def _judge_batch(self, scores: list[Score]) -> tuple[list[Verdict], list[Transition]]:
        metrics = self._s.metrics
        self._take_leave()
        self._meet({score.frame.camera for score in scores})
        with metrics.stage.labels("health").time():
            holds, notices = self._s.watch.see(scores)
        self._tell(notices)
        with metrics.stage.labels("window").time():
            held = {index for index, hold in enumerate(holds) if hold is not Hold.NO}
            verdicts = self._s.judge.judge(scores, keep_out=held)
        self._s.board.trouble("window", self._s.judge.trouble)
        with metrics.stage.labels("report").time():
            steps = (self._s.episodes.step(v, hold) for v, hold in zip(verdicts, holds, strict=True))
            transitions = [t for t in steps if t is not None]
            self._s.reporter.report(transitions)
        self._s.board.trouble("evidence", self._s.reporter.evidence_trouble)
        for verdict in verdicts:
            self._s.ledger.scored(verdict.frame.camera)
        return verdicts, transitions

    def _look_round(self) -> None:
        """What is to be noticed where no frame comes."""
        try:
            self._take_leave()
            self._meet(self._s.presence.silence_s())
            self._tell(self._s.watch.tick())
            self._decide_late()
        except Exception:
            log.exception("camera_watch_failed")

    def _take_leave(self) -> None:
        """Forget the cameras that another worker judges or has judged, when everything that they caused is told."""
        for camera in self._s.watch.departed():
            self._let_go(camera)
            self._s.episodes.forget(camera)
            self._s.takeover.forget(camera)
            if not self._s.presence.knows(camera):  # it may have come back already
                self._s.board.gone(camera)
                self._s.metrics.forget(camera)

    def _decide_late(self) -> None:
        """An episode that waits for a suspicion to be decided does not wait for ever where no frame comes."""
        now_s, waiting = time.monotonic(), set(self._s.episodes.undecided())
        self._undecided_since_s = {c: self._undecided_since_s.get(c, now_s) for c in waiting}
        for camera, since_s in self._undecided_since_s.items():
            if now_s - since_s > UNDECIDED_S:
                self._let_go(camera)

    def _let_go(self, camera: str) -> None:
        transition = self._s.episodes.let_go(camera)
        if transition is not None:
            self._s.reporter.report([transition])
            self._count_alerts([transition])

    def _meet(self, cameras: Iterable[str]) -> None:
        """Go on with what was firing at cameras that are new here, show it, and end what nobody goes on with."""
        found = self._s.takeover.meet(cameras)
        for camera in found.in_trouble:
            conditions = self._s.watch.conditions(camera)
            self._s.board.in_trouble(camera, conditions)
            for condition in conditions:
                self._s.metrics.camera_trouble.labels(camera, condition).set(1)
        for over in found.ended:
            if isinstance(over, Transition):
                self._s.reporter.report([over])
            else:
                self._tell([Notice(over, None)])

    def _tell(self, notices: list[Notice]) -> None:
        """Report what began or ended at the cameras themselves, and show it."""
        for notice in notices:
            trouble, metrics = notice.trouble, self._s.metrics
            self._s.reporter.report_trouble(trouble, notice.frame)
            holds = trouble.ended_at_ns is None
            metrics.camera_trouble.labels(trouble.camera, trouble.condition.value).set(1 if holds else 0)
            if holds:
                metrics.camera_troubles.labels(trouble.camera, trouble.condition.value).inc()
            self._s.board.in_trouble(trouble.camera, self._s.watch.conditions(trouble.camera))

    def _hold(self, arrivals: list[Arrival]) -> None:
        """Remember frames until they may be finished; without their pictures where that can take a while."""
        waiting = self._s.reporter.waiting > 0 or bool(self._s.episodes.undecided())
        for arrival in arrivals:
            self._held.append(replace(arrival, frame=arrival.frame.without_picture()) if waiting else arrival)

    def _show(self, verdicts: list[Verdict], transitions: list[Transition]) -> None:
        metrics, now_ns = self._s.metrics, time.time_ns()
        if self._s.publisher is not None:
            with metrics.stage.labels("publish").time():
                self._s.publisher.publish(verdicts)
        self._count_alerts(transitions)
        for verdict in verdicts:
            camera = verdict.frame.camera
            firing = self._s.episodes.active(camera)
            self._s.board.judged(verdict, firing.alert_id if firing else None)
            metrics.to_verdict.observe(max(0.0, (now_ns - verdict.frame.captured_at_ns) / 1e9))
        for verdict in {v.frame.camera: v for v in verdicts}.values():  # a gauge shows the newest of a batch
            camera = verdict.frame.camera
            metrics.score.labels(camera).set(verdict.normalised)
            metrics.score_raw.labels(camera).set(verdict.score)
            metrics.low.labels(camera).set(verdict.low)
            metrics.high.labels(camera).set(verdict.high)
            metrics.threshold.labels(camera).set(verdict.threshold)
            metrics.last_frame.labels(camera).set(verdict.frame.captured_at_ns / 1e9)
            metrics.alert_active.labels(camera).set(1 if self._s.episodes.active(camera) else 0)

    def _count_alerts(self, transitions: Sequence[Transition]) -> None:
        for transition in transitions:
            if transition.change is Change.FIRING:
                episode = transition.episode
                self._s.metrics.alerts.labels(episode.camera, episode.severity.value).inc()

    def _finish_held(self) -> None:
        """Tell the sources which frames are done, once everything that they caused is in the outbox, or is decided not
        to come to that."""
        self._s.reporter.flush()
        if self._s.reporter.waiting or self._s.episodes.undecided():
            return
        while self._held:
            arrival = self._held.popleft()
            arrival.source.finish(arrival.frame)

    def _own_fault(self, event: str, arrivals: Sequence[Arrival]) -> None:
        """A fault of ours must neither stop the line's watch nor lose count of these frames."""
        log.exception(event, frames=len(arrivals))
        self._reject([Rejected(arrival, "internal_error", "see the log of linewatch") for arrival in arrivals])

    def _reject(self, rejected: Sequence[Rejected]) -> None:
        for bad in rejected:
            frame = bad.arrival.frame
            self._s.ledger.failed(frame.camera, bad.reason)
            log.info("frame_rejected", camera=frame.camera, origin=frame.origin, reason=bad.reason, detail=bad.detail)
            bad.arrival.source.reject(frame, f"{bad.reason}: {bad.detail}")
