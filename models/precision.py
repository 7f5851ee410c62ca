"""Which device, and whether half precision (bfloat16) pays on it."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import Literal, TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)
Precision = Literal["auto", "fp32", "bf16"]
PRECISIONS: tuple[Precision, ...] = ("auto", "fp32", "bf16")
DEVICES = ("auto", "cpu", "cuda")


def pick_device(wanted: str) -> torch.device:
    """auto | cpu | cuda | cuda:N. ValueError where there is no such device here."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if wanted == "cpu":
        return torch.device("cpu")
    if wanted == "cuda" or (wanted.startswith("cuda:") and wanted[5:].isdigit()):
        if not torch.cuda.is_available():
            raise ValueError(
                f"device is {wanted!r}, but this PyTorch ({torch.__version__}) sees no CUDA "
                "device: choose 'cpu' or 'auto', or install a CUDA build and driver"
            )
        device = torch.device(wanted)
        if device.index is not None and device.index >= torch.cuda.device_count():
            raise ValueError(f"device is {wanted!r}, but there are {torch.cuda.device_count()}")
        return device
    raise ValueError(f"device is {wanted!r}: choose one of {', '.join(DEVICES)}")


def has_fast_bf16(device: torch.device) -> bool:
    """Whether the device has instructions that multiply bfloat16 matrices.

    On a CPU that is AMX; AVX512-BF16 alone gains too little over float32 to be worth the digits.
    A property of the machine, not a measurement, so that scores do not change between starts.
    """
    if device.type == "cuda":
        return bool(torch.cuda.get_device_capability(device)[0] >= 8)
    amx = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(amx()) if amx is not None else False


def use_bf16(precision: Precision, device: torch.device) -> bool:
    """ValueError where precision is none of PRECISIONS."""
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}: choose one of {', '.join(PRECISIONS)}")
    return has_fast_bf16(device) if precision == "auto" else precision == "bf16"


def bf16_measures_faster(device: torch.device, channels: int, size: int, batch: int) -> bool:
    """Time one convolution forwards and backwards both ways, some tenths of a second.

    For training only: there the choice may differ between starts.
    """

    def seconds(bf16: bool) -> float:
        x = torch.ones(batch, channels, size, size, device=device, requires_grad=True)
        conv = nn.Conv2d(channels, 2 * channels, 4, 2, 1, bias=False).to(device)
        best = float("inf")
        for _ in range(4):  # the first builds the kernels; the best is the least disturbed
            start = time.perf_counter()
            with autocast(device, bf16):
                y = conv(x.contiguous(memory_format=torch.channels_last))
            y.float().sum().backward()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            best = min(best, time.perf_counter() - start)
        return best

    return seconds(True) < seconds(False)


def autocast(device: torch.device, bf16: bool) -> AbstractContextManager[object]:
    """Convolutions in bfloat16 where bf16 is set; everything as it is where not."""
    return torch.autocast(device.type, torch.bfloat16, enabled=bf16)


def place(network: Network, device: torch.device) -> Network:
    """Move the network, its weights channels last: the convolutions are fastest so."""
    network.to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network
