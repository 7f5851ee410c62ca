"""The port: how a trained method is run over many pictures, fast."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.preprocess import Picture


class Engine(Protocol):
    """Gives pictures their raw scores; knows the method, its device, its precision and how it is fed.

    Used from one thread at a time. It keeps the pictures of no call: when `score` is back, the caller may write over
    its array. The method's weights are those at the time of construction or of `warm_up`, whichever was later;
    whoever changes them in between builds a new engine.

    name: for the log and for a bench's tables ("torch", "staged"); no file format depends on it.
    chunk: the most pictures in one forward pass, at least 1. May shrink while running, never grows.
    shortages: how often memory ran out and the chunk was halved, since construction; 0 on a CPU.
    notes: what the last warm-up could not do, and why: a line each for the log. Empty where it could do all.
    """

    @property
    def name(self) -> str: ...

    @property
    def chunk(self) -> int: ...

    @property
    def shortages(self) -> int: ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    def score(self, pictures: Picture) -> npt.NDArray[np.float32]:
        """uint8 [n, S, S, C], n >= 0, any layout in memory -> float32 [n], in the order of the pictures.

        A picture's score is the same to the last bit whatever shares its call and wherever it stands, as long as
        `chunk` is the same. After memory ran out the chunk is smaller, and scores may differ in their last bits from
        those before: within one call all scores come from one chunk size.
        A score that is not finite is handed out as it is. ValueError where the pictures are of another kind
        (Preprocess.check). torch.OutOfMemoryError where not even one picture fits; every other error of the method
        or the device goes through, and the next call starts afresh.
        """
        ...

    def warm_up(self) -> None:
        """Run once all that `score` runs, at every shape, so that the first real picture pays for nothing. The
        service is not ready before. May be called again (after weights were changed); takes seconds at most."""
        ...
