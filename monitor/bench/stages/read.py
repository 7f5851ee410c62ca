"""Reading: a consumer group member takes a topic's frames, finishes each at once and commits, and does nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final
from uuid import uuid4

from kafka import KafkaProducer  # type: ignore[import-untyped,unused-ignore]

from monitor.bench.footage import Footage
from monitor.bench.stages.frames import cameras
from monitor.bench.stages.lap import Lap, StageFailed, Stopwatch, processor_s
from monitor.bench.stages.task import Setup, Task
from monitor.embedded import EmbeddedBroker
from streams.frame import Frame
from streams.kafka import KafkaSource, KafkaSourceOptions
from streams.source import Keep

PARTITIONS: Final = 4
SESSION_MS: Final = 6_000  # the embedded broker settles a group only after half of it
MOST_BYTES: Final = 96 << 20
"""Of one lap's frames: the broker keeps them in memory, and those of all laps before."""
FIRST_FRAMES: Final = 100
LOOKS: Final = 6
"""A source that was told so often that there is no room, twice a poll of 50 ms, has no more frames on their way."""
LONGEST_S: Final = 120.0


class Gate:
    """An outlet that finishes every frame at once. While it is shut there is no room. Once open it takes one frame that
    the source has held back, starts the clock, takes `wanted` more, stops the clock, and is shut again."""

    def __init__(self, watch: Stopwatch) -> None:
        self.source: KafkaSource | None = None
        self.trouble_now: str | None = None
        self._watch = watch
        self._change = threading.Condition()
        self._open = False
        self._taken, self._wanted, self._refused = 0, 0, 0
        self._lap: Lap | None = None

    def open(self, wanted: int) -> None:
        with self._change:
            self._taken, self._wanted, self._refused, self._lap = -1, wanted, 0, None
            self._open = True

    def wait_held(self) -> None:
        """Until a frame is held back, and no other is on its way."""
        self._wait(lambda: self._refused >= LOOKS)

    def wait_lap(self) -> Lap:
        self._wait(lambda: self._lap is not None)
        assert self._lap is not None
        return self._lap

    def offer(self, frame: Frame, keep: Keep) -> bool:
        if not self._open:
            with self._change:
                self._refused += 1
                self._change.notify_all()
            return False
        if self._taken < 0:
            self._watch.start()
        self._taken += 1
        assert self.source is not None
        self.source.finish(frame)
        if self._taken == self._wanted:
            with self._change:
                self._lap, self._open = self._watch.stop(self._wanted), False
                self._change.notify_all()
        return True

    def trouble(self, source: str, message: str | None) -> None:
        self.trouble_now = message

    def refuse(self, camera: str, reason: str) -> None:
        self.trouble_now = f"a message of {camera} was refused: {reason}"

    def skip(self, camera: str, reason: str) -> None:
        """None is too old: there is no such limit here."""

    def camera_up(self, camera: str, up: bool) -> None:
        """Of no interest; so are the two below."""

    def camera_gone(self, camera: str) -> None: ...

    def lag(self, topic: str, partition: int, messages: int) -> None: ...

    def _wait(self, reached: Callable[[], bool]) -> None:
        with self._change:
            if not self._change.wait_for(reached, LONGEST_S):
                why = self.trouble_now or "no frame comes, and the source names no trouble"
                raise StageFailed(f"read: nothing moved within {LONGEST_S:.0f} s: {why}")


class Reading:
    """A topic that is filled before each lap, and the source that reads it from then on."""

    def __init__(self, broker: EmbeddedBroker, footage: Footage, count: int) -> None:
        self._footage, self._names = footage, cameras(count)
        self._sent = 0
        self._per_s = 0.0
        self.topic = self.group = f"bench-{uuid4().hex[:8]}"
        broker.create_topic(self.topic, PARTITIONS)
        self._producer = KafkaProducer(
            bootstrap_servers=broker.address,
            acks=1,
            batch_size=0,  # each frame a record batch of its own, as cameras send them
            max_request_size=64 << 20,
        )
        self._gate = Gate(Stopwatch(lambda: processor_s(broker.pid)))
        options = KafkaSourceOptions(broker.address, self.topic, self.group, session_timeout_ms=SESSION_MS)
        self.batch = options.max_poll_records
        self._source = KafkaSource(options)
        self._gate.source = self._source
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._source.run, args=(self._gate, self._stop), daemon=True)
        self._thread.start()

    def lap(self, seconds: float) -> Lap:
        """One frame is sent and held back, the topic filled meanwhile, and then read to its end."""
        most = max(1, int(MOST_BYTES / self._footage.mean_bytes))
        wanted = min(most, max(1, round(self._per_s * seconds))) if self._per_s else min(most, FIRST_FRAMES)
        self._send(1)
        self._gate.wait_held()
        self._send(wanted)
        self._gate.open(wanted)
        lap = self._gate.wait_lap()
        self._per_s = lap.frames / lap.wall_s
        return lap

    def close(self) -> None:
        self._stop.set()
        self._thread.join(30)
        self._source.close()
        self._producer.close(timeout=5)

    def _send(self, count: int) -> None:
        lost: list[BaseException] = []
        for number in range(self._sent, self._sent + count):
            seq, place = divmod(number, len(self._names))
            name = self._names[place].encode()
            headers = [("camera", name), ("captured_at", str(time.time_ns()).encode()), ("seq", str(seq).encode())]
            jpeg = self._footage.jpegs[seq % len(self._footage.jpegs)]
            self._producer.send(self.topic, key=name, value=jpeg, headers=headers).add_errback(lost.append)
        self._producer.flush(timeout=LONGEST_S)
        self._sent += count
        if lost:
            raise StageFailed(f"read: {len(lost)} of {count} frames cannot be put on the topic: {lost[0]}")


@contextmanager
def tasks(setup: Setup) -> Iterator[list[Task]]:
    with EmbeddedBroker() as broker:
        reading = Reading(broker, setup.footage, setup.cameras)
        try:
            variant = f"consumed and committed, {PARTITIONS} partitions"
            yield [Task("read", variant, reading.batch, reading.lap, in_path=True)]
        finally:
            reading.close()
