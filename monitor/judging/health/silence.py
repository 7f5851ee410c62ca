"""Offline: a camera from which nothing comes, with a grace that ignores blips."""

from __future__ import annotations

from dataclasses import dataclass, replace

from monitor.judging.health.rules import HealthRules
from monitor.judging.health.trouble import Condition, Trouble, trouble_id


@dataclass(slots=True)
class Silence:
    """One camera's silence. Begins after `offline_after_s`; ends when frames have come over `online_after_s` again.

    Times are monotonic, since frames that do not come have no clock.
    """

    camera: str
    rules: HealthRules
    trouble: Trouble | None = None
    _back_s: float | None = None
    _ended_ns: int = 0

    def step(self, now_s: float, silent_s: float, last_frame_ns: int | None, wall_ns: int) -> Trouble | None:
        """The trouble if it began or ended.

        last_frame_ns: the capture time of the last usable frame, from which an offline camera is away; where there was
        none, it is away since it fell silent, by the wall clock.
        """
        if Condition.OFFLINE not in self.rules.watch:
            return None
        away = silent_s >= self.rules.offline_after_s
        if self.trouble is None:
            if not away:
                return None
            # Where only unusable frames came since the last silence, this one is another, with another id.
            known = last_frame_ns is not None and last_frame_ns >= self._ended_ns
            began_ns = last_frame_ns if known and last_frame_ns is not None else wall_ns - round(silent_s * 1e9)
            name = trouble_id(self.camera, Condition.OFFLINE, began_ns)
            limit_s = self.rules.offline_after_s
            self.trouble = Trouble(name, self.camera, Condition.OFFLINE, began_ns, None, silent_s, limit_s)
            self._back_s = None
            return self.trouble
        if away:
            self._back_s = None
            return None
        heard_s = now_s - silent_s
        if self._back_s is None:
            self._back_s = heard_s
        if heard_s - self._back_s < self.rules.online_after_s:
            return None
        began_ns = self.trouble.began_at_ns
        return self.end(wall_ns if last_frame_ns is None or last_frame_ns <= began_ns else last_frame_ns)

    def end(self, at_ns: int) -> Trouble | None:
        """End what holds, at this time by the frames' clock."""
        if self.trouble is None:
            return None
        self._ended_ns = max(self.trouble.began_at_ns + 1, at_ns)
        ended, self.trouble = replace(self.trouble, ended_at_ns=self._ended_ns), None
        return ended
