"""The checkpoint: weights, and in the file's metadata all else that scoring needs.

Metadata, each value JSON: format ("linewatch"), format_version, method (its name in the catalogue),
architecture, preprocessing, score ({"norm"}), calibration (null where there is none yet), training (a
summary, for people; only `seen`, the training pictures' marks, is read, by `linewatch evaluate`). The tensors are the
method's state dict.

Version 1 had GANomaly only: its format was "linewatch-ganomaly", without `method`. It is still read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.calibration import Calibration
from models.ganomaly import Architecture
from models.losses import NORMS, Norm
from models.method import Method
from models.method_scorer import MethodScorer
from models.methods.catalogue import method
from models.precision import Precision
from models.preprocess import Preprocess
from models.tensorfile import CheckpointError, read, write

__all__ = ["FORMAT_VERSION", "Checkpoint", "CheckpointError", "load", "load_checkpoint", "save", "scorer_of"]

FORMAT = "linewatch"
FORMAT_VERSION = 2
READS = {("linewatch", 2), ("linewatch-ganomaly", 1)}
NEEDED = ("architecture", "preprocessing", "score", "training")


class Checkpoint:
    """What a file holds, checked: the method with its weights, on the CPU, and their metadata."""

    def __init__(self, path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
        _check_format(path, metadata)
        try:
            kind = method(metadata.get("method", "ganomaly"))
            arch = Architecture.from_dict(metadata["architecture"])
            self.preprocess = prep = Preprocess.from_dict(metadata["preprocessing"])
            norm = _norm(metadata["score"])
            known = metadata["calibration"]
            self.calibration = None if known is None else Calibration.from_dict(known)
            self.training: dict[str, Any] = dict(metadata["training"])
            with torch.device("meta"):  # no memory, and no time spent on an initialisation
                self.method = kind(arch, norm)
        except (ValueError, TypeError, OverflowError, RuntimeError) as error:  # the last: sizes beyond all measure
            raise CheckpointError(f"{path}: its metadata cannot be used: {error}") from error
        if (arch.size, arch.channels) != (prep.size, prep.channels):
            raise CheckpointError(
                f"{path}: preprocessing makes {prep.size} px with {prep.channels} channels, the "
                f"networks take {arch.size} px with {arch.channels}"
            )
        _check_weights(path, tensors, self.method.state_dict())
        self.method.load_state_dict(tensors, assign=True)
        self.method.eval().requires_grad_(False)


def save(
    path: Path,
    made: Method,
    preprocess: Preprocess,
    *,
    calibration: Calibration | None,
    training: Mapping[str, Any],
) -> None:
    """Write the file whole or not at all. CheckpointError where it cannot be written."""
    metadata = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "method": made.name,
        "architecture": made.arch.to_dict(),
        "preprocessing": preprocess.to_dict(),
        "score": {"norm": made.norm},
        "calibration": None if calibration is None else calibration.to_dict(),
        "training": dict(training),
    }
    write(path, made.state_dict(), metadata)


def load_checkpoint(path: Path) -> Checkpoint:
    """CheckpointError where the file is missing, no checkpoint, of another version, or damaged."""
    return Checkpoint(path, *read(path))


def load(path: Path, device: str = "auto", precision: Precision = "fp32", threads: int | None = None) -> MethodScorer:
    """A scorer, warmed up, on auto | cpu | cuda | cuda:N. threads: for one that serves (see MethodScorer).
    CheckpointError as load_checkpoint; ValueError for the device."""
    return scorer_of(load_checkpoint(path), device, precision, threads)


def scorer_of(
    held: Checkpoint, device: str = "auto", precision: Precision = "fp32", threads: int | None = None
) -> MethodScorer:
    """As load, of a checkpoint that has been read already; with threads its method is the scorer's from now on."""
    return MethodScorer(
        held.method,
        held.calibration,
        preprocess=held.preprocess,
        device=device,
        precision=precision,
        threads=threads,
    )


def _check_format(path: Path, metadata: dict[str, Any]) -> None:
    found, version = metadata.get("format"), metadata.get("format_version")
    if found not in {name for name, _ in READS}:
        raise CheckpointError(
            f"{path}: its metadata names the format {found!r}, expected {FORMAT!r}: the file was made neither by "
            "`linewatch train` nor by `linewatch import`"
        )
    if (found, version) not in READS:
        raise CheckpointError(
            f"{path}: format version {version!r}, this linewatch reads {FORMAT_VERSION} and below: train "
            "anew, or use the linewatch that made it"
        )
    missing = [key for key in NEEDED if not isinstance(metadata.get(key), dict)]
    if "calibration" not in metadata:
        missing.append("calibration")
    if missing:
        raise CheckpointError(f"{path}: its metadata lacks {', '.join(missing)}: train anew")


def _norm(score: dict[str, Any]) -> Norm:
    for norm in NORMS:
        if score.get("norm") == norm:
            return norm
    raise ValueError(f"score norm is {score.get('norm')!r}, expected one of {', '.join(NORMS)}")


def _check_weights(path: Path, tensors: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    missing = sorted(set(expected) - set(tensors))
    unknown = sorted(set(tensors) - set(expected))
    if missing or unknown:
        raise CheckpointError(
            f"{path}: weights do not belong to the architecture in its metadata: "
            f"{len(missing)} missing {missing[:3]}, {len(unknown)} unknown {unknown[:3]}"
        )
    for name, tensor in tensors.items():
        want = expected[name]
        if tensor.shape != want.shape or tensor.dtype != want.dtype:
            raise CheckpointError(
                f"{path}: {name} is {tensor.dtype} {list(tensor.shape)}, expected {want.dtype} {list(want.shape)}"
            )
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{path}: {name} holds values that are no numbers: the training had gone wrong")
