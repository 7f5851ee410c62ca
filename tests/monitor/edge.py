"""An ingest that runs in a thread, a camera that shows what a test wants, and links that do what a test says."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from monitor.ingest.compose import compose_ingest
from monitor.ingest.ledger import EdgeAccount, unaccounted
from monitor.ingest.link import Done, LinkError
from monitor.ingest.pipeline import Ingest
from monitor.ingest.settings import IngestSettings
from streams.codec import encode_jpeg
from streams.frame import Frame
from streams.source import Keep, Outlet

PICTURE = encode_jpeg(np.random.default_rng(0).integers(0, 255, (96, 128, 3)).astype(np.uint8))
"""Some 10 kB of noise."""


class Camera:
    """A source that offers so many frames as `show` asks for, until it is told to end."""

    def __init__(self, camera: str, keep: Keep = Keep.NEWEST, payload: bytes = PICTURE, every_s: float = 0.001) -> None:
        self.name, self.cameras = f"test:{camera}", (camera,)
        self._camera, self._keep, self._payload, self._every_s = camera, keep, payload, every_s
        self._wanted: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self.shown = 0
        self.finished = 0
        self.rejected: list[str] = []

    def show(self, count: int) -> None:
        self._wanted.put(count)

    def end(self) -> None:
        self._wanted.put(None)

    def run(self, outlet: Outlet, stop: threading.Event) -> None:
        outlet.camera_up(self._camera, True)
        while not stop.is_set():
            try:
                count = self._wanted.get(timeout=0.05)
            except queue.Empty:
                continue
            if count is None:
                return
            for _ in range(count):
                frame = Frame(self._camera, self.shown, time.time_ns(), f"{self.name}/{self.shown}", self._payload)
                while not outlet.offer(frame, self._keep):
                    if stop.wait(0.005):
                        return
                self.shown += 1
                if stop.wait(self._every_s):
                    return

    def finish(self, frame: Frame) -> None:
        self.finished += 1

    def reject(self, frame: Frame, error: str) -> None:
        self.rejected.append(error)

    def close(self) -> None:
        pass


class Edge:
    """A composed ingest that runs for the length of a `with` block, and is stopped at its end as by a signal."""

    def __init__(
        self, address: str, topic: str, folder: Path, sources: Sequence[Any], connect: Any = None, **sections: Any
    ) -> None:
        tree = {
            "sources": [{"files": {"camera": "unused", "path": "unused"}}],
            "kafka": {"bootstrap_servers": address, "topic": topic} | sections.pop("kafka", {}),
            "buffer": {"dir": str(folder)} | sections.pop("buffer", {}),
        }
        self.ingest: Ingest = compose_ingest(IngestSettings.model_validate(tree | sections), sources, connect)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.ingest.run, args=(self.stop,), daemon=True)

    def __enter__(self) -> Edge:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.join()

    def join(self, timeout_s: float = 60) -> None:
        """Until it ends; then every frame is accounted for."""
        self.thread.join(timeout_s)
        assert not self.thread.is_alive(), "the ingest did not end"
        missing = unaccounted(self.ingest.ledger.accounts(), self.ingest.buffered)
        assert missing == 0, (self.ingest.ledger.accounts(), self.ingest.buffered)

    def account(self, camera: str = "line-1") -> EdgeAccount:
        return self.ingest.ledger.accounts().get(camera, EdgeAccount())

    @property
    def waiting(self) -> int:
        return sum(self.ingest.buffered.values())


@dataclass(frozen=True)
class Stall:
    """From this frame on nothing is answered for so long; then all of it, with `error` if there is one."""

    for_s: float
    error: Exception | None


class ScriptedLink:
    """A link to a broker in memory, as true to the port as Kafka's: in order, and nothing after a failure.

    `answer(frame)`: None takes it, RefusedError refuses it, LinkError breaks the link, a Stall as it says.
    """

    def __init__(self, taken: list[Frame], answer: Callable[[Frame], Any]) -> None:
        self.taken, self.answer = taken, answer
        self.connected = True
        self._lock = threading.RLock()
        self._open: list[tuple[Frame, Done]] = []
        self._error: Exception | None = None

    def send(self, frame: Frame, done: Done) -> None:
        with self._lock:
            if self._error is not None:
                raise LinkError("gone")
            if self._open:
                self._open.append((frame, done))
                return
            answer = self.answer(frame)
            if isinstance(answer, Stall):
                self._open.append((frame, done))
                self.connected = False
                threading.Timer(answer.for_s, self._resolve, [answer.error]).start()
                return
            if answer is None:
                self.taken.append(frame)
            elif isinstance(answer, LinkError):
                self._error = answer
            done(answer)

    def close(self, timeout_s: float) -> None:
        self._resolve(LinkError("closed"))

    def _resolve(self, error: Exception | None) -> None:
        with self._lock:
            self._error, self.connected = self._error or error, self._error is None and error is None
            waiting, self._open = self._open, []
            for frame, done in waiting:
                if self._error is None:
                    self.taken.append(frame)
                done(self._error)
