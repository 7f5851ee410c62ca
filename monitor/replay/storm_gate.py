"""The storm cap on stored time."""

from __future__ import annotations

from collections import deque


class StormGate:
    """As alerting.storm.StormGuard decides: `max_alerts` episodes may begin within `within_s`, over all cameras.

    On the line that is the time on the wall, since what floods people is how many alerts reach them at once; here it
    is when the frames were captured, which is the same but for backlogs.
    """

    def __init__(self, max_alerts: int, within_s: float) -> None:
        self._max_alerts = max_alerts
        self._within_ns = round(within_s * 1e9)
        self._begun_ns: deque[int] = deque()

    def admit(self, at_ns: int) -> bool:
        """Whether an episode may begin now. Where it may, it does. Times come in order."""
        while self._begun_ns and self._begun_ns[0] <= at_ns - self._within_ns:
            self._begun_ns.popleft()
        if len(self._begun_ns) >= self._max_alerts:
            return False
        self._begun_ns.append(at_ns)
        return True
