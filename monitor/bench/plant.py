"""A plant to bench on: a broker and a Valkey of our own, topics full of frames, and workers that read them."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

from kafka import KafkaProducer  # type: ignore[import-untyped,unused-ignore]
from kafka.errors import KafkaError  # type: ignore[import-untyped,unused-ignore]

from monitor.bench.failed import BenchFailed
from monitor.bench.footage import Footage
from monitor.bench.stages.frames import cameras as names_of
from monitor.bench.stages.lap import processor_s
from monitor.bench.worker import Worker
from monitor.embedded import EmbeddedBroker, EmbeddedValkey

EVERY_NS: Final = 100_000_000
"""Between two frames of a camera of a filled topic, as they are stamped: ten a second."""

TOGETHER_BYTES: Final = 1 << 20
"""Of a record batch: the embedded broker takes few large ones far faster than many small ones."""

SESSION_MS: Final = 6_000
"""The embedded broker settles a group only after half of it."""

LONGEST_S: Final = 120.0


class Plant:
    """Within its block the servers run; its folder is gone afterwards, and so are the workers that still run."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._broker, self._valkey = EmbeddedBroker(), EmbeddedValkey()
        self._numbers = itertools.count(1)
        self.folder = Path()
        """For what a bench needs to write; only within the block."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:  # what is started is stopped where the next does not start
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="linewatch-bench-")))
            stack.enter_context(self._broker)
            stack.enter_context(self._valkey)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    @property
    def broker_address(self) -> str:
        """host:port."""
        return self._broker.address

    @property
    def redis_url(self) -> str:
        return self._valkey.address

    def cpu_s(self) -> dict[str, float]:
        """Processor seconds until now of "broker" and "redis", to a hundredth; only of those of whom the system tells
        (Linux)."""
        found = {"broker": processor_s(self._broker.pid), "redis": processor_s(self._valkey.pid)}
        return {name: seconds for name, seconds in found.items() if seconds is not None}

    def topic(self, name: str, partitions: int = 4) -> str:
        """Create an empty topic; one that is there is left as it is."""
        self._broker.create_topic(name, partitions)
        return name

    def fill(
        self,
        topic: str,
        footage: Footage,
        frames: int,
        cameras: int,
        partitions: int = 4,
        together_bytes: int = TOGETHER_BYTES,
    ) -> str:
        """Put so many frames on a topic that is new, of cameras camera-001 on in turn, and return its name.

        Each camera has all its frames in one partition, the cameras spread evenly, and shows the footage from its
        first picture on. Stamped as if each had had ten frames a second until now. together_bytes: of a record batch;
        0 gives each frame one of its own, as cameras that send their own frames do, and takes several times as long.
        Raises BenchFailed.
        """
        self.topic(topic, partitions)
        names = [name.encode() for name in names_of(cameras)]
        rounds, now_ns = -(-frames // cameras), time.time_ns()
        lost: list[BaseException] = []
        producer = KafkaProducer(
            bootstrap_servers=self.broker_address,
            acks=1,
            batch_size=together_bytes,
            linger_ms=20 if together_bytes else 0,
            max_request_size=64 << 20,
        )
        try:
            for number in range(frames):
                seq, place = divmod(number, cameras)
                taken_ns = now_ns - (rounds - seq) * EVERY_NS + place * EVERY_NS // cameras
                producer.send(
                    topic,
                    key=names[place],
                    value=footage.jpegs[seq % len(footage.jpegs)],
                    headers=frame_headers(names[place], taken_ns, seq),
                    partition=place % partitions,
                ).add_errback(lost.append)
            producer.flush(timeout=LONGEST_S)
        except KafkaError as error:
            raise BenchFailed(f"topic {topic} cannot be filled with {frames} frames: {error}") from error
        finally:
            producer.close(timeout=5)
        if lost:
            raise BenchFailed(f"topic {topic}: {len(lost)} of {frames} frames cannot be put on it: {lost[0]}")
        return topic

    def settings(self, checkpoint: Path, topic: str | None = None, **sections: Any) -> dict[str, Any]:
        """The configuration of a worker on this plant, to be read from YAML: its own consumer group, part of Redis,
        folder of evidence and HTTP port, so that each worker finds a topic unread.

        sections: laid over this, key by key, such as batching={"max_size": 32}; a list takes the other's place. Workers
        that are to share a group or a part of Redis are given `sources` or `redis` of their own.
        """
        number = next(self._numbers)
        usual: dict[str, Any] = {
            "model": {"checkpoint": str(checkpoint)},
            "sources": [] if topic is None else [self.kafka(topic, f"bench-{number}")],
            "redis": {"url": self.redis_url, "prefix": f"bench-{number}"},
            "http": {"port": 0},
            "evidence": {"dir": str(self.folder / f"evidence-{number}")},
        }
        return _laid_over(usual, sections)

    def kafka(self, topic: str, group: str) -> dict[str, Any]:
        """An entry of `sources`: the whole topic, from its first frame on."""
        return {
            "kafka": {
                "bootstrap_servers": self.broker_address,
                "topic": topic,
                "group_id": group,
                "session_timeout_ms": SESSION_MS,
            }
        }

    def worker(self, settings: Mapping[str, Any]) -> Worker:
        """Start a service of these settings in a process of its own. The caller stops it, or the end of the block
        kills it."""
        folder = self.folder / f"worker-{next(self._numbers)}"
        folder.mkdir()
        worker = Worker(settings, folder, self.cpu_s)
        self._stack.callback(worker.kill)
        return worker


def frame_headers(camera: bytes, captured_at_ns: int, seq: int) -> list[tuple[str, bytes]]:
    """Of a frame on Kafka, as linewatch reads them."""
    return [("camera", camera), ("captured_at", str(captured_at_ns).encode()), ("seq", str(seq).encode())]


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(below)
    for key, value in above.items():
        under = found.get(key)
        found[key] = _laid_over(under, value) if isinstance(under, dict) and isinstance(value, Mapping) else value
    return found
