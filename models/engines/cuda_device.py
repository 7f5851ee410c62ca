"""An NVIDIA GPU as a device for the staged engine: two streams, pinned memory, CUDA graphs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from models.engines.device import CaptureFailed, Lane, Mark, Work, is_shortage


class _CudaMark:
    def __init__(self, event: torch.cuda.Event, streams: dict[Lane, torch.cuda.Stream]) -> None:
        self._event = event
        self._streams = streams

    def wait(self) -> None:
        self._event.synchronize()

    def hold(self, lane: Lane) -> None:
        self._streams[lane].wait_event(self._event)


class CudaDevice:
    """May be called from any thread: PyTorch's current device and stream belong to a thread, and are put back."""

    def __init__(self, place: torch.device) -> None:
        """place: "cuda" or "cuda:N" of models.precision.pick_device."""
        index = place.index if place.index is not None else torch.cuda.current_device()
        self._place = torch.device("cuda", index)
        self._streams: dict[Lane, torch.cuda.Stream] = {
            "copy": torch.cuda.Stream(self._place),  # type: ignore[no-untyped-call]
            "compute": torch.cuda.Stream(self._place),  # type: ignore[no-untyped-call]
        }
        self._pool: Any = None

    @property
    def place(self) -> torch.device:
        return self._place

    def pinned(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        with torch.cuda.device(self._place):  # else it would start a context on the first GPU, too
            return torch.empty(shape, dtype=dtype, pin_memory=True)

    def buffer(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        made = torch.empty(shape, dtype=dtype, device=self._place)
        # It may be memory that the thread's own stream, of which ours know nothing, has not finished with.
        torch.cuda.current_stream(self._place).synchronize()
        return made

    def copy(self, lane: Lane, target: Tensor, source: Tensor) -> None:
        with torch.cuda.stream(self._streams[lane]):
            target.copy_(source, non_blocking=True)

    def run(self, lane: Lane, work: Work) -> None:
        with torch.cuda.stream(self._streams[lane]), _repeatable():
            work()

    def capture(self, work: Work) -> Work:
        """One memory pool for all graphs since `release`: they never run at the same time, and what they leave behind
        is copied out of the pool by the work itself."""
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        stream = self._streams["compute"]
        try:
            # The outer `stream` puts the thread's own back even where `graph` fails half-way. "thread_local": other
            # threads go on using the GPU meanwhile, and would spoil a capture that minds them.
            with torch.cuda.stream(stream), _repeatable():
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph, pool=self._pool, stream=stream, capture_error_mode="thread_local"):
                    work()
        except Exception as error:
            # Ending a capture that was spoilt is an error too, and hides the one that spoilt it.
            first: BaseException = error
            while isinstance(first.__context__, Exception):
                first = first.__context__
            if is_shortage(first):
                raise first from None
            raise CaptureFailed(f"{type(first).__name__}: {first}") from error
        return graph.replay

    def mark(self, lane: Lane) -> Mark:
        # "blocking": who waits sleeps. Spinning would take a core from the decoding.
        event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        event.record(self._streams[lane])
        return _CudaMark(event, self._streams)

    def settle(self) -> None:
        torch.cuda.synchronize(self._place)

    def release(self) -> None:
        self._pool = None
        with torch.cuda.device(self._place):
            torch.cuda.empty_cache()


@contextmanager
def _repeatable() -> Iterator[None]:
    """Only kernels that round alike whenever they run. Some of cuDNN's transposed convolutions add up in the order in
    which their threads happen to end, and measuring for the fastest kernel has another winner at every start."""
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before
