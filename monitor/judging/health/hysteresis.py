"""One condition of one camera in time: quiet, suspected, holding, clearing."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.judging.health.trouble import Condition, Trouble, trouble_id


@dataclass(slots=True)
class Hysteresis:
    """Begins a trouble when the condition was seen for `after_s`, and ends it when it was not for `clear_after_s`.

    Both times lie on the frames' clock. What says the contrary in between takes back twice its own time, or all of it
    where `strict`; a frame that cannot tell counts for nothing. One step never counts for more than half the time, so
    that at least three frames say the same before anything changes, however seldom they come.
    """

    camera: str
    condition: Condition
    after_s: float
    clear_after_s: float
    strict: bool = False
    trouble: Trouble | None = None
    _since_ns: int | None = None
    _for_s: float = 0.0
    _agreed: bool = False

    @property
    def undecided(self) -> bool:
        """Seen, not yet for long enough, and not taken back."""
        return self.trouble is None and self._since_ns is not None

    def step(self, seen: bool | None, at_ns: int, dt_s: float, value: float, limit: float) -> Trouble | None:
        """One frame; the trouble if it began or ended with it. `dt_s`: since the frame before."""
        if seen is None:
            return None
        needed_s = self.after_s if self.trouble is None else self.clear_after_s
        if seen != (self.trouble is None):  # says that things are as they were
            self._for_s = 0.0 if self.strict else self._for_s - 2 * dt_s
            if self._for_s <= 0:
                self._since_ns, self._for_s = None, 0.0
            self._agreed = False
            return None
        if self._since_ns is None:
            self._since_ns = at_ns
        elif self._agreed:
            self._for_s += min(dt_s, needed_s / 2)
        self._agreed = True
        return self._turn(value, limit) if self._for_s >= needed_s else None

    def end(self, at_ns: int) -> Trouble | None:
        """End what holds, by decree; and forget what was suspected."""
        ended, self.trouble = self.trouble, None
        self._reset()
        return None if ended is None else _ended(ended, at_ns)

    def adopt(self, trouble: Trouble) -> None:
        """Go on with a trouble that an earlier process had begun."""
        self.trouble = trouble
        self._reset()

    def _turn(self, value: float, limit: float) -> Trouble:
        assert self._since_ns is not None
        at_ns = self._since_ns
        self._reset()
        if self.trouble is not None:
            ended, self.trouble = self.trouble, None
            return _ended(ended, at_ns)
        name = trouble_id(self.camera, self.condition, at_ns)
        self.trouble = Trouble(name, self.camera, self.condition, at_ns, None, value, limit)
        return self.trouble

    def _reset(self) -> None:
        self._since_ns, self._for_s, self._agreed = None, 0.0, False


def _ended(trouble: Trouble, at_ns: int) -> Trouble:
    return Trouble(
        trouble_id=trouble.trouble_id,
        camera=trouble.camera,
        condition=trouble.condition,
        began_at_ns=trouble.began_at_ns,
        # A camera whose clock was set back must not end before it began.
        ended_at_ns=max(trouble.began_at_ns, at_ns),
        value=trouble.value,
        limit=trouble.limit,
    )
