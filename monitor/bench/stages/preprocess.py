"""From a decoded picture to the network's, and the measuring of the full picture for the camera's health."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from models.checkpoint import load_checkpoint
from monitor.bench.footage import MAX_PIXELS
from monitor.bench.stages.lap import timed
from monitor.bench.stages.task import Setup, Task
from monitor.scoring.sight import measure
from streams.codec import decode

PICTURES: Final = 4
"""Few enough to stay in the processor's cache, where the decoder has just put them in the service."""


@contextmanager
def tasks(setup: Setup) -> Iterator[list[Task]]:
    prep = load_checkpoint(setup.checkpoint).preprocess
    pictures = itertools.cycle([decode(jpeg, MAX_PIXELS) for jpeg in setup.footage.jpegs[:PICTURES]])

    def picture() -> int:
        prep.picture(next(pictures))
        return 1

    def health() -> int:
        measure(next(pictures))
        return 1

    yield [
        Task("preprocess", f"a full picture to {prep.size} px, one thread", 1, lambda seconds: timed(picture, seconds)),
        Task("preprocess", "a full picture measured for health, one thread", 1, lambda seconds: timed(health, seconds)),
    ]
