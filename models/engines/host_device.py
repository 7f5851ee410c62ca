"""The CPU as a device for the staged engine: every call is done when it is back."""

from __future__ import annotations

import torch
from torch import Tensor

from models.engines.device import Lane, Mark, Work


class _Done:
    def wait(self) -> None:
        pass

    def hold(self, lane: Lane) -> None:
        pass


class HostDevice:
    """The same calls in the same order as on an accelerator, so that the engine can be tested where there is none.
    For scoring on a CPU there are engines that stage nothing."""

    place = torch.device("cpu")

    def pinned(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return torch.empty(shape, dtype=dtype)

    def buffer(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return torch.empty(shape, dtype=dtype)

    def copy(self, lane: Lane, target: Tensor, source: Tensor) -> None:
        target.copy_(source)

    def run(self, lane: Lane, work: Work) -> None:
        work()

    def capture(self, work: Work) -> Work:
        return work

    def mark(self, lane: Lane) -> Mark:
        return _Done()

    def settle(self) -> None:
        pass

    def release(self) -> None:
        pass
