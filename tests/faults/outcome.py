"""What an experiment found out: a row of the reliability table."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.faults.process import until

NOTICE_S = 60.0
RECOVER_S = 90.0


@dataclass(frozen=True)
class Outcome:
    """One fault. `noticed_s` counts from its begin, `recovered_s` from its end; `told` is where it could be read."""

    fault: str
    lasted_s: float
    noticed_s: float | None
    told: str
    recovered_s: float
    meanwhile: str

    def line(self) -> str:
        noticed = "nothing to notice" if self.noticed_s is None else f"noticed after {self.noticed_s:.1f} s"
        return (
            f"{self.fault}: lasted {self.lasted_s:.1f} s, {noticed} ({self.told}), "
            f"recovered after {self.recovered_s:.1f} s; {self.meanwhile}"
        )


@dataclass(frozen=True)
class Account:
    """One camera of one service, at rest. `sent`: frames that the broker confirmed, where they come from a topic."""

    run: str
    camera: str
    sent: int | None
    captured: int
    scored: int | None
    dropped: dict[str, int]
    failed: dict[str, int]


class Fault:
    """Measures one fault: `noticed` after it was made, `over` when it was mended, `recovered` after that.

    Every wait asserts, and says what it waited for.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._began_s = time.monotonic()
        self._noticed_s: float | None = None
        self._told = "-"
        self._over_s = self._began_s

    def noticed(self, ways: Mapping[str, Callable[[], bool]], timeout_s: float = NOTICE_S) -> None:
        """Wait until the service tells of the fault in one of the ways, by the names that the table gives them."""
        told: list[str] = []

        def somewhere() -> bool:
            told.extend(way for way, condition in ways.items() if condition())
            return bool(told)

        seen = until(somewhere, timeout_s)
        assert seen is not None, f"{self._name}: not noticed within {timeout_s:.0f} s by {' or '.join(ways)}"
        self._noticed_s, self._told = time.monotonic() - self._began_s, " and ".join(told)

    def lasts(self, outage_s: float) -> None:
        """Wait until the fault is `outage_s` old."""
        time.sleep(max(0.0, self._began_s + outage_s - time.monotonic()))

    def over(self) -> None:
        """The cause is mended as of now."""
        self._over_s = time.monotonic()

    def recovered(self, condition: Callable[[], bool], what: str, timeout_s: float = RECOVER_S) -> float:
        """Wait until all is well again; seconds since the fault was over."""
        seen = until(condition, timeout_s)
        assert seen is not None, f"{self._name}: not recovered within {timeout_s:.0f} s: {what}"
        return time.monotonic() - self._over_s

    def outcome(self, recovered_s: float, meanwhile: str) -> Outcome:
        return Outcome(self._name, self._over_s - self._began_s, self._noticed_s, self._told, recovered_s, meanwhile)
