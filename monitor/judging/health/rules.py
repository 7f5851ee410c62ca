"""What a camera's health is held against: the settings of one camera, as the judging sees them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.judging.health.trouble import Condition


@dataclass(frozen=True, slots=True, eq=False)
class HealthRules:
    """One camera's limits, as docs/camera-health.md and monitor/health_settings.py describe them.

    anchor: uint8 [60, 80], a reduced picture of how the camera is to look; without it, its first pictures are that.
    """

    watch: frozenset[Condition] = field(default_factory=lambda: frozenset(Condition))
    offline_after_s: float = 15.0
    online_after_s: float = 2.0
    frozen_after_s: float = 10.0
    after_s: float = 2.0
    clear_after_s: float = 3.0
    learn_s: float = 20.0
    dark_above: float = 0.75
    bright_above: float = 0.6
    blurred_below: float = 0.45
    covered_above: float = 0.35
    moved_above: float = 0.02
    relit_above: float = 0.12
    relearn_after_s: float = 3600.0
    anchor: NDArray[np.uint8] | None = None

    def begins_after_s(self, condition: Condition) -> float:
        """How long a condition must be seen before it counts."""
        return self.frozen_after_s if condition is Condition.FROZEN else self.after_s
