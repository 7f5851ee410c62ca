"""Several processes that train one model, started by PyTorch's own launcher (torchrun), one for each GPU or machine.

Every process holds the whole model and all pictures, draws the same random numbers and therefore the same batch, and
steps on its own share of it; the gradients are averaged before each optimiser's step. Batch norm looks at the share
alone, as with any data-parallel training without synchronised batch norm: a share should not be small.
Without the launcher all this does nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor
from torch.optim import Optimizer

from models.method import Method


class Together:
    """rank: which of the `size` processes this is, counted from 0. The first one writes and speaks."""

    def __init__(self) -> None:
        running = dist.is_available() and dist.is_initialized()
        self.rank = dist.get_rank() if running else 0
        self.size = dist.get_world_size() if running else 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    def share(self, batch: Tensor) -> Tensor:
        """This process's part of a batch that all have. The first dimension must divide by `size`."""
        return batch[self.rank :: self.size]

    def average_gradients(self, optimisers: Iterable[Optimizer]) -> None:
        """From now on, before every step of these."""
        if self.size > 1:
            for optimiser in optimisers:
                optimiser.register_step_pre_hook(self._average)

    def equal(self, method: Method, like: int = 0) -> None:
        """Give every process the weights, batch norm statistics and random numbers of one of them."""
        if self.size > 1:
            for tensor in method.state_dict().values():
                dist.broadcast(tensor, like)
            device = next(iter(method.state_dict().values())).device
            numbers = torch.get_rng_state().to(device)
            dist.broadcast(numbers, like)
            torch.set_rng_state(numbers.cpu())

    def average_statistics(self, method: Method) -> None:
        """Batch norm's running statistics, of which each process has seen only its share."""
        if self.size > 1:
            for buffer in method.buffers():
                if buffer.is_floating_point():
                    dist.all_reduce(buffer)
                    buffer.div_(self.size)

    def highest(self, *numbers: float, device: torch.device) -> list[float]:
        """Each number's highest value in any process: what is asked for in one is done in all."""
        if self.size == 1:
            return list(numbers)
        held = torch.tensor(numbers, dtype=torch.float64, device=device)
        dist.all_reduce(held, dist.ReduceOp.MAX)
        return [float(number) for number in held]

    def agree(self, text: str, device: torch.device) -> bool:
        """Whether every process has the same text."""
        # Six bytes of a digest are a whole number that float64 holds exactly.
        number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")
        highest, lowest = self.highest(number, -number, device=device)
        return highest == -lowest

    def wait(self) -> None:
        """Until all are here."""
        if self.size > 1:
            dist.barrier()

    def _average(self, optimiser: Optimizer, *_: object) -> None:
        gradients = [p.grad for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.size
        for gradient, averaged in zip(
            gradients, torch.split(flat, [gradient.numel() for gradient in gradients]), strict=True
        ):
            gradient.copy_(averaged.view_as(gradient))


@contextmanager
def joined(device: torch.device) -> Iterator[Together]:
    """Join the others where torchrun started this process; leave them at the end."""
    join = dist.is_available() and dist.is_torchelastic_launched() and not dist.is_initialized()
    if join:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Together()
    finally:
        if join:
            dist.destroy_process_group()


def own_device(wanted: str) -> str:
    """Of several GPUs in one machine, the one that belongs to this process; else what was wanted."""
    local = os.environ.get("LOCAL_RANK")
    if local is None or not torch.cuda.is_available() or wanted not in ("auto", "cuda"):
        return wanted
    return f"cuda:{int(local)}"


def speaks() -> bool:
    """Whether this process is the one that writes and shows progress; known before it has joined."""
    return int(os.environ.get("RANK", "0")) == 0
