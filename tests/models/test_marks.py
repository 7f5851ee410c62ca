from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models.marks import MOST, known, marks
from models.preprocess import Picture


def test_pictures_are_known_again_and_others_are_not(scene: Callable[..., Picture]) -> None:
    trained, fresh = scene(30, seed=1), scene(30, seed=2)
    seen = marks(trained)
    assert len(seen) == 30 and seen == sorted(seen)
    assert known(trained[5:9], seen) == 4 and known(fresh, seen) == 0
    assert known(trained, []) == 0


def test_so_many_are_not_marked() -> None:
    assert marks(np.zeros((MOST + 1, 1, 1, 1), np.uint8)) == []
    assert len(marks(np.zeros((5, 2, 2, 1), np.uint8))) == 1
