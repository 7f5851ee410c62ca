"""The rolling window alone: calls of `RedisWindow.judge`, as `linewatch bench window` measures them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from monitor.bench.stages.lap import Lap
from monitor.bench.stages.task import Setup, Task
from monitor.bench.window import Row, measure
from monitor.embedded import EmbeddedValkey
from monitor.judging.baseline.port import Mode
from monitor.settings import Window

FIRST_BATCHES = 20


class Calls:
    """Batches of one size."""

    def __init__(self, client: redis.Redis, setup: Setup, batch: int, mode: Mode) -> None:
        self._client, self._setup, self._batch, self._mode = client, setup, batch, mode
        self._a_batch_s = 0.0

    def lap(self, seconds: float) -> Lap:
        """Wall time by the median call."""
        batches = max(1, round(seconds / self._a_batch_s)) if self._a_batch_s else FIRST_BATCHES
        setup = self._setup
        row: Row = measure(self._client, setup.cameras, self._batch, setup.window, batches, self._mode)
        self._a_batch_s = row.p50_ms / 1000
        frames = batches * self._batch
        server_s = None if row.server_us is None else row.server_us * frames / 1e6
        return Lap(frames, row.frame_us * frames / 1e6, row.client_us * frames / 1e6, server_s)


@contextmanager
def tasks(setup: Setup) -> Iterator[list[Task]]:
    mode = Mode(Window().mode)
    with (
        EmbeddedValkey() as valkey,
        redis.Redis.from_url(valkey.address, decode_responses=True, socket_timeout=60) as client,
    ):
        yield [
            Task("window", f"judge alone, {mode.value}", batch, Calls(client, setup, batch, mode).lap)
            for batch in setup.batches
        ]
