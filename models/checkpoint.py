"""The checkpoint: weights, and in the file's metadata all else that scoring needs.

Metadata, each value JSON: format ("linewatch-ganomaly"), format_version, architecture,
preprocessing, score ({"norm"}), calibration, training (a summary, for people; nothing reads it).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.calibration import Calibration
from models.ganomaly import Architecture, Discriminator, Generator
from models.ganomaly_scorer import GanomalyScorer
from models.losses import NORMS, Norm
from models.precision import Precision
from models.preprocess import Preprocess
from models.tensorfile import CheckpointError, read, write

__all__ = ["FORMAT_VERSION", "Checkpoint", "CheckpointError", "load", "load_checkpoint", "save"]

FORMAT = "linewatch-ganomaly"
FORMAT_VERSION = 1
NEEDED = ("architecture", "preprocessing", "score", "calibration", "training")


class Checkpoint:
    """What a file holds, checked: networks on the CPU, and their metadata."""

    def __init__(self, path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
        _check_format(path, metadata)
        try:
            self.architecture = Architecture.from_dict(metadata["architecture"])
            self.preprocess = Preprocess.from_dict(metadata["preprocessing"])
            self.norm: Norm = _norm(metadata["score"])
            self.calibration = Calibration.from_dict(metadata["calibration"])
            self.training: dict[str, Any] = dict(metadata["training"])
        except (ValueError, TypeError) as error:
            raise CheckpointError(f"{path}: its metadata cannot be used: {error}") from error
        arch, prep = self.architecture, self.preprocess
        if (arch.size, arch.channels) != (prep.size, prep.channels):
            raise CheckpointError(
                f"{path}: preprocessing makes {prep.size} px with {prep.channels} channels, the "
                f"networks take {arch.size} px with {arch.channels}"
            )
        with torch.device("meta"):  # no memory, and no time spent on an initialisation
            self.generator, self.discriminator = Generator(arch), Discriminator(arch)
        networks = {"generator.": self.generator, "discriminator.": self.discriminator}
        _check_weights(path, tensors, networks)
        for prefix, network in networks.items():
            network.load_state_dict(_part(tensors, prefix), assign=True)
            network.eval().requires_grad_(False)


def save(
    path: Path,
    generator: Generator,
    discriminator: Discriminator,
    architecture: Architecture,
    *,
    norm: Norm,
    calibration: Calibration,
    training: Mapping[str, Any],
) -> None:
    """Write the file whole or not at all. CheckpointError where it cannot be written."""
    tensors = {f"generator.{name}": t for name, t in generator.state_dict().items()}
    tensors |= {f"discriminator.{name}": t for name, t in discriminator.state_dict().items()}
    metadata = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "architecture": architecture.to_dict(),
        "preprocessing": Preprocess(architecture.size, architecture.channels).to_dict(),
        "score": {"norm": norm},
        "calibration": calibration.to_dict(),
        "training": dict(training),
    }
    write(path, tensors, metadata)


def load_checkpoint(path: Path) -> Checkpoint:
    """CheckpointError where the file is missing, no checkpoint, of another version, or damaged."""
    return Checkpoint(path, *read(path))


def load(path: Path, device: str = "auto", precision: Precision = "fp32") -> GanomalyScorer:
    """A scorer, warmed up, on auto | cpu | cuda. CheckpointError as load_checkpoint; ValueError for the device."""
    held = load_checkpoint(path)
    return GanomalyScorer(
        held.generator,
        held.architecture,
        held.calibration,
        norm=held.norm,
        device=device,
        precision=precision,
    )


def _check_format(path: Path, metadata: dict[str, Any]) -> None:
    found = metadata.get("format")
    if found != FORMAT:
        raise CheckpointError(
            f"{path}: its metadata names the format {found!r}, expected {FORMAT!r}: the file was "
            "not made by `linewatch train`"
        )
    version = metadata.get("format_version")
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: format version {version!r}, this linewatch reads {FORMAT_VERSION}: train "
            "anew, or use the linewatch that made it"
        )
    missing = [key for key in NEEDED if not isinstance(metadata.get(key), dict)]
    if missing:
        raise CheckpointError(f"{path}: its metadata lacks {', '.join(missing)}: train anew")


def _norm(score: dict[str, Any]) -> Norm:
    for norm in NORMS:
        if score.get("norm") == norm:
            return norm
    raise ValueError(f"score norm is {score.get('norm')!r}, expected one of {', '.join(NORMS)}")


def _check_weights(path: Path, tensors: dict[str, Tensor], networks: Mapping[str, nn.Module]) -> None:
    expected = {
        prefix + name: tensor for prefix, network in networks.items() for name, tensor in network.state_dict().items()
    }
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


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
