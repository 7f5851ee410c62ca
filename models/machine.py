"""What a figure was measured on, in a line that can stand beside it."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch


def machine(device: str) -> str:
    """For example "Intel Xeon Gold 6354, 2 cores, PyTorch 2.13.0". device: as ModelInfo.device."""
    version = torch.__version__.partition("+")[0]
    if device.startswith("cuda"):
        return f"{torch.cuda.get_device_name(torch.device(device))}, PyTorch {version}"
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{_processor()}, {usable} cores, PyTorch {version}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2] for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return " ".join(name.replace("(R)", "").replace("(TM)", "").split())
