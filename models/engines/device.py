"""What the staged engine asks of a device: two lanes of work that run by themselves, and memory for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import torch
from torch import Tensor

Lane = Literal["copy", "compute"]
Work = Callable[[], object]
SHORT = ("out of memory", "ALLOC_FAILED")
"""What the libraries under PyTorch say, which does not make OutOfMemoryError of all of it."""


class CaptureFailed(Exception):
    """The work cannot be recorded; it may still be run as it is."""


class Mark(Protocol):
    """A place in a lane: all that was queued before it."""

    def wait(self) -> None:
        """Block the caller until the lane has come here."""
        ...

    def hold(self, lane: Lane) -> None:
        """What is queued in `lane` from now on begins only when this mark's lane has come here. Does not block."""
        ...


class Device(Protocol):
    """Work in one lane runs in the order in which it was queued; the two lanes run side by side, each as fast as it
    can. Queueing does not block. The weights are changed by nobody while work is under way.

    All errors are RuntimeErrors; those for which `is_shortage` holds come where the memory is asked for.
    """

    @property
    def place(self) -> torch.device: ...

    def pinned(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Memory of the host from and to which a lane copies by itself. What stands in it at first is no matter."""
        ...

    def buffer(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Memory of the device at an address that stays. What stands in it at first is no matter."""
        ...

    def copy(self, lane: Lane, target: Tensor, source: Tensor) -> None:
        """Queue a copy. Neither may be touched by the host before a later mark of the lane was waited for."""
        ...

    def run(self, lane: Lane, work: Work) -> None:
        """Queue work, which is called at most once for it."""
        ...

    def capture(self, work: Work) -> Work:
        """Record what work queues in the lane "compute", without running it: what comes back does the same at the cost
        of one call, on the same tensors. The work has run at least once before. CaptureFailed where it cannot be."""
        ...

    def mark(self, lane: Lane) -> Mark: ...

    def settle(self) -> None:
        """Block until all that was queued has run, by others than this port too."""
        ...

    def release(self) -> None:
        """Give back the memory of tensors and recorded work that nobody holds any more. Nothing is under way."""
        ...


def is_shortage(error: BaseException) -> bool:
    """Whether memory of an accelerator ran out."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in SHORT)
