"""Scoring: the network alone, by precision and batch size, on all threads that the service gives it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from models.precision import Precision, has_fast_bf16, pick_device, use_bf16
from models.preprocess import Picture
from models.scorer import Scorer
from monitor.bench.network import seen
from monitor.bench.stages.lap import Lap, timed
from monitor.bench.stages.task import Setup, Task
from monitor.model_loading import loaded
from monitor.settings import Model


def had(device: str) -> tuple[Precision, ...]:
    """The precisions for which a device has units. ValueError for a device that is not there."""
    return ("fp32", "bf16") if has_fast_bf16(pick_device(device)) else ("fp32",)


@contextmanager
def tasks(setup: Setup) -> Iterator[list[Task]]:
    most, found = max(setup.batches), []
    served = _served(setup)
    for precision in setup.precisions:
        scorer = loaded(Model(checkpoint=setup.checkpoint, device=setup.device, precision=precision))
        few = seen(setup.footage, scorer.info.preprocess, most)
        pictures = np.concatenate([few] * -(-most // len(few)))
        for batch in setup.batches:
            in_path = precision == served and batch == most
            found.append(_task(scorer, pictures[:batch], in_path))
    yield found


def _task(scorer: Scorer, pictures: Picture, in_path: bool) -> Task:
    def batch() -> int:
        scorer.score(pictures)
        return len(pictures)

    def lap(seconds: float) -> Lap:
        return timed(batch, seconds)

    info = scorer.info
    return Task("score", f"{info.precision} on {info.device}", len(pictures), lap, in_path)


def _served(setup: Setup) -> Precision:
    """The precision of the service where nobody says otherwise; if it is not to be measured, the first that is."""
    usual: Precision = Model.model_fields["precision"].default
    served: Precision = "bf16" if use_bf16(usual, pick_device(setup.device)) else "fp32"
    return served if served in setup.precisions else setup.precisions[0]
