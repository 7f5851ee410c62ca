"""What scripts.gpu_bench measures: the rate of one network in one way of running it, and what the device could do."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.flop_counter import FlopCounterMode

from models.engines.cuda_device import CudaDevice
from models.engines.device import Device
from models.engines.host_device import HostDevice
from models.engines.staged import StagedEngine
from models.ganomaly import Architecture
from models.methods.ganomaly import Ganomaly
from models.precision import autocast, place
from models.preprocess import Picture, Preprocess

Way = Literal["recorded", "kernel by kernel", "plain"]
WAYS: tuple[Way, ...] = ("recorded", "kernel by kernel", "plain")
CALLS_OF = 8  # chunks
SETTLING = 4  # batches of noise, after which the batch norm statistics are the network's own
Scoring = Callable[[Picture], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Case:
    """size: of the picture in px. chunk: pictures in a pass."""

    size: int
    ngf: int
    bf16: bool
    chunk: int
    way: Way


@dataclass(frozen=True)
class Measured:
    """frames_per_s: of each repeat, in calls of eight chunks. call_ms: of a call of one chunk, the median of all.
    chunk: as asked, or what memory allowed. recorded: whether the passes were. notes: of the engine."""

    frames_per_s: list[float]
    call_ms: float
    chunk: int
    recorded: bool
    notes: tuple[str, ...] = field(default=())


def measure(case: Case, where: torch.device, repeats: int, seconds: float) -> Measured:
    """seconds: of each repeat, at least. A chunk for which there is no memory is halved by the staged ways; "plain"
    raises torch.OutOfMemoryError."""
    method, preprocess = network(case.size, case.ngf, where), Preprocess(case.size, 3)
    engine: StagedEngine | None = None
    score: Scoring = partial(_plainly, method, preprocess, where, case)
    if case.way != "plain":
        device: Device = CudaDevice(where) if where.type == "cuda" else HostDevice()
        graphs = case.way == "recorded"
        engine = StagedEngine(method, preprocess, device, bf16=case.bf16, chunk=case.chunk, graphs=graphs)
        engine.warm_up()
        score = engine.score
    shape = (CALLS_OF * case.chunk, case.size, case.size, 3)
    pictures = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    scores = score(pictures)  # the first call is nobody's measure
    if not np.isfinite(scores).all():
        raise RuntimeError(f"{case}: some scores are not finite, so the figures would be of nothing")
    rates = [_rate(score, pictures, seconds) for _ in range(repeats)]
    alone = [1 / _rate(score, pictures[: case.chunk], seconds / 4) * case.chunk for _ in range(repeats)]
    chunk = engine.chunk if engine else case.chunk
    notes = engine.notes if engine else ()
    return Measured(rates, 1e3 * statistics.median(alone), chunk, engine is not None and engine.recorded, notes)


def network(size: int, ngf: int, where: torch.device) -> Ganomaly:
    """The same random weights at every call, batch norm settled on noise: activations of a usual size."""
    torch.manual_seed(1)
    method = place(Ganomaly(Architecture(size=size, channels=3, ngf=ngf)), where)
    method.train()
    with torch.no_grad():
        for _ in range(SETTLING):
            method.generator(torch.rand(8, 3, size, size).to(where) * 2 - 1)
    return method.eval()


@cache
def flops_of(size: int, ngf: int) -> int:
    """Of a score: multiplications and additions of its convolutions, counted by PyTorch without computing them."""
    with torch.device("meta"):
        method = Ganomaly(Architecture(size=size, channels=3, ngf=ngf)).eval()
        x = torch.empty(1, 3, size, size)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        method.score(x)
    return int(counter.get_total_flops())


def peak_flops(where: torch.device, side: int, repeats: int) -> list[float]:
    """Per second, of each repeat: products of two square bfloat16 matrices of noise, the most that a network could
    have of the device."""
    left, right = (torch.randn(side, side).to(where, torch.bfloat16) for _ in range(2))
    into = torch.empty_like(left)

    def once() -> None:
        torch.mm(left, right, out=into)

    found = []
    for _ in range(3):
        once()
    for _ in range(repeats):
        _finish(where)
        start, count = time.perf_counter(), 0
        while count < 10:
            once()
            count += 1
        _finish(where)
        found.append(count * 2 * side**3 / (time.perf_counter() - start))
    return found


def _rate(score: Scoring, pictures: Picture, seconds: float) -> float:
    """Frames per second of whole calls, one after the other."""
    start, done = time.perf_counter(), 0
    while True:
        score(pictures)
        done += len(pictures)
        took = time.perf_counter() - start
        if took >= seconds:
            return done / took


def _plainly(
    method: Ganomaly, preprocess: Preprocess, where: torch.device, case: Case, pictures: Picture
) -> npt.NDArray[np.float32]:
    found = []
    for begin in range(0, len(pictures), case.chunk):
        with torch.no_grad(), autocast(where, case.bf16):
            scores = method.score(preprocess.to_tensor(pictures[begin : begin + case.chunk], where))
        found.append(scores.float().cpu().numpy())
    return np.concatenate(found)


def _finish(where: torch.device) -> None:
    if where.type == "cuda":
        torch.cuda.synchronize(where)
