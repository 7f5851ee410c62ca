"""How many processor threads a training should use: measured, not guessed.

On two virtual cores a step of the line's network took 0.11 s on one thread, and on two 0.11 s in the median but
0.2 to 1.2 s on average as soon as anything else ran: threads that share a layer wait for the slowest of them at every
layer. Wide networks on quiet machines do gain from more.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

GAIN = 1.3
"""All cores are only used where they are so much faster than one: a tie goes to one, which nothing disturbs."""
TRIES = 4
LONG_S = 5.0  # of tries: so slow a step is told from another by fewer


def settle_threads(work: Callable[[], object]) -> int:
    """Try `work` on one thread and on all, keep what is faster, and return it. For the CPU only."""
    every = torch.get_num_threads()
    if every == 1:
        return 1
    alone_s, together_s = (_seconds(work, count) for count in (1, every))
    chosen = every if together_s * GAIN < alone_s else 1
    torch.set_num_threads(chosen)
    return chosen


@contextmanager
def keeping_threads() -> Iterator[None]:
    """What is settled within is undone at the end."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _seconds(work: Callable[[], object], threads: int) -> float:
    """The mean of some tries after one that warms up: a stall now and then is part of the cost."""
    torch.set_num_threads(threads)
    work()
    took = []
    for _ in range(TRIES):
        began_s = time.perf_counter()
        work()
        took.append(time.perf_counter() - began_s)
        if sum(took) > LONG_S:
            break
    return statistics.mean(took)
