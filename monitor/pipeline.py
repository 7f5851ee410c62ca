"""A frame's whole way at a glance: sources → inbox → decode → score → judge → report → finish.

Four kinds of threads, each with one job, joined by short queues: one reader a source, one that gathers and decodes
batches, one that scores them, one that judges and reports. A frame is finished at its source only when its verdict
is in the outbox; that is the moment from which a Kafka offset may be committed.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from monitor.judging_stage import JudgingStage
from monitor.publishing import ScorePublisher
from monitor.readers import Readers
from monitor.recording import ScoreRecorder
from monitor.scoring.decoding import Batch, Decoder, Rejected
from monitor.scoring.inbox import Arrival, Inbox
from monitor.scoring.score import Score
from monitor.scoring.worker import Worker
from monitor.serving.ledger import Ledger
from monitor.serving.metrics import Metrics
from monitor.supervision import Custody
from streams.source import Outlet, Source

log = structlog.get_logger(__name__)

END = None
"""What a stage sends down its queue when nothing more comes."""


@dataclass(frozen=True, slots=True)
class Stages:
    """What the pipeline strings together. outlet: makes what a source reports to, and what is called at its end.
    retired: told of a camera that the configuration names no more."""

    outlet: Callable[[Custody], tuple[Outlet, Callable[[], None]]]
    retired: Callable[[str], None]
    inbox: Inbox
    decoder: Decoder
    worker: Worker
    judging: JudgingStage
    publisher: ScorePublisher | None
    recorder: ScoreRecorder | None
    ledger: Ledger
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
        self._flush_s = flush_s
        self.readers = Readers(sources, stages.outlet, stages.retired)
        self._decoded: queue.Queue[Batch | None] = queue.Queue(maxsize=1)
        self._scored: queue.Queue[list[Score] | None] = queue.Queue(maxsize=1)
        self._between: queue.SimpleQueue[tuple[Callable[[], None], threading.Event]] = queue.SimpleQueue()
        self._ending = threading.Event()

    def stop(self) -> None:
        """Stop reading; `run` returns when what was read is finished. Safe from a signal handler."""
        self.readers.stop()

    def between_batches(self, change: Callable[[], None]) -> threading.Event:
        """Have the judging thread make this change before its next batch. Thread-safe; returns at once, with what is
        set when it is made."""
        done = threading.Event()
        self._between.put((change, done))
        return done

    @property
    def unwritten(self) -> int:
        """Alert events that are not in the outbox; after `run`, those that were given up."""
        return self._s.judging.unwritten

    def run(self) -> None:
        """Block until the end. Raises nothing that one frame, source or server could cause."""
        stages = [
            threading.Thread(target=self._gather_and_decode, name="decode", daemon=True),
            threading.Thread(target=self._score, name="score", daemon=True),
            threading.Thread(target=self._judge, name="judge", daemon=True),
        ]
        for thread in stages:
            thread.start()
        self.readers.start()
        self.readers.join()
        self._ending.set()
        self._s.inbox.close()
        for thread in stages:
            thread.join()
        self._s.decoder.close()
        if self._s.publisher is not None:
            self._s.publisher.close()
        if self._s.recorder is not None:
            self._s.recorder.close()
        self.readers.close()

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
                self._s.judging.take(scores)
            except Exception:
                self._own_fault("judging_failed", [score.arrival for score in scores])
        self._s.judging.end(self._flush_s)

    def _next_scores(self) -> list[Score] | None:
        """The next batch; meanwhile what waits for the outbox is tried again."""
        while True:
            while self._s.judging.full and not self._ending.is_set():
                time.sleep(0.2)
                self._make_changes()
                self._s.judging.look_round()
                self._s.judging.finish()
            self._make_changes()
            self._s.judging.look_round()
            try:
                return self._scored.get(timeout=0.5)
            except queue.Empty:
                self._s.judging.finish()

    def _make_changes(self) -> None:
        while not self._between.empty():
            change, done = self._between.get_nowait()
            try:
                change()
            except Exception:
                log.exception("change_failed")
            done.set()

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
