"""The buffers of one chunk on its way, and the forward pass over them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.engines.device import Device, Mark, Work
from models.preprocess import Picture, Preprocess


@dataclass
class Slot:
    """pictures: pinned memory of the host, uint8 [chunk, S, S, C]; host: the same memory as an array. pixels: on the
    device, where they travel to. scores: on the device, float32 [chunk]. work: the pass from all of `pixels` to all of
    `scores`.

    travelled: from there on the host may write `pictures` again. read: from there on `pixels` may be written again.
    None: nothing was queued yet.
    """

    pictures: Tensor
    host: Picture
    pixels: Tensor
    scores: Tensor
    work: Work
    travelled: Mark | None = None
    read: Mark | None = None

    @classmethod
    def on(cls, device: Device, chunk: int, preprocess: Preprocess) -> Slot:
        """Without work yet."""
        shape = (chunk, preprocess.size, preprocess.size, preprocess.channels)
        pictures = device.pinned(shape, torch.uint8)
        pixels = device.buffer(shape, torch.uint8)
        return cls(pictures, pictures.numpy(), pixels, device.buffer((chunk,), torch.float32), _nothing)

    def send(self, device: Device, pictures: Picture) -> None:
        """Queue the way of the pictures, at most `chunk`, to the device; blocks until there is room for them here."""
        count = len(pictures)
        if self.travelled is not None:
            self.travelled.wait()
        self.host[:count] = pictures
        if self.read is not None:
            self.read.hold("copy")
        device.copy("copy", self.pixels[:count], self.pictures[:count])
        self.travelled = device.mark("copy")

    def judge(self, device: Device, scores: Tensor) -> None:
        """Queue the pass over the pictures that were sent last, and the way of the first len(scores) of its scores to
        `scores`, which is on the device. What stands behind the pictures in the buffer, of a chunk before, is judged
        with them and forgotten: the shape is always the same, and what travels is only what is new."""
        if self.travelled is not None:
            self.travelled.hold("compute")
        device.run("compute", self.work)
        device.copy("compute", scores, self.scores[: len(scores)])
        self.read = device.mark("compute")


def _nothing() -> None:
    pass
