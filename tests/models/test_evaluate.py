from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluate import evaluate


def test_by_hand() -> None:
    made = evaluate(np.array([1.0, 2.0, 3.0, 4.0]), np.array([False, True, False, True]), 2.5)
    assert (made.normal, made.anomalous) == (2, 2)
    assert made.auroc == 0.75  # three of the four pairs are in order
    assert made.average_precision == pytest.approx((1 + 2 / 3) / 2)
    assert (made.recall, made.false_positive_rate) == (0.5, 0.5)


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=2, max_size=40))
def test_auroc_counts_pairs(rows: list[tuple[int, bool]]) -> None:
    scores = np.array([float(s) for s, _ in rows])
    labels = np.array([label for _, label in rows])
    if labels.all() or not labels.any():
        with pytest.raises(ValueError, match="both kinds"):
            evaluate(scores, labels)
        return
    gaps = scores[labels][:, None] - scores[~labels][None]
    assert evaluate(scores, labels).auroc == pytest.approx(((gaps > 0) + (gaps == 0) / 2).mean())


def test_refuses_what_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="1 of 2 scores are no numbers"):
        evaluate(np.array([np.nan, 1.0]), np.array([True, False]))
    with pytest.raises(ValueError, match=r"\[2\] scores for \[3\] labels"):
        evaluate(np.zeros(2), np.zeros(3, bool))


def test_without_a_threshold() -> None:
    made = evaluate(np.array([1.0, 2.0]), np.array([False, True]))
    assert made.recall is None and made.false_positive_rate is None
