"""A device that is as late, or as early, as a real one may be: it shows where the host does not wait for it."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from models.engines.device import CaptureFailed, Lane, Work

Pace = Literal["late", "copies first", "any"]


@dataclass
class LazyMark:
    device: LazyDevice
    lane: Lane
    reached: bool = False

    def wait(self) -> None:
        self.device.waits += 1
        self.device.reach(self)

    def hold(self, lane: Lane) -> None:
        self.device.lanes[lane].append(self)


@dataclass
class LazyDevice:
    """What is queued is not done before it must be, on the CPU and in the caller's thread.

    pace: "late": only when the host waits, and no more than that asks for. "copies first": the copy lane runs ahead as
    far as it may. "any": by chance, from `seed`. New memory is full of rubbish.
    fails: of the calls that may ask for memory (pinned, buffer, run), counted from 0, those that find none. room: the
    most pictures for which there is memory. other: the message of another error at the next `run`. captures: what
    becomes of recording; "lies" gives work that does something else.
    """

    pace: Pace = "late"
    seed: int = 0
    fails: set[int] = field(default_factory=set)
    room: int = 1 << 20
    other: str = ""
    captures: Literal["yes", "no", "lies"] = "yes"
    place: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def __post_init__(self) -> None:
        self.lanes: dict[Lane, deque[Work | LazyMark]] = {"copy": deque(), "compute": deque()}
        self.waits = self.calls = self.failed = self.releases = 0
        self._chance = random.Random(self.seed)

    # The port.

    def pinned(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return self.buffer(shape, dtype)

    def buffer(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        self._ask(shape[0] if len(shape) > 1 else 0)
        return torch.full(shape, float("nan") if dtype.is_floating_point else 170, dtype=dtype)

    def copy(self, lane: Lane, target: Tensor, source: Tensor) -> None:
        assert target.shape == source.shape
        self._queue(lane, lambda: target.copy_(source))

    def run(self, lane: Lane, work: Work) -> None:
        self._ask(0)
        if self.other:
            message, self.other = self.other, ""
            raise RuntimeError(message)
        self._queue(lane, work)

    def capture(self, work: Work) -> Work:
        if self.captures == "no":
            raise CaptureFailed("RuntimeError: this device records nothing")
        return work if self.captures == "yes" else lambda: None

    def mark(self, lane: Lane) -> LazyMark:
        made = LazyMark(self, lane)

        def reach() -> None:
            made.reached = True

        self._queue(lane, reach)
        return made

    def settle(self) -> None:
        while self.step("copy") or self.step("compute"):
            pass
        assert self.idle, "each lane waits for the other"

    def release(self) -> None:
        assert self.idle, "memory is given back of work under way"
        self.releases += 1

    # The lanes.

    @property
    def idle(self) -> bool:
        return not any(self.lanes.values())

    def step(self, lane: Lane) -> bool:
        """The next of a lane; False where there is none or it must wait."""
        queue = self.lanes[lane]
        if not queue or (isinstance(queue[0], LazyMark) and not queue[0].reached):
            return False
        head = queue.popleft()
        if not isinstance(head, LazyMark):
            head()
        return True

    def reach(self, mark: LazyMark) -> None:
        while not mark.reached:
            if not self.step(mark.lane):
                head = self.lanes[mark.lane][0]
                assert isinstance(head, LazyMark)
                self.reach(head)

    def _queue(self, lane: Lane, work: Work) -> None:
        self.lanes[lane].append(work)
        if self.pace == "copies first":
            while self.step("copy"):
                pass
        elif self.pace == "any":
            for _ in range(self._chance.randrange(6)):
                self.step(self._chance.choice(("copy", "compute")))

    def _ask(self, pictures: int) -> None:
        call, self.calls = self.calls, self.calls + 1
        if call in self.fails or pictures > self.room:
            self.failed += 1
            raise torch.OutOfMemoryError(f"call {call} for {pictures} pictures finds no memory")
