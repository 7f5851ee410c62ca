"""Which of the normal pictures are held out of training."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BLOCKS = 5


def held_out(count: int, share: float, blocks: int = BLOCKS) -> npt.NDArray[np.bool_]:
    """True for the pictures to hold out: [count], about `share` of them, at least one.

    They form contiguous blocks spread over the sequence. Neighbouring frames of a film are near
    copies: picked at random, every held-out frame would have a twin in training, and nothing
    would be measured. One block alone might catch one mood of the light.
    """
    if not 0 < share < 1:
        raise ValueError(f"held_out is {share}: choose a share between 0 and 1")
    if count < 2:
        raise ValueError(f"{count} pictures cannot be split: at least 2 are needed")
    wanted = min(max(1, round(count * share)), count - 1)
    blocks = min(blocks, wanted, count - wanted)
    mask = np.zeros(count, dtype=np.bool_)
    for block in range(blocks):
        length = wanted // blocks + (block < wanted % blocks)
        first, last = block * count // blocks, (block + 1) * count // blocks
        start = first + (last - first - length) // 2
        mask[start : start + length] = True
    return mask
