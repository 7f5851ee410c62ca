"""Workers that share a topic: each a Kafka source with a small pipeline behind it, all writing into one log."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from kafka import KafkaProducer

from streams.frame import Frame
from streams.kafka import KafkaSource, KafkaSourceOptions
from streams.source import Keep
from tests.streams.outlet import NotingOutlet


class Log:
    """What the workers finished, in the order in which they did. Thread-safe."""

    def __init__(self) -> None:
        self.done: list[tuple[str, Frame]] = []
        self._change = threading.Condition()

    def add(self, worker: str, frame: Frame) -> None:
        with self._change:
            self.done.append((worker, frame))
            self._change.notify_all()

    def of(self, worker: str) -> int:
        return sum(name == worker for name, _ in self.done)

    def seqs(self) -> dict[str, list[int]]:
        """The numbers of each camera's frames, in the order in which they were finished."""
        found: dict[str, list[int]] = {}
        for _, frame in self.done:
            found.setdefault(frame.camera, []).append(frame.seq)
        return found

    def wait(self, condition: Callable[[], bool], timeout_s: float = 60) -> bool:
        with self._change:
            return self._change.wait_for(condition, timeout_s)


class Worker(NotingOutlet):
    """A member of the group whose pipeline takes `work_s` a frame and has room for `ROOM`."""

    ROOM = 20

    def __init__(self, name: str, options: KafkaSourceOptions, log: Log, work_s: float = 0.002) -> None:
        super().__init__()
        self.name, self.log, self.work_s = name, log, work_s
        self.source = KafkaSource(options)
        self.stop = threading.Event()
        self.open = threading.Event()
        self.open.set()
        self._inbox: queue.Queue[Frame | None] = queue.Queue(self.ROOM)
        self._reader = threading.Thread(target=self.source.run, args=(self, self.stop), daemon=True)
        self._pipeline = threading.Thread(target=self._work, daemon=True)

    def start(self) -> Worker:
        self._reader.start()
        self._pipeline.start()
        return self

    def offer(self, frame: Frame, keep: Keep) -> bool:
        try:
            self._inbox.put_nowait(frame)
        except queue.Full:
            return False
        return super().offer(frame, keep)

    def leave(self) -> None:
        """In order, as the pipeline does: stop reading, finish what was read, commit."""
        self.stop.set()
        self._reader.join(30)
        assert not self._reader.is_alive()
        self._inbox.put(None)
        self._pipeline.join(30)
        assert not self._pipeline.is_alive()
        self.source.close()

    def _work(self) -> None:
        while (frame := self._inbox.get()) is not None:
            self.open.wait()
            time.sleep(self.work_s)
            self.log.add(self.name, frame)
            self.source.finish(frame)


class Line:
    """Sends numbered frames of four cameras, two on each of two partitions, until told to stop."""

    CAMERAS: ClassVar[dict[str, int]] = {"a": 0, "b": 0, "c": 1, "d": 1}

    def __init__(self, address: str, topic: str) -> None:
        self._producer: Any = KafkaProducer(bootstrap_servers=address, linger_ms=5)
        self._topic = topic
        self.sent = 0

    def send(self, count: int) -> None:
        """`count` frames of every camera."""
        for seq in range(self.sent, self.sent + count):
            for camera, partition in self.CAMERAS.items():
                headers = [("seq", b"%d" % seq)]
                self._producer.send(self._topic, key=camera.encode(), value=b"x", headers=headers, partition=partition)
        self.sent += count
        self._producer.flush(20)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Some forty frames a second of every camera, for the length of the block."""
        stop = threading.Event()

        def run() -> None:
            while not stop.is_set():
                self.send(4)
                stop.wait(0.1)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(30)

    def close(self) -> None:
        self._producer.close(timeout=5)
