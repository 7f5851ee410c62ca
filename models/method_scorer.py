"""A trained method behind the port: the same for GANomaly and for all that it is measured against."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.calibration import Calibration
from models.engines.cuda_device import CudaDevice
from models.engines.engine import Engine
from models.engines.lanes import LanesEngine
from models.engines.staged import StagedEngine
from models.method import Method
from models.packed import can_pack, pack
from models.precision import Precision, autocast, pick_device, place, use_bf16
from models.preprocess import Picture, Preprocess
from models.scorer import ModelInfo

CUDA_CHUNK = 64
HEAT_SIGMA = 1 / 32  # of the picture's side


class MethodScorer:
    """A Scorer over a trained method.

    precision: "auto" takes bfloat16 where the device multiplies it fast, else float32. float32
    unless asked for, so that a score is nearly the same on every machine (a GPU may round its
    convolutions to TF32).
    calibration: None while a training is going on, and for a model made elsewhere.
    threads: of the processor, for a scorer that serves: the method then belongs to it, and may be packed
    (models/packed.py) so that it can no longer be trained or saved. None leaves the method, and PyTorch's threads, as
    they are.
    """

    def __init__(
        self,
        method: Method,
        calibration: Calibration | None,
        *,
        preprocess: Preprocess | None = None,
        device: str = "auto",
        precision: Precision = "fp32",
        threads: int | None = None,
    ) -> None:
        self._device = pick_device(device)
        self._bf16 = use_bf16(precision, self._device)
        self._preprocess = preprocess or Preprocess(method.arch.size, method.arch.channels)
        self._calibration = calibration
        self._method = place(method, self._device)
        if threads is not None and method.packs and can_pack(self._device):
            _ = self.info  # while the method has its weights
            pack(method, torch.bfloat16 if self._bf16 and "bf16" in method.packs else torch.float32)
        self._engine = self._made_engine(threads)
        self._engine.warm_up()

    @cached_property  # asked for with every frame
    def info(self) -> ModelInfo:
        return ModelInfo(
            model_id=fingerprint(self._method, self._preprocess),
            method=self._method.name,
            architecture=self._method.arch.to_dict(),
            preprocess=self._preprocess,
            calibration=self._calibration,
            norm=self._method.norm,
            device=str(self._device),
            precision="bf16" if self._bf16 else "fp32",
        )

    def score(self, pictures: Picture) -> npt.NDArray[np.float64]:
        return self._engine.score(pictures).astype(np.float64)

    @property
    def engine(self) -> Engine:
        return self._engine

    def rebuild(self, pictures: Picture) -> npt.NDArray[np.float32]:
        rebuilt = self._each(pictures, lambda x: self._preprocess.to_half(self._method.rebuild(x)))
        return rebuilt.reshape(-1, *self._channels_first).transpose(0, 2, 3, 1)

    def features(self, pictures: Picture) -> npt.NDArray[np.float32]:
        return self._each(pictures, self._method.features)

    def heat(self, picture: Picture) -> npt.NDArray[np.float32]:
        return np.asarray(self.heats(picture[np.newaxis])[0], dtype=np.float32)

    def heats(self, pictures: Picture) -> npt.NDArray[np.float32]:
        sigma = HEAT_SIGMA * self._preprocess.size
        heats = self._each(pictures, self._method.heat).reshape(-1, *self._channels_first[1:])
        return np.stack([cv2.GaussianBlur(heat, (0, 0), sigma) for heat in heats]) if len(heats) else heats

    def _made_engine(self, threads: int | None) -> Engine:
        if self._device.type == "cuda":
            device = CudaDevice(self._device)
            return StagedEngine(self._method, self._preprocess, device, bf16=self._bf16, chunk=CUDA_CHUNK)
        return LanesEngine(self._method, self._preprocess, bf16=self._bf16, threads=threads)

    @property
    def _channels_first(self) -> tuple[int, int, int]:
        return (self._preprocess.channels, self._preprocess.size, self._preprocess.size)

    def _each(self, pictures: Picture, work: Callable[[Tensor], Tensor]) -> npt.NDArray[np.float32]:
        """What `work` makes of the pictures, chunk by chunk. A chunk is always whole."""
        self._preprocess.check(pictures)
        self._method.eval()
        made = [np.empty((0,), np.float32)]
        chunk = self._engine.chunk  # where memory ran out for scores, it would for these
        for start in range(0, len(pictures), chunk):
            part = pictures[start : start + chunk]
            missing = chunk - len(part)
            whole = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) if missing else part
            # Not inference_mode: a method may need gradients of its own (AnoGAN searches with them).
            with torch.no_grad(), autocast(self._device, self._bf16):
                result = work(self._preprocess.to_tensor(whole, self._device))
            made.append(result[: len(part)].float().cpu().numpy())
        return np.concatenate(made[1:]) if len(made) > 1 else made[0]


def fingerprint(method: Method, preprocess: Preprocess) -> str:
    """Twelve hexadecimal digits over all that decides a score."""
    decides = [method.name, method.arch.to_dict(), method.norm, preprocess.to_dict()]
    digest = hashlib.sha256(json.dumps(decides).encode())
    state: dict[str, Tensor] = method.state_dict()
    for name in sorted(state):
        if name.endswith("num_batches_tracked"):  # counts steps, decides nothing
            continue
        digest.update(name.encode())
        digest.update(state[name].detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]
