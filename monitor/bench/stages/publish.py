"""Publishing: scores on a Kafka topic, from the verdict to the broker's answer."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import uuid4

import numpy as np

from monitor.bench.stages.frames import frames
from monitor.bench.stages.lap import Lap, StageFailed, Stopwatch, processor_s
from monitor.bench.stages.task import Setup, Task
from monitor.embedded import EmbeddedBroker
from monitor.judging.baseline.port import BaselineKey
from monitor.judging.episodes import Hold
from monitor.judging.judge import State, Verdict
from monitor.publishing import ScorePublisher, score_record
from monitor.recording import recorded
from monitor.settings import Batching
from streams.frame import Frame

MOST_UNDER_WAY: Final = 4096
"""Fewer than the publisher would begin to let go."""
LONGEST_S: Final = 60.0


class Publishing:
    """Batches of records, handed over as fast as the broker answers."""

    def __init__(self, broker: EmbeddedBroker, setup: Setup) -> None:
        topic = f"scores-{uuid4().hex[:8]}"
        broker.create_topic(topic, 1)
        self._server = lambda: processor_s(broker.pid)
        self._frames = frames(setup.footage, setup.cameras)
        self._picture = np.zeros((8, 8, 3), np.uint8)
        self._change = threading.Condition()
        self._under_way = 0
        self._lost: dict[str, int] = {}
        self._publisher = ScorePublisher(broker.address, topic, self._counted)
        self.batch = Batching().max_size

    def lap(self, seconds: float) -> Lap:
        """From the first batch until the last one is answered for."""
        watch, done = Stopwatch(self._server), 0
        watch.start()
        while not done or watch.elapsed_s < seconds:
            self._wait(MOST_UNDER_WAY - self.batch)
            verdicts = [self._verdict(frame) for frame in itertools.islice(self._frames, self.batch)]
            records = [recorded(score_record(verdict), verdict, Hold.NO, False, None) for verdict in verdicts]
            with self._change:
                self._under_way += len(records)
            self._publisher.publish(records)
            done += len(records)
        self._wait(0)
        lap = watch.stop(done)
        if self._lost:
            raise StageFailed(f"publish: of {done} scores some were not delivered: {self._lost}")
        return lap

    def close(self) -> None:
        self._publisher.close()

    def _counted(self, channel: str, outcome: str) -> None:
        with self._change:
            self._under_way -= 1
            if outcome != "delivered":
                self._lost[outcome] = self._lost.get(outcome, 0) + 1
            self._change.notify_all()

    def _wait(self, at_most: int) -> None:
        with self._change:
            if not self._change.wait_for(lambda: self._under_way <= at_most, LONGEST_S):
                raise StageFailed(f"publish: the broker does not answer for {self._under_way} scores")

    def _verdict(self, frame: Frame) -> Verdict:
        return Verdict(
            frame=frame,
            picture=self._picture,
            score=0.123456789,
            normalised=0.3,
            low=0.1,
            high=0.4,
            count=2000,
            state=State.READY,
            limit=0.5,
            threshold=1.0,
            anomalous=False,
            model="0123456789ab",
            key=BaselineKey(frame.camera, "0123456789ab"),
            window=None,
        )


@contextmanager
def tasks(setup: Setup) -> Iterator[list[Task]]:
    with EmbeddedBroker() as broker:
        publishing = Publishing(broker, setup)
        try:
            yield [Task("publish", "scores topic", publishing.batch, publishing.lap)]
        finally:
            publishing.close()
