"""The forward passes over the slots: built, recorded where the device can, and compared before they are used."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from models.engines.device import CaptureFailed, Device, Work, is_shortage
from models.engines.forward import Forward, Normalise
from models.engines.lean import lean
from models.engines.slot import Slot
from models.method import Method
from models.preprocess import Picture, Preprocess


@dataclass(frozen=True)
class Passes:
    """recorded: whether a pass is one recorded call. notes: what was not done, and why, for the log."""

    slots: tuple[Slot, ...]
    recorded: bool
    notes: tuple[str, ...]


class Builder:
    """Builds Passes. All passes are of one shape, a whole chunk: kernels depend on the shape and round differently.
    Passes of a half or a quarter would spare small batches some time; but that they round alike cannot be shown by
    trying. In bfloat16 on a CPU, kernels that do not gave 31 of 32 pictures the same score.

    What makes a pass faster is used only where it gives probes the scores, to the last bit, of the plain pass. That
    catches a method that cannot be recorded or slimmed but does not say so; it is no matter of rounding, as every
    score comes from the same pass.
    """

    def __init__(
        self, method: Method, preprocess: Preprocess, device: Device, *, bf16: bool, graphs: bool, chunk: int
    ) -> None:
        self._method, self._preprocess, self._device = method, preprocess, device
        self._bf16, self._graphs, self._chunk = bf16, graphs, chunk
        self._normalise = Normalise(preprocess, device.place)
        self._notes: list[str] = []

    def build(self, slots: int) -> Passes:
        """Used once. Takes some tenths of a second on a GPU, more at PyTorch's first call there. Errors of the device
        and of the method go through."""
        self._method.eval()
        made = tuple(Slot.on(self._device, self._chunk, self._preprocess) for _ in range(slots))
        for slot in made:
            slot.work = self._over(slot, self._method)
        if type(self._method).warm_up is not Method.warm_up:
            # A method with a warm-up of its own (AnoGAN) says that its scores are too dear to be made for comparing.
            self._device.run("compute", self._over(made[0], self._method, warming=True))
            self._device.mark("compute").wait()
            self._notes.append(f"{self._method.name} is not recorded: its scores are too dear to compare")
            return Passes(made, False, tuple(self._notes))
        self._probes = _probes(self._chunk, self._preprocess)
        self._expected = self._scores(made[0], made[0].work)
        if self._bf16:
            self._slim(made)
        recorded = self._graphs and self._record(made)
        return Passes(made, recorded, tuple(self._notes))

    def _over(self, slot: Slot, method: Method, *, warming: bool = False) -> Work:
        judge = method.warm_up if warming else method.score
        return partial(Forward(judge, self._normalise, self._device.place, self._bf16), slot.pixels, slot.scores)

    def _slim(self, slots: tuple[Slot, ...]) -> None:
        """Weights in bfloat16."""
        method = lean(self._method)
        try:
            slim = [self._over(slot, method) for slot in slots]
            if self._same(slots[0], slim[0]):
                for slot, work in zip(slots, slim, strict=True):
                    slot.work = work
                return
            why = "scores would be others"
        except RuntimeError as error:
            if is_shortage(error):
                raise
            why = f"{type(error).__name__}: {error}"
        self._notes.append(f"weights are turned into bfloat16 in every pass, not once: {why}")

    def _record(self, slots: tuple[Slot, ...]) -> bool:
        try:
            graphs = [self._device.capture(slot.work) for slot in slots]
        except CaptureFailed as error:
            self._notes.append(f"passes are not recorded: {error}")
            return False
        if not all(self._same(slot, graph) for slot, graph in zip(slots, graphs, strict=True)):
            self._notes.append("passes are not recorded: scores would be others")
            return False
        for slot, graph in zip(slots, graphs, strict=True):
            slot.work = graph
        return True

    def _same(self, slot: Slot, work: Work) -> bool:
        return np.array_equal(self._scores(slot, work), self._expected, equal_nan=True)

    def _scores(self, slot: Slot, work: Work) -> npt.NDArray[np.float32]:
        """Of the probes. All in one lane, so that each step waits for the one before."""
        device = self._device
        slot.host[:] = self._probes
        found = device.pinned((self._chunk,), torch.float32)
        device.copy("compute", slot.pixels, slot.pictures)
        device.run("compute", work)
        device.copy("compute", found, slot.scores)
        device.mark("compute").wait()
        return np.array(found.numpy())


def _probes(count: int, preprocess: Preprocess) -> Picture:
    """Noise, by turns fine and coarse: uint8 [count, S, S, C]."""
    side, channels = preprocess.size, preprocess.channels
    pictures = np.random.default_rng(0).integers(0, 256, (count, side, side, channels), dtype=np.uint8)
    pictures[1::2] = np.repeat(np.repeat(pictures[1::2, ::8, ::8], 8, axis=1), 8, axis=2)
    return pictures
