"""GANomaly behind the port: the distance between the two codes of a picture."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from models.calibration import Calibration
from models.ganomaly import Architecture, Generated, Generator
from models.losses import NORMS, Norm, code_distance
from models.precision import Precision, autocast, pick_device, place, use_bf16
from models.preprocess import Picture, Preprocess
from models.scorer import ModelInfo

CHUNK = {"cpu": 8, "cuda": 64}
HEAT_SIGMA = 1 / 32  # of the picture's side


class GanomalyScorer:
    """A Scorer over a trained generator.

    Every forward pass has the same shape: batches are cut into chunks of a fixed size and the
    last one is filled up with copies of its last picture. The kernels that PyTorch picks depend
    on the shape and round differently, most of all in bfloat16; with one shape a frame has the
    same score to the last bit, alone or among others. It also means that one warm-up is enough.

    precision: "auto" takes bfloat16 where the device multiplies it fast, else float32. float32
    unless asked for, so that a score is the same on every machine: on a 64 px model bfloat16 was
    1.3 to 2 times as fast and moved scores by 0.6 % in the median and 6 % at most.
    calibration: None only while a training is going on; `info` is not to be had without.
    """

    def __init__(
        self,
        generator: Generator,
        architecture: Architecture,
        calibration: Calibration | None,
        *,
        norm: Norm = "squared",
        device: str = "auto",
        precision: Precision = "fp32",
        model_id: str | None = None,
    ) -> None:
        if norm not in NORMS:
            raise ValueError(f"score norm is {norm!r}: choose one of {', '.join(NORMS)}")
        self._device = pick_device(device)
        self._bf16 = use_bf16(precision, self._device)
        self._norm: Norm = norm
        self._architecture = architecture
        self._preprocess = Preprocess(architecture.size, architecture.channels)
        self._calibration = calibration
        self._generator = place(generator, self._device)
        self._chunk = CHUNK.get(self._device.type, 8)
        self._model_id = model_id
        self.warm_up()

    @property
    def info(self) -> ModelInfo:
        if self._calibration is None:
            raise ValueError("this model has not been calibrated on held-out normal pictures")
        if self._model_id is None:
            self._model_id = fingerprint(self._generator, self._architecture, self._norm)
        return ModelInfo(
            model_id=self._model_id,
            architecture=self._architecture.to_dict(),
            preprocess=self._preprocess,
            calibration=self._calibration,
            norm=self._norm,
            device=str(self._device),
            precision="bf16" if self._bf16 else "fp32",
        )

    def warm_up(self) -> None:
        """One forward pass, so that the first real frame does not pay for building kernels."""
        side, channels = self._preprocess.size, self._preprocess.channels
        self._forward(np.zeros((1, side, side, channels), np.uint8))

    def score(self, pictures: Picture) -> npt.NDArray[np.float64]:
        self._preprocess.check(pictures)
        scores = [torch.empty(0, device=self._device)]
        for start in range(0, len(pictures), self._chunk):
            part = pictures[start : start + self._chunk]
            made = self._forward(part)
            scores.append(code_distance(made.code, made.code_again, self._norm)[: len(part)])
        return torch.cat(scores).cpu().numpy().astype(np.float64)

    def rebuild(self, pictures: Picture) -> npt.NDArray[np.float32]:
        """The reconstructions [B, S, S, C] of uint8 [B, S, S, C], in [-1, 1], for reports."""
        self._preprocess.check(pictures)
        made = [np.empty((0, *pictures.shape[1:]), np.float32)]
        for start in range(0, len(pictures), self._chunk):
            part = pictures[start : start + self._chunk]
            rebuilt = self._forward(part).rebuilt[: len(part)].float()
            made.append(rebuilt.permute(0, 2, 3, 1).cpu().numpy())
        return np.concatenate(made)

    def heat(self, picture: Picture) -> npt.NDArray[np.float32]:
        rebuilt = self.rebuild(picture[np.newaxis])[0]
        gap = np.abs(picture.astype(np.float32) / 127.5 - 1.0 - rebuilt).mean(axis=2)
        sigma = HEAT_SIGMA * self._preprocess.size
        return np.asarray(cv2.GaussianBlur(gap, (0, 0), sigma), dtype=np.float32)

    def _forward(self, part: Picture) -> Generated:
        """At most one chunk in; always a whole chunk out."""
        missing = self._chunk - len(part)
        if missing:
            part = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)])
        self._generator.eval()
        with torch.inference_mode(), autocast(self._device, self._bf16):
            made: Generated = self._generator(self._preprocess.to_tensor(part, self._device))
        return made


def fingerprint(generator: Generator, architecture: Architecture, norm: str) -> str:
    """Twelve hexadecimal digits over all that decides a score."""
    digest = hashlib.sha256(json.dumps([architecture.to_dict(), norm]).encode())
    state: dict[str, Any] = generator.state_dict()
    for name in sorted(state):
        if name.endswith("num_batches_tracked"):  # counts steps, decides nothing
            continue
        digest.update(name.encode())
        digest.update(state[name].detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]
