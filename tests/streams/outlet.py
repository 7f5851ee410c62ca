"""An outlet that writes down what a source tells it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from streams.frame import Frame
from streams.source import Keep, Source


class NotingOutlet:
    """Takes every frame while `room` says so. Thread-safe enough for one source."""

    def __init__(self, room: Callable[[], bool] = lambda: True) -> None:
        self.room = room
        self.frames: list[Frame] = []
        self.keeps: set[Keep] = set()
        self.refused: list[tuple[str, str]] = []
        self.skipped: list[tuple[str, str]] = []
        self.ups: list[tuple[str, bool]] = []
        self.gone: list[str] = []
        self.lags: dict[tuple[str, int], int] = {}
        self.troubles: list[str | None] = []
        self.turned_away = 0
        self._change = threading.Condition()

    def offer(self, frame: Frame, keep: Keep) -> bool:
        if not self.room():
            self.turned_away += 1
            return False
        with self._change:
            self.frames.append(frame)
            self.keeps.add(keep)
            self._change.notify_all()
        return True

    def refuse(self, camera: str, reason: str) -> None:
        with self._change:
            self.refused.append((camera, reason))
            self._change.notify_all()

    def skip(self, camera: str, reason: str) -> None:
        self.skipped.append((camera, reason))

    def camera_up(self, camera: str, up: bool) -> None:
        with self._change:
            self.ups.append((camera, up))
            self._change.notify_all()

    def camera_gone(self, camera: str) -> None:
        with self._change:
            self.gone.append(camera)
            self._change.notify_all()

    def lag(self, topic: str, partition: int, messages: int) -> None:
        self.lags[topic, partition] = messages

    def trouble(self, source: str, message: str | None) -> None:
        with self._change:
            if not self.troubles or self.troubles[-1] != message:
                self.troubles.append(message)
            self._change.notify_all()

    def wait(self, condition: Callable[[], bool], timeout_s: float = 30.0) -> bool:
        """Until the condition holds; False where the time is over first."""
        with self._change:
            return self._change.wait_for(condition, timeout_s)


class Running:
    """A source that runs in a thread for the length of a `with` block."""

    def __init__(self, source: Source, outlet: NotingOutlet) -> None:
        self.source, self.outlet = source, outlet
        self.stop = threading.Event()
        self.thread = threading.Thread(target=source.run, args=(outlet, self.stop), daemon=True)

    def __enter__(self) -> Running:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join(20)
        assert not self.thread.is_alive(), "run() did not return after stop"
        self.source.close()
