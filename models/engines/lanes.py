"""The engine for processors: several forward passes at the same time, each on one thread.

Threads that share one layer wait for the slowest of them at every layer, and while they wait they spin (OpenMP): on a
machine that does anything else that costs far more than it gains. Threads that each have a pass of their own never wait
for each other. PyTorch's operators let go of the GIL.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.method import Method
from models.precision import autocast
from models.preprocess import Picture, Preprocess


class LanesEngine:
    """An Engine on the CPU (see engine.py), whose forward passes all have the same shape.

    Pictures are cut into chunks of a fixed size and the last one is filled up with copies of its last picture. The
    kernels depend on the shape and round differently, most of all in bfloat16; with one shape a picture has the same
    score to the last bit, alone or among others. It also means that one warm-up is enough.
    """

    name = "lanes"
    shortages = 0
    notes: tuple[str, ...] = ()

    def __init__(self, method: Method, preprocess: Preprocess, *, bf16: bool, threads: int | None) -> None:
        """threads: of the processor, at least 1; a method that cannot score in several threads at once has them share
        its layers. None: one pass at a time, with PyTorch's threads as they are."""
        self._method, self._preprocess, self._bf16 = method, preprocess, bf16
        self.chunk = method.chunk
        self.lanes = threads if threads is not None and method.packs else 1
        self._threads = 1 if threads is not None and method.packs else threads
        # How many threads share a layer is a thread's own setting: every pass is in a thread that has it. They end
        # when this engine is let go of.
        self._pool = None
        if self._threads is not None:
            self._pool = ThreadPoolExecutor(self.lanes, "lane", torch.set_num_threads, (self._threads,))

    def score(self, pictures: Picture) -> npt.NDArray[np.float32]:
        self._preprocess.check(pictures)
        self._method.eval()
        parts = [pictures[start : start + self.chunk] for start in range(0, len(pictures), self.chunk)]
        scores = list(map(self._pass, parts) if self._pool is None else self._pool.map(self._pass, parts))
        return np.concatenate(scores) if scores else np.empty((0,), np.float32)

    def warm_up(self) -> None:
        self._method.eval()
        if self._pool is None:
            self._first_pass()
        else:
            self._pool.submit(self._first_pass).result()

    def _first_pass(self) -> None:
        side, channels = self._preprocess.size, self._preprocess.channels
        with torch.no_grad(), autocast(torch.device("cpu"), self._bf16):
            self._method.warm_up(self._tensor(np.zeros((self.chunk, side, side, channels), np.uint8)))

    def _pass(self, part: Picture) -> npt.NDArray[np.float32]:
        missing = self.chunk - len(part)
        whole = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) if missing else part
        # Not inference_mode: a method may need gradients of its own (AnoGAN searches with them).
        with torch.no_grad(), autocast(torch.device("cpu"), self._bf16):
            scores = self._method.score(self._tensor(whole))
        return np.asarray(scores[: len(part)].float().numpy())

    def _tensor(self, whole: Picture) -> Tensor:
        return self._preprocess.to_tensor(whole, torch.device("cpu"))
