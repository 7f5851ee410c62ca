"""How long to wait before trying again."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass
class Backoff:
    """Exponential back-off with full jitter: each wait is drawn from [0, ceiling], the ceiling doubling to a limit.

    Full jitter keeps many cameras that went away together from coming back together.
    """

    first_s: float = 0.5
    limit_s: float = 30.0
    _ceiling_s: float = field(default=0.0, init=False)

    def next_s(self) -> float:
        """The next wait in seconds; at least a tenth of the first ceiling, so that nothing spins."""
        self._ceiling_s = min(self.limit_s, max(self.first_s, self._ceiling_s * 2))
        return max(self.first_s / 10, random.uniform(0, self._ceiling_s))

    def reset(self) -> None:
        """After something worked for a while."""
        self._ceiling_s = 0.0
