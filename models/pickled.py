"""Reading the tensors of a PyTorch checkpoint that someone else wrote, without running anything from it.

Such files are pickles, and a pickle may name any function to be called while it is read. PyTorch's own
reader with weights_only=True refuses whatever is no tensor. Lightning's checkpoints often hold more than
tensors (transforms, metrics, enums), and are then read here: each function or class that the pickle names
is replaced by an inert stand-in that keeps what it is given and does nothing, and afterwards the stand-ins
of tensors are made into tensors.
"""

from __future__ import annotations

import io
import pickle
import sys
import warnings
import zipfile
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from models.tensorfile import CheckpointError

EXPECTED = "expected a PyTorch checkpoint (.pth, .pt or .ckpt) with a state_dict"
REMEDY = "load it where its code is, and save only the weights: torch.save(model.state_dict(), FILE)"
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # how files begin that PyTorch before 1.6 wrote
DTYPES = {
    "torch DoubleStorage": torch.float64,
    "torch FloatStorage": torch.float32,
    "torch HalfStorage": torch.float16,
    "torch BFloat16Storage": torch.bfloat16,
    "torch LongStorage": torch.int64,
    "torch IntStorage": torch.int32,
    "torch ShortStorage": torch.int16,
    "torch CharStorage": torch.int8,
    "torch ByteStorage": torch.uint8,
    "torch BoolStorage": torch.bool,
}


@dataclass(frozen=True)
class Pickled:
    """state: the tensors by name, on the CPU. settings: Lightning's hyper_parameters where there are any; of what
    is no plain value only a stand-in."""

    state: dict[str, Tensor]
    settings: dict[str, Any]


def read_pickled(path: Path) -> Pickled:
    """The tensors of {'state_dict': ...} or of a bare state dict. CheckpointError where the file is missing, holds no
    weights, or holds a whole model, which could only be read by running its code."""
    _check(path)
    try:
        with warnings.catch_warnings(action="ignore"):  # what matters in them is raised below, or read
            root = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        root = _read_inert(path)
    except Exception as error:  # damaged files make PyTorch raise whatever its parts raise
        raise CheckpointError(f"{path}: cannot be read ({_brief(error)}): {EXPECTED}") from error
    if isinstance(root, _Inert) and root.origin != "collections OrderedDict":
        _refuse_object(path, root.origin)
    if not isinstance(root, dict):
        raise CheckpointError(f"{path}: holds a {type(root).__name__}: {EXPECTED}")
    state = root.get("state_dict", root)
    tensors = {k: v for k, v in state.items() if isinstance(v, Tensor)} if isinstance(state, dict) else {}
    if not tensors:
        for value in (state, *root.values()):
            if isinstance(value, _Inert) and value.origin != "collections OrderedDict":
                _refuse_object(path, value.origin)
        raise CheckpointError(f"{path}: holds no tensors, but {sorted(map(str, root))[:5]}: {EXPECTED}")
    if not all(isinstance(name, str) for name in tensors):
        raise CheckpointError(f"{path}: its tensors have no names: {EXPECTED}")
    settings = root.get("hyper_parameters")
    return Pickled(tensors, dict(settings) if isinstance(settings, dict) else {})


def _check(path: Path) -> None:
    if not path.is_file():
        kind = "is a folder" if path.is_dir() else "is not there"
        raise CheckpointError(f"{path}: {kind}: {EXPECTED}")
    try:
        with safe_open(path, framework="pt") as file:
            ours = "linewatch" in (file.metadata() or {}).get("format", "")
    except (OSError, SafetensorError):
        ours = None
    if ours is not None:
        told = "is a linewatch checkpoint already: use it as it is" if ours else f"is a safetensors file: {EXPECTED}"
        raise CheckpointError(f"{path}: {told}")
    if any(name.endswith("/constants.pkl") for name in _listed(path)):
        raise CheckpointError(f"{path}: is a compiled program (TorchScript): {REMEDY}")


def _listed(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return []  # the readers below say what is wrong


def _refuse_object(path: Path, origin: str) -> NoReturn:
    raise CheckpointError(
        f"{path}: holds a whole object of the class {origin.replace(' ', '.')}, not weights, and is not read because "
        f"that would run code from the file: {REMEDY}"
    )


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"


# ---- The reader that runs nothing ----


class _Inert(dict[Any, Any]):
    """Stands for an object of any class: keeps what it was made from, and does nothing."""

    origin: ClassVar[str] = ""
    args: tuple[Any, ...]

    def __new__(cls, *args: Any, **_: Any) -> _Inert:
        made = super().__new__(cls)
        made.args = args
        return made

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)

    def __setstate__(self, state: object) -> None:
        """Forgets the state: nothing that is wanted here lies in one."""

    def __call__(self, *_: Any, **__: Any) -> _Inert:
        """What a method gives that the pickle fetched from an object with getattr, itself a stand-in."""
        return _Inert()

    def append(self, _: object) -> None:
        """As __setstate__; so pickles fill a list of a class of its own."""

    def extend(self, _: object) -> None:
        """As append."""

    def add(self, _: object) -> None:
        """As append, for a set."""


@dataclass(frozen=True)
class _Stored:
    """A storage that the pickle refers to: the origin of its class, its name in the archive, its length."""

    kind: str
    key: str
    count: int


class _Reader(pickle._Unpickler):
    """Python's own reader in Python: the one in C takes whatever memory a few bytes in the file ask for."""

    def find_class(self, module: str, name: str) -> type[_Inert]:
        return type("_Inert", (_Inert,), {"origin": f"{module} {name}"})

    def persistent_load(self, pid: Any) -> object:
        if isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage":
            return _Stored(getattr(pid[1], "origin", ""), str(pid[2]), int(pid[4]))
        if isinstance(pid, tuple) and len(pid) >= 2 and pid[0] == "module":  # a class, with its source beside it
            return pid[1]
        return _Inert()


def _read_inert(path: Path) -> Any:
    """What the file holds at its top, with tensors only where a dictionary holds them directly."""
    if not zipfile.is_zipfile(path):
        return _refuse_legacy(path)
    try:
        with zipfile.ZipFile(path) as archive:
            root, folder = _unpickle(path, archive)
            parts = [root, root.get("state_dict")] if isinstance(root, dict) else []
            for part in parts:
                if isinstance(part, dict):
                    for name, value in part.items():
                        tensor = _tensor(archive, folder, value)
                        if tensor is not None:
                            part[name] = tensor
            return root
    except CheckpointError:
        raise
    except Exception as error:  # a broken or hostile pickle fails in any way there is
        raise CheckpointError(f"{path}: cannot be read ({_brief(error)}): {EXPECTED}") from error


def _unpickle(path: Path, archive: zipfile.ZipFile) -> tuple[Any, str]:
    found = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(found) != 1:
        raise CheckpointError(f"{path}: is a zip archive with {len(found)} data.pkl: {EXPECTED}")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
        raise CheckpointError(f"{path}: is a compressed archive, and PyTorch does not compress: {EXPECTED}")
    folder = found[0].removesuffix("data.pkl")
    if f"{folder}byteorder" in archive.namelist():
        order = archive.read(f"{folder}byteorder").decode()
        if order != sys.byteorder:
            raise CheckpointError(f"{path}: was written on a {order}-endian machine: {REMEDY}")
    return _Reader(io.BytesIO(archive.read(found[0]))).load(), folder


def _tensor(archive: zipfile.ZipFile, folder: str, value: object) -> Tensor | None:
    """The tensor that a stand-in stands for; None where it stands for something else."""
    if not isinstance(value, _Inert):
        return None
    if value.origin in ("torch._utils _rebuild_parameter", "torch._utils _rebuild_parameter_with_state"):
        return _tensor(archive, folder, value.args[0])
    if value.origin != "torch._utils _rebuild_tensor_v2":
        return None
    stored, offset, shape, strides = value.args[:4]
    if not isinstance(stored, _Stored) or stored.kind not in DTYPES:
        raise ValueError(f"a tensor over {stored!r}")
    dtype, raw = DTYPES[stored.kind], archive.read(f"{folder}data/{stored.key}")
    if len(raw) != stored.count * dtype.itemsize or not all(n >= 0 for n in (offset, *shape, *strides)):
        raise ValueError(f"{stored} with {len(raw)} bytes, offset {offset}, shape {shape}, strides {strides}")
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if prod(shape) and (last >= stored.count or prod(shape) > stored.count):
        raise ValueError(f"a tensor of shape {shape} reaches beyond its {stored.count} values")
    if not prod(shape):
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(bytearray(raw), dtype=dtype).as_strided(shape, strides, offset)


def _refuse_legacy(path: Path) -> NoReturn:
    """Says why a file without an archive is not read: a whole model, something beside weights, or no checkpoint."""
    root: Any = None
    try:
        with path.open("rb") as file:
            if _Reader(file).load() == LEGACY_MAGIC:
                _Reader(file).load(), _Reader(file).load()  # the protocol, and the machine
                root = _Reader(file).load()
    except Exception as error:
        raise CheckpointError(f"{path}: is no file that PyTorch wrote: {EXPECTED}") from error
    if root is None:
        raise CheckpointError(f"{path}: is a pickle, but none that PyTorch wrote: {EXPECTED}")
    if isinstance(root, _Inert) and root.origin != "collections OrderedDict":
        _refuse_object(path, root.origin)
    raise CheckpointError(f"{path}: holds more than weights, in the format of PyTorch before 1.6: {REMEDY}")
