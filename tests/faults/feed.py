"""Frames into a topic at a steady pace, and the scores that came of them out of another."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Self

from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError

Picture = Callable[[int], bytes]


class Feed:
    """Sends each camera's frames, `fps` a second, numbered from 1, until the end of the `with` block.

    A broker that is away is waited for: frames are kept and sent when it is back. `taken` are those that the broker
    has confirmed.
    """

    def __init__(self, servers: str, topic: str, cameras: dict[str, Picture], fps: float) -> None:
        self._servers, self._topic, self._fps = servers, topic, fps
        self.pictures = dict(cameras)
        self.taken: dict[str, set[int]] = {camera: set() for camera in cameras}
        self.confirmed = dict.fromkeys(cameras, 0)
        """How many were ever confirmed, also by a broker that has lost them since."""
        self._seqs = dict.fromkeys(cameras, 0)
        self._going = threading.Event()
        self._end = threading.Event()
        self._producer: Any = None
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def pause(self) -> None:
        """Send nothing more, and wait until all that was sent is confirmed."""
        self._going.clear()
        time.sleep(2 / self._fps)
        self._producer.flush(timeout=60)

    def go_on(self) -> None:
        self._going.set()

    def send(self, camera: str, value: bytes, seq: int) -> None:
        """One message besides, which is not expected to be scored."""
        self._message(camera, value, seq)

    def renew(self) -> None:
        """Connect anew: what was confirmed by a broker that lost its memory is not expected any more."""
        self._connect()
        for seqs in self.taken.values():
            seqs.clear()

    def __enter__(self) -> Self:
        self._connect()
        self._going.set()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._going.set()
        self._thread.join(30)
        with contextlib.suppress(KafkaError):
            self._producer.close(timeout=2)

    def _connect(self) -> None:
        if self._producer is not None:
            with contextlib.suppress(KafkaError):
                self._producer.close(timeout=0)
        self._producer = KafkaProducer(
            bootstrap_servers=self._servers,
            acks="all",
            linger_ms=5,
            max_request_size=8 << 20,
            delivery_timeout_ms=180_000,
            request_timeout_ms=5_000,
            reconnect_backoff_max_ms=500,
            max_block_ms=60_000,
        )

    def _run(self) -> None:
        due_s = time.monotonic()
        while not self._end.is_set():
            self._going.wait()
            for camera, picture in self.pictures.items():
                if self._end.is_set() or not self._going.is_set():
                    break
                self._seqs[camera] = seq = self._seqs[camera] + 1
                future = self._message(camera, picture(seq), seq)
                future.add_callback(lambda _, camera=camera, seq=seq: self._confirm(camera, seq))
            due_s = max(due_s + 1 / self._fps, time.monotonic() - 1)
            self._end.wait(max(0.0, due_s - time.monotonic()))

    def _confirm(self, camera: str, seq: int) -> None:
        self.taken[camera].add(seq)
        self.confirmed[camera] += 1

    def _message(self, camera: str, value: bytes, seq: int) -> Any:
        headers = [("camera", camera.encode()), ("seq", b"%d" % seq), ("captured_at", b"%d" % time.time_ns())]
        return self._producer.send(self._topic, key=camera.encode(), value=value, headers=headers)


class Scores:
    """Reads the scores topic from its beginning, in a thread, until the end of the `with` block."""

    def __init__(self, servers: str, topic: str) -> None:
        self._consumer = KafkaConsumer(
            topic,
            bootstrap_servers=servers,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            metadata_max_age_ms=1000,
        )
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scores", daemon=True)
        self.times: dict[str, Counter[int]] = {}
        """How often each frame was scored, by camera and sequence number."""
        self.states: dict[str, list[tuple[float, str]]] = {}
        """When (monotonic) which state came, by camera, one entry a change."""

    def missing(self, taken: dict[str, set[int]]) -> dict[str, set[int]]:
        """The frames that were sent and never scored."""
        lost = {camera: seqs - set(self.times.get(camera, ())) for camera, seqs in taken.items()}
        return {camera: seqs for camera, seqs in lost.items() if seqs}

    def repeated(self) -> int:
        """How many scores were given again to a frame that had one."""
        return sum(count - 1 for times in list(self.times.values()) for count in list(times.values()))

    def state(self, camera: str) -> str | None:
        """The state of the camera's newest score."""
        found = self.states.get(camera)
        return found[-1][1] if found else None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(30)
        self._consumer.close(autocommit=False)

    def _run(self) -> None:
        while not self._end.is_set():
            for records in self._consumer.poll(timeout_ms=200).values():
                for record in records:
                    score = json.loads(record.value)
                    camera = score["camera"]
                    self.times.setdefault(camera, Counter())[score["seq"]] += 1
                    states = self.states.setdefault(camera, [])
                    if not states or states[-1][1] != score["state"]:
                        states.append((time.monotonic(), score["state"]))
