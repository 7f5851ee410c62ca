"""Reading and writing safetensors files: whole or not at all, and with errors a person can use."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from models.writing import replacing


class CheckpointError(Exception):
    """A file cannot be read or written as a checkpoint. The message names the file, what was
    found, what was expected and what to do."""


def write(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Tensors with metadata, each value as JSON. Written beside the target and renamed, so that
    a reader sees the old file or the new one. CheckpointError where that is not possible."""
    try:
        with replacing(path) as temporary:
            save_file(
                {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
                temporary,
                {key: json.dumps(value) for key, value in metadata.items()},
            )
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path}: cannot be written ({error}): check that the folder exists, is writable and has room"
        ) from error


def read(path: Path, device: str = "cpu") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata. Runs no code from the file: safetensors holds numbers and JSON only.
    CheckpointError where the file is missing, is none, or its metadata is not JSON."""
    if not path.is_file():
        kind = "is a folder" if path.is_dir() else "is not there"
        raise CheckpointError(f"{path}: {kind}: expected a file made by `linewatch train`")
    try:
        with safe_open(path, framework="pt", device=device) as file:
            raw = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path}: is no safetensors file ({error}): expected a file made by `linewatch train`"
        ) from error
    try:
        return tensors, {key: json.loads(value) for key, value in raw.items()}
    except json.JSONDecodeError as error:
        raise CheckpointError(
            f"{path}: its metadata is not JSON ({error}): the file was not made by linewatch"
        ) from error
