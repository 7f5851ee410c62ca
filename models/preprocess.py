"""From a camera's picture to the network's input, the same in training and in scoring."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.ganomaly import Architecture

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Preprocess:
    """size: side of the square picture in pixels. channels: 3 for RGB, 1 for grey."""

    size: int
    channels: int

    def __post_init__(self) -> None:
        Architecture(size=self.size, channels=self.channels)  # the same values fit, and no others

    def picture(self, bgr: Picture) -> Picture:
        """uint8 [H, W, 3] in OpenCV's channel order -> uint8 [S, S, C], RGB or grey.

        The picture is stretched to a square: a fixed camera stretches every frame alike, and
        nothing at the edge is cut off. Area averaging, so that a fine pattern does not flicker
        between frames. ValueError where the array is no such picture.
        """
        if bgr.dtype != np.uint8 or bgr.ndim != 3 or bgr.shape[2] != 3 or 0 in bgr.shape:
            raise ValueError(f"a picture is {bgr.dtype} {list(bgr.shape)}: expected uint8 [height, width, 3]")
        if bgr.shape[:2] != (self.size, self.size):
            bgr = _u8(cv2.resize(bgr, (self.size, self.size), interpolation=cv2.INTER_AREA))
        if self.channels == 1:
            return _u8(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY))[..., np.newaxis]
        return _u8(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))

    def to_tensor(self, batch: Picture, device: torch.device) -> Tensor:
        """uint8 [B, S, S, C] -> float32 [B, C, S, S] in [-1, 1], channels last in memory.

        The bytes travel to the device and become numbers there: a quarter of the transfer.
        [-1, 1] is the range of the decoder's tanh (mean 0.5, std 0.5 of the picture in [0, 1]).
        """
        self.check(batch)
        pixels = torch.from_numpy(np.ascontiguousarray(batch)).to(device, non_blocking=True)
        return pixels.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)

    def check(self, batch: Picture) -> None:
        """ValueError where batch is not uint8 [B, S, S, C] for this S and C."""
        expected = (self.size, self.size, self.channels)
        if batch.dtype != np.uint8 or batch.ndim != 4 or batch.shape[1:] != expected:
            raise ValueError(
                f"a batch is {batch.dtype} {list(batch.shape)}: expected uint8 [B, "
                f"{self.size}, {self.size}, {self.channels}] as Preprocess.picture makes them"
            )

    def to_dict(self) -> dict[str, int]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Preprocess:
        """The inverse of to_dict. ValueError where a name is missing, unknown or out of range."""
        if set(values) != {"size", "channels"}:
            raise ValueError(f"preprocess has {sorted(values)}, expected ['channels', 'size']")
        return cls(**values)


def _u8(array: Any) -> Picture:
    """OpenCV keeps uint8, its type stubs do not know it."""
    return np.asarray(array, dtype=np.uint8)
