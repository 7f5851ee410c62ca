"""Normal pictures without a split: which of them are for the test."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import numpy.typing as npt

SHARE = 0.25
LEAST = 8
BLOCKS = 5


def for_test(count: int, seed: int = 0) -> npt.NDArray[np.bool_]:
    """True for the normal pictures to test with: [count], in the order of the files' names.

    A quarter of them; at least 8 of 16 and more, so that a false-positive rate means something. They are
    contiguous blocks, one in each fifth of the sequence: neighbours are often near copies (frames of a
    film, crops of one sheet), and picked one by one, every test picture would have a twin in training.
    The seed moves each block within its fifth. It depends on count and seed alone.
    """
    wanted = max(round(count * SHARE), LEAST if count >= 2 * LEAST else 0)
    mask = np.zeros(count, dtype=np.bool_)
    blocks = min(BLOCKS, wanted)
    for block in range(blocks):
        first, last = block * count // blocks, (block + 1) * count // blocks
        length = wanted // blocks + (block < wanted % blocks)
        room = last - first - length
        start = first + _drawn(seed, block) % (room + 1)
        mask[start : start + length] = True
    return mask


def rule(count: int, tested: int, seed: int) -> str:
    """The rule in words, for a report."""
    return (
        f"no split was given: of {count} normal pictures in the order of their names, {tested} in up to {BLOCKS} "
        f"blocks are for the test and {count - tested} to train (seed {seed})"
    )


def _drawn(seed: int, block: int) -> int:
    """The same number on every machine and in every version of any library."""
    return int.from_bytes(sha256(f"{seed}/{block}".encode()).digest()[:8], "big")
