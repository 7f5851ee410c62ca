"""How far repeated measurements lie apart."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Spread:
    """Of so many runs, in the unit of what was measured."""

    least: float
    median: float
    greatest: float
    runs: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """ValueError where there is none."""
        found = sorted(values)
        if not found:
            raise ValueError("no run was measured")
        return cls(found[0], statistics.median(found), found[-1], len(found))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
