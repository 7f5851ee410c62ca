"""Which part on the belt carries which planted defect: known before the first frame is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

KINDS: Final[tuple[str, ...]] = (
    "broken edge",
    "stain",
    "missing holes",
    "wrong part",
    "foreign object",
    "missing part",
)
HARD_KINDS: Final[tuple[str, ...]] = ("scratches",)
"""What a whole picture of 64 pixels hardly shows; planted only where asked for."""
PERIOD_S: Final = 2.0
"""Seconds from one part to the next."""

REST_SHARE: Final = 0.8
"""So much of a period a part rests under the camera; in the rest of it the belt moves."""

QUIET_S: Final = 10.0
"""Nothing is planted in view before this, so that a monitor can settle."""

_GAPS_IN_PARTS: Final = (4, 5, 6, 7, 8)  # 8 to 16 s, 12 s on average
_SECOND_CAMERAS_LAG: Final = 2  # parts; cameras do not fail in step


@dataclass(frozen=True)
class Defect:
    """A defect planted on the part with this number; parts are numbered from 0 upwards."""

    part: int
    kind: str


class Schedule:
    """The defects of one camera, a pure function of the seed and the camera's index.

    Gaps are 8 to 16 s. Kinds come from a shuffled bag, so that each is seen before one repeats.
    """

    def __init__(self, seed: int, camera_index: int, kinds: tuple[str, ...] = KINDS) -> None:
        self._kinds = kinds
        self._rng = np.random.default_rng([seed, camera_index, 1])
        # Part k comes to rest at k periods and into view less than one period earlier, so this
        # part is the first to be wholly after the quiet time.
        first = int(np.ceil(QUIET_S / PERIOD_S)) + 1
        self._next_part = first + (camera_index * _SECOND_CAMERAS_LAG) % len(_GAPS_IN_PARTS)
        self._bag: list[str] = []
        self._known: dict[int, Defect] = {}

    def defect_of(self, part: int) -> Defect | None:
        """The defect that the part carries, or None for a good part."""
        while self._next_part <= part:
            self._plant()
        return self._known.get(part)

    def between(self, first_part: int, last_part: int) -> list[Defect]:
        """All defects of the parts in this closed range, in order."""
        found = (self.defect_of(part) for part in range(first_part, last_part + 1))
        return [defect for defect in found if defect is not None]

    def _plant(self) -> None:
        if not self._bag:
            self._bag = [self._kinds[int(index)] for index in self._rng.permutation(len(self._kinds))]
        part = self._next_part
        self._known[part] = Defect(part, self._bag.pop())
        self._next_part = part + int(self._rng.choice(_GAPS_IN_PARTS))
