"""What a bench ran on: figures without their machine are worth nothing."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import torch

_PACKAGES: Final = ("linewatch", "torch", "opencv-python", "numpy", "kafka-python", "redis", "hiredis", "crc32c")
_WORDS: Final = ("amx_bf16", "amx_int8", "avx512_bf16", "avx512_vnni", "avx512f", "avx2", "asimd", "bf16")
"""Of the processor's abilities, those that a network's speed depends on."""


def machine() -> dict[str, Any]:
    """JSON-able: processor, its cores that this process may run on, memory, accelerator, kernel, load, versions."""
    may_run_on = getattr(os, "sched_getaffinity", None)
    return {
        "processor": _told("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": len(may_run_on(0)) if may_run_on else os.cpu_count(),
        "abilities": _abilities(),
        "memory_gib": _memory_gib(),
        "accelerator": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        "system": f"{platform.system()} {platform.release()}",
        "load": round(os.getloadavg()[0], 2),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in _PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _abilities() -> list[str]:
    known = (_told("/proc/cpuinfo", "flags") or _told("/proc/cpuinfo", "Features") or "").split()
    return [word for word in _WORDS if word in known]


def _memory_gib() -> float | None:
    told = (_told("/proc/meminfo", "MemTotal") or "").split()
    return round(int(told[0]) / (1 << 20), 1) if told else None


def _told(file: str, name: str) -> str | None:
    """What Linux says of this in such a file; None elsewhere."""
    try:
        lines = Path(file).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), None)
