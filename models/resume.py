"""The state of an unfinished training, beside its checkpoint as `<out>.resume`; no pickle."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.average import Average
from models.method import Method
from models.preprocess import Picture
from models.tensorfile import CheckpointError, read, write

RESUME_VERSION = 2
Optimisers = dict[str, torch.optim.Optimizer]


@dataclass
class Best:
    """The best weights so far, by held-out loss, and the step they are from."""

    loss: float = float("inf")
    step: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)

    def take(self, average: Average, number: int, loss: float) -> None:
        self.loss, self.step = loss, number
        self.weights = {name: tensor.detach().cpu().clone() for name, tensor in average.method.state_dict().items()}

    def give(self, method: Method) -> None:
        method.load_state_dict(self.weights)


@dataclass
class Progressed:
    """Where a training stands. order: the rest of the running epoch, indices into the training
    pictures. history: as TrainResult.history, plain dictionaries."""

    step: int = 0
    elapsed_s: float = 0.0
    best: Best = field(default_factory=Best)
    order: list[int] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)


def resume_path(out: Path) -> Path:
    return out.with_name(out.name + ".resume")


def identity(pictures: Picture, settings: dict[str, Any]) -> dict[str, Any]:
    """What must be the same for a training to go on: the pictures and what shapes the run. The
    budget is not part of it: a run may be resumed in order to train longer."""
    digest = hashlib.sha256(repr(pictures.shape).encode())
    digest.update(np.ascontiguousarray(pictures).data)  # without a copy: they may be gigabytes
    return {"pictures": digest.hexdigest(), **settings}


def save_state(
    path: Path, same: dict[str, Any], method: Method, optimisers: Optimisers, average: Average, at: Progressed
) -> None:
    """CheckpointError where the file cannot be written."""
    tensors: dict[str, Tensor] = {"rng": torch.get_rng_state()}
    tensors["order"] = torch.tensor(at.order, dtype=torch.int64)
    tensors |= {f"method.{key}": t for key, t in method.state_dict().items()}
    for name, optimiser in optimisers.items():
        for index, values in optimiser.state_dict()["state"].items():
            tensors |= {f"adam.{name}.{index}.{key}": t for key, t in values.items()}
    if average.updates:
        tensors |= {f"average.{key}": t for key, t in average.method.state_dict().items()}
    tensors |= {f"best.{key}": t for key, t in at.best.weights.items()}
    # One tensor under two names (a part that is not averaged) cannot be told from two: each gets its own memory.
    tensors = {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
    metadata = {
        "format": "linewatch-resume",
        "format_version": RESUME_VERSION,
        "same": same,
        "step": at.step,
        "elapsed_s": at.elapsed_s,
        "resets": method.resets,
        "averaged": average.updates,
        "best_loss": at.best.loss if at.best.weights else None,
        "best_step": at.best.step,
        "history": at.history,
    }
    write(path, tensors, metadata)


def load_state(
    path: Path, same: dict[str, Any], method: Method, optimisers: Optimisers, average: Average
) -> Progressed:
    """Put networks, optimisers and random numbers back. CheckpointError where the file is
    missing, is none, or belongs to other pictures or settings: it names which."""
    tensors, metadata = read(path)
    if (metadata.get("format"), metadata.get("format_version")) != (
        "linewatch-resume",
        RESUME_VERSION,
    ):
        raise CheckpointError(f"{path}: is no resume state of this version of linewatch: delete it and train anew")
    before = metadata.get("same", {})
    differs = sorted(key for key in same.keys() | before.keys() if same.get(key) != before.get(key))
    if differs:
        told = ", ".join(
            key if key == "pictures" else f"{key} (was {before.get(key)}, now {same.get(key)})" for key in differs
        )
        raise CheckpointError(
            f"{path}: belongs to another training, which differs in {told}: train with the same, or without --resume"
        )
    try:
        method.load_state_dict(_under(tensors, "method."))
        for name, optimiser in optimisers.items():
            _load_optimiser(optimiser, _under(tensors, f"adam.{name}."))
        torch.set_rng_state(tensors["rng"])
        method.resets = int(metadata["resets"])
        average.updates = int(metadata["averaged"])
        if average.updates:
            average.method.load_state_dict(_under(tensors, "average."))
        best = Best()
        if metadata["best_loss"] is not None:
            best = Best(
                float(metadata["best_loss"]),
                int(metadata["best_step"]),
                _under(tensors, "best."),
            )
        return Progressed(
            int(metadata["step"]),
            float(metadata["elapsed_s"]),
            best,
            tensors["order"].tolist(),
            metadata["history"],
        )
    except (LookupError, ValueError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"{path}: is damaged ({error}): delete it and train anew") from error


def _load_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for key, saved in tensors.items():
        index, moment = key.split(".")
        # The fused optimiser walks through memory: a moment must lie as its weight does. The
        # third entry, `step`, is a single number.
        laid = torch.empty_like(parameters[int(index)]).copy_(saved) if saved.ndim else saved
        moments.setdefault(int(index), {})[moment] = laid
    optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}
