"""How much each cue counts, told by painted faults and normal pictures alone."""

from __future__ import annotations

from torch import Tensor

BLUR = 0.2  # added to the spreads: a cue that was sure of a few pictures is not infinitely sure


def weigh(clean: Tensor, faulty: Tensor, prior: Tensor) -> Tensor:
    """clean [N, cues] and faulty [M, cues], the cues' numbers for normal pictures and for faults; prior [cues], > 0 ->
    weights [cues], >= 0, sum 1.

    A weight is the prior times the square of how far the cue holds the two apart: the difference of the means over the
    sum of the spreads, of the numbers' asinh, so that a few cries do not decide. The prior keeps a cue that is good at
    what was painted from ruling alone: painted faults are not the line's. Where no cue notices anything, the prior
    rules."""
    clean, faulty = clean.asinh(), faulty.asinh()
    spread = clean.std(0, correction=0) + faulty.std(0, correction=0) + BLUR
    apart = ((faulty.mean(0) - clean.mean(0)) / spread).clamp_min(0)
    weights = prior * apart.square() if bool(apart.any()) else prior
    return weights / weights.sum()
