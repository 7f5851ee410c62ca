"""One thread a source, and what the source reports put where it belongs."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from monitor.judging.presence import Presence
from monitor.scoring.inbox import Inbox
from monitor.serving.board import Board
from monitor.serving.ledger import Ledger
from monitor.serving.metrics import Metrics
from streams.backoff import Backoff
from streams.frame import Frame
from streams.source import Keep, Outlet, Source

log = structlog.get_logger(__name__)


class Custody:
    """One source, and the count of its frames that somebody has and has not finished. Thread-safe."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.cameras: set[str] = set(source.cameras)
        self._lock = threading.Lock()
        self._taken = 0

    def known(self) -> set[str]:
        """The cameras that it names or has given frames of."""
        with self._lock:
            return set(self.cameras)

    @property
    def under_way(self) -> int:
        """Frames that were handed over and are not finished."""
        return self._taken

    def taken(self, camera: str) -> None:
        """A frame was handed over."""
        with self._lock:
            self._taken += 1
            self.cameras.add(camera)

    def finish(self, frame: Frame) -> None:
        """This frame needs nothing more."""
        self.source.finish(frame)
        with self._lock:
            self._taken -= 1

    def reject(self, frame: Frame, error: str) -> None:
        """This frame cannot be used."""
        self.source.reject(frame, error)
        with self._lock:
            self._taken -= 1


class SourceOutlet:
    """What one source sees of the monitor (the port `streams.source.Outlet`)."""

    def __init__(
        self, custody: Custody, inbox: Inbox, ledger: Ledger, board: Board, metrics: Metrics, presence: Presence
    ) -> None:
        self._custody = custody
        self._source = source = custody.source
        self._presence = presence
        self._is_topic = not source.cameras
        self._inbox = inbox
        self._ledger = ledger
        self._board = board
        self._metrics = metrics

    def offer(self, frame: Frame, keep: Keep) -> bool:
        taken = self._inbox.offer(self._custody, frame, keep)
        if not taken:
            self._presence.held_up(self._source.name)
            return False
        self._custody.taken(frame.camera)
        if self._is_topic or keep is Keep.NEWEST:
            self._presence.heard(frame.camera, self._source.name, moves=self._is_topic)
        return True

    def refuse(self, camera: str, reason: str) -> None:
        self._presence.heard_again(camera)
        self._ledger.captured(camera)
        self._ledger.failed(camera, reason)

    def skip(self, camera: str, reason: str) -> None:
        self._presence.heard_again(camera)
        self._ledger.captured(camera)
        self._ledger.dropped(camera, reason)

    def camera_up(self, camera: str, up: bool) -> None:
        self._board.reported(camera, up)
        self._metrics.camera_up.labels(camera).set(1 if up else 0)
        if up:
            self._presence.gone(camera)  # it is heard by its frames from now on, if it is one that goes on for ever
        else:
            self._presence.expected(camera, self._source.name)

    def camera_gone(self, camera: str) -> None:
        self._presence.left(camera)

    def lag(self, topic: str, partition: int, messages: int) -> None:
        self._metrics.kafka_lag.labels(topic, str(partition)).set(messages)

    def trouble(self, source: str, message: str | None) -> None:
        self._board.trouble(source, message)
        if self._is_topic:
            self._presence.deaf(self._source.name, message is not None)

    def ended(self) -> None:
        """The source has come to its end: its cameras owe us nothing more."""
        for camera in self._source.cameras:
            self._presence.gone(camera)
        if self._is_topic:
            self._presence.deaf(self._source.name, True)


class SourceThread(threading.Thread):
    """Runs a source until it ends; one that raises is started again with back-off. `ended` is called at its end."""

    def __init__(
        self, source: Source, outlet: Outlet, stop: threading.Event, ended: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(name=source.name, daemon=True)
        self.source = source
        self._outlet = outlet
        self._asked = stop
        self._ended = ended

    def run(self) -> None:
        backoff = Backoff(first_s=1.0)
        while not self._asked.is_set():
            try:
                self.source.run(self._outlet, self._asked)
                self._ended()
                return
            except Exception as error:
                log.exception("source_failed", source=self.source.name)
                self._outlet.trouble(self.source.name, f"{self.source.name} failed: {type(error).__name__}; restarted")
                self._asked.wait(backoff.next_s())
