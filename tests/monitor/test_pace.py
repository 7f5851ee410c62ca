"""How fast a channel may be used."""

from __future__ import annotations

import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from monitor.delivery.pace import BURST_S, Pace


class Clock:
    """Goes on where somebody waits, instead of letting them wait."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Patient(Pace):
    """Waits by the clock of the test."""

    def __init__(self, per_s: float, clock: Clock) -> None:
        super().__init__(per_s, clock)

        class Lifted(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                clock.now_s += timeout or 0.0
                return False

        self._lifted = Lifted()


@given(st.floats(0.5, 100), st.lists(st.floats(0, 20), min_size=1, max_size=60))
def test_no_stretch_has_more_than_the_pace_and_one_burst(per_s: float, pauses: list[float]) -> None:
    clock, turns = Clock(), []
    pace = Patient(per_s, clock)
    for pause_s in pauses:
        clock.now_s += pause_s
        pace.wait()
        turns.append(clock.now_s)
    for first in range(len(turns)):
        for last in range(first, len(turns)):
            assert last - first <= (turns[last] - turns[first] + BURST_S) * per_s + 1e-6


def test_who_waits_goes_on_when_it_is_lifted() -> None:
    pace = Pace(0.001)
    pace.wait()  # the burst
    waiting = threading.Thread(target=lambda: [pace.wait() for _ in range(3)])
    waiting.start()
    time.sleep(0.05)
    pace.lift()
    waiting.join(5)
    assert not waiting.is_alive()
