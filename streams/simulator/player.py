"""Plays footage into a Kafka topic at its natural pace, as a camera at the line would."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any, Final

import cv2
from kafka import KafkaProducer  # type: ignore[import-untyped,unused-ignore]

from streams.simulator.belt import Image
from streams.simulator.footage import Footage
from streams.simulator.notes import TruthNotes
from streams.simulator.truth import Planted

_JPEG_QUALITY: Final = 90
_BATCH_BYTES: Final = 1 << 20  # the embedded broker serves many small batches slowly
_LINGER_MS: Final = 5
_BOOTSTRAP_MS = 10_000
_FLUSH_S: Final = 10.0
_LATE_S: Final = 1.0  # further behind than this, the lost time is given up


@dataclass(frozen=True, slots=True)
class Play:
    """How to play: until `duration_s` is over, films from the start again if `loop`, at `pace`
    times the natural speed."""

    duration_s: float | None = None
    loop: bool = True
    pace: float = 1.0

    def __post_init__(self) -> None:
        if self.pace <= 0:
            raise ValueError(f"pace must be above 0, got {self.pace}")


_ENDLESS: Final = Play()


class KafkaPlayer:
    """One camera that sends JPEG frames to a topic from a thread of its own.

    Each message is keyed with the camera's id and carries the headers `camera`, `captured_at`
    and `seq`. `start` returns at once; `stop` and `wait` are safe to call at any time and more
    than once. An error that ends the thread is kept in `error`.
    """

    def __init__(
        self,
        footage: Footage,
        camera: str,
        topic: str,
        bootstrap_servers: str,
        play: Play = _ENDLESS,
    ) -> None:
        self.camera, self.topic = camera, topic
        self.error: Exception | None = None
        self._footage, self._how = footage, play
        self._bootstrap_servers = bootstrap_servers
        self._period_s = 1.0 / (footage.fps * play.pace)
        self._notes = TruthNotes(camera, round(self._period_s * 1e9))
        self._stop = threading.Event()
        self._counts = threading.Lock()
        self._sent = self._failed = 0
        self._thread = threading.Thread(target=self._run, name=f"player-{camera}", daemon=True)

    @property
    def sent(self) -> int:
        """Frames that the broker has acknowledged."""
        with self._counts:
            return self._sent

    @property
    def failed(self) -> int:
        """Frames that the broker did not take; once `wait` is over, the rest of what was played."""
        with self._counts:
            return self._failed

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def truth(self) -> list[Planted]:
        """What was wrong so far, in wall-clock time; what still is in view ends as planned."""
        return self._notes.planted()

    def start(self) -> KafkaPlayer:
        self._thread.start()
        return self

    def stop(self) -> None:
        """End the play and wait until all that was sent is acknowledged or given up."""
        self._stop.set()
        self.wait()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the play's end; False if it still runs."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            producer = KafkaProducer(
                bootstrap_servers=self._bootstrap_servers,
                client_id=f"player-{self.camera}",
                acks="all",
                batch_size=_BATCH_BYTES,
                bootstrap_timeout_ms=_BOOTSTRAP_MS,
                linger_ms=_LINGER_MS,
                max_request_size=8 << 20,
            )
            try:
                self._play(producer)
            finally:
                producer.close(timeout=_FLUSH_S)
        except Exception as error:  # kept for whoever asks; a thread has no caller to raise to
            self.error = error

    def _play(self, producer: Any) -> None:
        started_s = due_s = time.monotonic()
        seq, duration_s = 0, self._how.duration_s
        while not self._stop.is_set():
            for frame_index, picture in enumerate(self._footage.pictures()):
                delay_s = due_s - time.monotonic()
                if self._stop.wait(max(0.0, delay_s)):
                    return
                if duration_s is not None and due_s - started_s > duration_s - self._period_s / 2:
                    return
                self._send(producer, picture, frame_index, seq)
                seq += 1
                due_s += self._period_s
                if time.monotonic() - due_s > _LATE_S:
                    due_s = time.monotonic()
            self._notes.end_run()
            if not self._how.loop:
                return

    def _send(self, producer: Any, picture: Image, frame_index: int, seq: int) -> None:
        captured_at_ns = time.time_ns()
        encoded, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        if not encoded:
            raise ValueError(f"picture {frame_index} of {self.camera} could not be made a JPEG")
        self._notes.note(self._footage.span_at(frame_index), frame_index, captured_at_ns)
        headers = [
            ("camera", self.camera.encode()),
            ("captured_at", str(captured_at_ns).encode()),
            ("seq", str(seq).encode()),
        ]
        future = producer.send(self.topic, key=self.camera.encode(), value=jpeg.tobytes(), headers=headers)
        future.add_callback(self._count_sent)
        future.add_errback(self._count_failed)

    def _count_sent(self, _metadata: Any) -> None:
        with self._counts:
            self._sent += 1

    def _count_failed(self, _error: Any) -> None:
        with self._counts:
            self._failed += 1
