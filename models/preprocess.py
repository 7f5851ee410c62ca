"""From a camera's picture to the network's input, the same in training and in scoring."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.ganomaly import Architecture

Picture = npt.NDArray[np.uint8]
Normalisation = Literal["half", "imagenet"]
NORMALISATIONS: tuple[Normalisation, ...] = ("half", "imagenet")
IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of R, G, B in [0, 1]
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Preprocess:
    """size: side of the square picture in pixels. channels: 3 for RGB, 1 for grey.

    normalisation: what is taken from the picture in [0, 1], and by what it is divided. "half": mean 0.5 and std 0.5,
    which is the range of the decoder's tanh, [-1, 1]. "imagenet": ImageNet's mean and std of each colour, which leaves
    [-2.2, 2.7]; for networks that were trained so elsewhere.
    """

    size: int
    channels: int
    normalisation: Normalisation = "half"

    def __post_init__(self) -> None:
        Architecture(size=self.size, channels=self.channels)  # the same values fit, and no others
        if self.normalisation not in NORMALISATIONS:
            raise ValueError(f"normalisation is {self.normalisation!r}: choose one of {', '.join(NORMALISATIONS)}")
        if self.normalisation == "imagenet" and self.channels != 3:
            raise ValueError(
                f"normalisation is 'imagenet' with {self.channels} channel: ImageNet's figures are of three colours; "
                "choose 'half'"
            )

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
        """uint8 [B, S, S, C] -> float32 [B, C, S, S], normalised, channels last in memory.

        The bytes travel to the device and become numbers there: a quarter of the transfer.
        """
        self.check(batch)
        pixels = torch.from_numpy(np.ascontiguousarray(batch)).to(device, non_blocking=True)
        x = pixels.permute(0, 3, 1, 2).float()
        if self.normalisation == "half":
            return x.div_(127.5).sub_(1.0)
        mean, std = _imagenet(device)
        return x.div_(255).sub_(mean).div_(std)

    def to_half(self, x: Tensor) -> Tensor:
        """[B, C, S, S] as the networks have it -> the same picture in [-1, 1], to be drawn or measured."""
        if self.normalisation == "half":
            return x
        mean, std = _imagenet(x.device)
        return (x * std + mean) * 2 - 1

    def check(self, batch: Picture) -> None:
        """ValueError where batch is not uint8 [B, S, S, C] for this S and C."""
        expected = (self.size, self.size, self.channels)
        if batch.dtype != np.uint8 or batch.ndim != 4 or batch.shape[1:] != expected:
            raise ValueError(
                f"a batch is {batch.dtype} {list(batch.shape)}: expected uint8 [B, "
                f"{self.size}, {self.size}, {self.channels}] as Preprocess.picture makes them"
            )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Preprocess:
        """The inverse of to_dict; without a normalisation it is "half", the only one there was at first.
        ValueError where a name is missing, unknown or out of range."""
        if set(values) | {"normalisation"} != {"size", "channels", "normalisation"}:
            raise ValueError(f"preprocess has {sorted(values)}, expected ['channels', 'normalisation', 'size']")
        return cls(**values)


def _imagenet(device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and std, [3, 1, 1]."""
    mean, std = (torch.tensor(row, device=device).reshape(3, 1, 1) for row in (IMAGENET_MEAN, IMAGENET_STD))
    return mean, std


def _u8(array: Any) -> Picture:
    """OpenCV keeps uint8, its type stubs do not know it."""
    return np.asarray(array, dtype=np.uint8)
