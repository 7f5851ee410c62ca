from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.split import held_out


@given(st.integers(2, 3000), st.floats(0.01, 0.9))
def test_holds_out_the_share_and_leaves_some(count: int, share: float) -> None:
    mask = held_out(count, share)
    assert mask.shape == (count,)
    assert mask.sum() == min(max(1, round(count * share)), count - 1)


def test_blocks_are_contiguous_and_spread() -> None:
    mask = held_out(165, 0.2)
    edges = np.flatnonzero(np.diff(mask.astype(int)))
    assert mask.sum() == 33
    assert len(edges) == 10  # five blocks, none at either end
    starts = edges[::2]
    assert np.ptp(np.diff(starts)) <= 2


def test_refuses_what_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        held_out(1, 0.2)
    for share in (0.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1"):
            held_out(10, share)
