"""The engine for an accelerator: pictures travel while those before them are scored, in passes recorded once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.engines.device import Device, is_shortage
from models.engines.passes import Builder, Passes
from models.method import Method
from models.preprocess import Picture, Preprocess

Made = TypeVar("Made")
CHUNK = 64
SLOTS = 2


class StagedEngine:
    """An Engine over a method and a device.

    A call is cut into chunks, and each goes through one of a few slots: into pinned memory, by the copy lane to the
    device, by the compute lane through preprocessing and the network. While a chunk is scored the next one travels and
    the one after that is laid ready. The scores stay on the device until the last, and come back in one copy.

    The pixels travel as bytes and become numbers on the device. Every pass is of a whole chunk: see Builder.

    Memory that runs out costs half of the chunk, for good, and the call begins anew with the same pictures.
    """

    def __init__(
        self,
        method: Method,
        preprocess: Preprocess,
        device: Device,
        *,
        bf16: bool = False,
        chunk: int = CHUNK,
        slots: int = SLOTS,
        graphs: bool = True,
    ) -> None:
        """method: on the device already (models.precision.place). bf16: convolutions in bfloat16. chunk: at least 1.
        slots: at least 2 for anything to overlap. graphs: False to run every pass kernel by kernel.
        Touches the device only in `warm_up`, or in the first `score`."""
        if chunk < 1 or slots < 1:
            raise ValueError(f"chunk is {chunk} and slots is {slots}: both must be at least 1")
        self._method, self._preprocess, self._device = method, preprocess, device
        self._bf16, self._graphs, self._slots = bf16, graphs, slots
        self._chunk = chunk
        self._shortages = 0
        self._passes: Passes | None = None
        self._scores: Tensor | None = None  # on the device, of the whole call
        self._answers: Tensor | None = None  # pinned, as many

    @property
    def name(self) -> str:
        return "staged"

    @property
    def chunk(self) -> int:
        return self._chunk

    @property
    def shortages(self) -> int:
        return self._shortages

    @property
    def recorded(self) -> bool:
        """Whether a pass is one recorded call; False before the warm-up."""
        return self._passes is not None and self._passes.recorded

    @property
    def notes(self) -> tuple[str, ...]:
        return self._passes.notes if self._passes else ()

    def warm_up(self) -> None:
        self._forget()
        self._as_memory_allows(self._ready)

    def score(self, pictures: Picture) -> npt.NDArray[np.float32]:
        self._preprocess.check(pictures)
        if not len(pictures):
            return np.empty((0,), np.float32)
        self._method.eval()
        return self._as_memory_allows(lambda: self._scored(pictures))

    def _scored(self, pictures: Picture) -> npt.NDArray[np.float32]:
        passes, device, total = self._ready(), self._device, len(pictures)
        scores, answers = self._room(total)
        for number, start in enumerate(range(0, total, self._chunk)):
            part = pictures[start : start + self._chunk]
            slot = passes.slots[number % len(passes.slots)]
            slot.send(device, part)
            slot.judge(device, scores[start : start + len(part)])
        device.copy("compute", answers[:total], scores[:total])
        device.mark("compute").wait()
        return np.array(answers[:total].numpy())

    def _ready(self) -> Passes:
        if self._passes is None:
            self._device.settle()  # the weights may be on their way yet, by means that our lanes know nothing of
            options = {"bf16": self._bf16, "graphs": self._graphs}
            builder = Builder(self._method, self._preprocess, self._device, chunk=self._chunk, **options)
            self._passes = builder.build(self._slots)
            self._room(self._chunk)
        return self._passes

    def _room(self, count: int) -> tuple[Tensor, Tensor]:
        """On the device and pinned, for so many scores at least."""
        if self._scores is None or self._answers is None or len(self._scores) < count:
            room = 1 << (max(count, self._chunk) - 1).bit_length()
            self._scores = self._device.buffer((room,), torch.float32)
            self._answers = self._device.pinned((room,), torch.float32)
        return self._scores, self._answers

    def _as_memory_allows(self, work: Callable[[], Made]) -> Made:
        while True:
            try:
                return work()
            except BaseException as error:
                # Whatever it is, nothing may still be reading or writing the buffers when the next call comes. A
                # device that is past answering says so again in `settle`; the first error is the one to tell.
                with suppress(RuntimeError):
                    self._device.settle()
                if self._chunk == 1 or not is_shortage(error):
                    raise
            # Here and not above: the error, which holds the failed pass and its tensors, is gone.
            self._chunk //= 2
            self._shortages += 1
            self._forget()

    def _forget(self) -> None:
        self._passes = self._scores = self._answers = None
        self._device.release()
