"""Judging: all that the service's judging thread does to a batch of scores, windows in Redis included."""

from __future__ import annotations

import itertools
import random
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from models.scorer import Scorer
from monitor.bench.footage import MAX_PIXELS
from monitor.bench.stages.frames import arrivals
from monitor.bench.stages.lap import Lap, ServerClock, StageFailed, Stopwatch, processor_s, timed
from monitor.bench.stages.task import Setup, Task
from monitor.embedded import EmbeddedValkey
from monitor.groundwork import lay
from monitor.judging_wiring import judging
from monitor.scoring.score import Score
from monitor.scoring.sight import measure
from monitor.scoring.worker import Worker
from monitor.settings import Settings
from streams.codec import decode

SEED: Final = 1


class Judging:
    """The service's own wiring, with scores that are nothing out of the ordinary: no alert is made."""

    def __init__(self, setup: Setup, redis_url: str, folder: Path, stack: ExitStack) -> None:
        settings = Settings.model_validate(
            {
                "model": {"checkpoint": str(setup.checkpoint), "device": "cpu"},
                "sources": [{"files": {"camera": "camera-001", "path": str(folder)}}],  # none is opened
                "redis": {"url": redis_url},
                "window": {"max_frames": setup.window, "warm_up_frames": min(100, setup.window)},
                "evidence": {"dir": str(folder / "evidence")},
                "http": {"port": 0},
            }
        )
        ground = lay(settings)
        stack.callback(ground.client.close)
        stack.callback(ground.server.stop)
        self._ledger = ground.ledger
        self._judging = judging(ground, Worker(ground.models), None, None)
        self._scores = _scores(setup, ground.models.current)
        self._ready: deque[list[Score]] = deque()
        self._to_fill = setup.cameras * setup.window
        self._per_s = 0.0
        self.variant = f"the judging thread's whole work, {settings.window.mode}"
        self.batch = settings.batching.max_size

    def fill(self) -> None:
        """Judge until every window is full."""
        watch = Stopwatch()
        watch.start()
        batches = -(-self._to_fill // self.batch)
        for _ in range(batches):
            self._one()
        self._per_s = batches / watch.elapsed_s

    def lap(self, seconds: float, server: ServerClock) -> Lap:
        """The scores are made before the clock runs."""
        self._prepare(round(1.2 * seconds * self._per_s) + 1)
        lap = timed(self._one, seconds, server)
        self._per_s = lap.frames / self.batch / lap.wall_s
        if self._judging.judge.trouble is not None:
            raise StageFailed(f"judge: {self._judging.judge.trouble}")
        if self._judging.stage.unwritten:
            raise StageFailed(f"judge: {self._judging.stage.unwritten} events could not be written to Redis")
        return lap

    def _one(self) -> int:
        if not self._ready:
            self._prepare(1)
        self._judging.stage.take(self._ready.popleft())
        return self.batch

    def _prepare(self, batches: int) -> None:
        while len(self._ready) < batches:
            scores = list(itertools.islice(self._scores, self.batch))
            for score in scores:
                self._ledger.captured(score.frame.camera)
            self._ready.append(scores)


def _scores(setup: Setup, scorer: Scorer) -> Iterator[Score]:
    """The footage's frames with scores below the checkpoint's threshold, without an end."""
    info, random_ = scorer.info, random.Random(SEED)
    assert info.calibration is not None  # a checkpoint without one is refused
    low, high = info.calibration.low, info.calibration.threshold
    looks = []
    for jpeg in setup.footage.jpegs:
        pixels = decode(jpeg, MAX_PIXELS)
        looks.append((info.preprocess.picture(pixels), measure(pixels)))
    for number, arrival in enumerate(arrivals(setup.footage, setup.cameras)):
        picture, sight = looks[number // setup.cameras % len(looks)]
        yield Score(arrival, picture, random_.uniform(low, (low + high) / 2), info.model_id, "", sight)


@contextmanager
def tasks(setup: Setup) -> Iterator[list[Task]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="linewatch-bench-")))
        valkey = stack.enter_context(EmbeddedValkey())
        made = Judging(setup, valkey.address, folder, stack)
        made.fill()
        yield [
            Task(
                "judge",
                made.variant,
                made.batch,
                lambda seconds: made.lap(seconds, lambda: processor_s(valkey.pid)),
                in_path=True,
            )
        ]
