"""One thread a source, and what the source reports put where it belongs."""

from __future__ import annotations

import threading

import structlog

from monitor.scoring.inbox import Inbox
from monitor.serving.board import Board
from monitor.serving.ledger import Ledger
from monitor.serving.metrics import Metrics
from streams.backoff import Backoff
from streams.frame import Frame
from streams.source import Keep, Source

log = structlog.get_logger(__name__)


class SourceOutlet:
    """What one source sees of the monitor (the port `streams.source.Outlet`)."""

    def __init__(self, source: Source, inbox: Inbox, ledger: Ledger, board: Board, metrics: Metrics) -> None:
        self._source = source
        self._inbox = inbox
        self._ledger = ledger
        self._board = board
        self._metrics = metrics

    def offer(self, frame: Frame, keep: Keep) -> bool:
        return self._inbox.offer(self._source, frame, keep)

    def refuse(self, camera: str, reason: str) -> None:
        self._ledger.captured(camera)
        self._ledger.failed(camera, reason)

    def skip(self, camera: str, reason: str) -> None:
        self._ledger.captured(camera)
        self._ledger.dropped(camera, reason)

    def camera_up(self, camera: str, up: bool) -> None:
        self._board.reported(camera, up)
        self._metrics.camera_up.labels(camera).set(1 if up else 0)

    def lag(self, topic: str, partition: int, messages: int) -> None:
        self._metrics.kafka_lag.labels(topic, str(partition)).set(messages)

    def trouble(self, source: str, message: str | None) -> None:
        self._board.trouble(source, message)


class SourceThread(threading.Thread):
    """Runs a source until it ends; one that raises is started again with back-off."""

    def __init__(
        self, source: Source, inbox: Inbox, ledger: Ledger, board: Board, metrics: Metrics, stop: threading.Event
    ) -> None:
        super().__init__(name=source.name, daemon=True)
        self.source = source
        self._outlet = SourceOutlet(source, inbox, ledger, board, metrics)
        self._stop_event = stop

    def run(self) -> None:
        backoff = Backoff(first_s=1.0)
        while not self._stop_event.is_set():
            try:
                self.source.run(self._outlet, self._stop_event)
                return
            except Exception as error:
                log.exception("source_failed", source=self.source.name)
                self._outlet.trouble(self.source.name, f"{self.source.name} failed: {type(error).__name__}; restarted")
                self._stop_event.wait(backoff.next_s())
