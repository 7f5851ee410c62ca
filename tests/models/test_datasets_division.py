from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.datasets.division import for_test


@given(st.integers(0, 3000), st.integers(0, 50))
def test_a_quarter_in_few_blocks(count: int, seed: int) -> None:
    mask = for_test(count, seed)
    assert mask.shape == (count,)
    assert mask.sum() == max(round(count / 4), 8 if count >= 16 else 0)
    edges = np.flatnonzero(np.diff(mask.astype(int), prepend=0) == 1)
    assert len(edges) <= 5
    assert np.array_equal(mask, for_test(count, seed))


def test_the_whole_sequence_is_seen() -> None:
    mask = for_test(1000)
    assert [int(fifth.sum()) for fifth in np.split(mask, 5)] == [50] * 5


def test_the_seed_moves_the_blocks() -> None:
    assert len({for_test(100, seed).tobytes() for seed in range(10)}) == 10


@pytest.mark.parametrize(("count", "tested"), [(0, 0), (1, 0), (3, 1), (15, 4), (16, 8), (31, 8), (48, 12), (116, 29)])
def test_counts(count: int, tested: int) -> None:
    assert for_test(count).sum() == tested


def test_never_another_division() -> None:
    """A model trained with an earlier version must not meet its training pictures in a later one's test."""
    assert np.flatnonzero(for_test(20, 0)).tolist() == [2, 3, 6, 7, 8, 9, 14, 18]
