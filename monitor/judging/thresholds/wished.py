"""From "so many false alarms a day, and no more" to a threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from monitor.judging.thresholds.alarm_level import counted, extrapolated
from monitor.judging.thresholds.tail import Around, Tail

Method = Literal["spot", "dspot", "conformal"]

DAY_S = 86_400.0
LEAST_S = 300.0
"""However many alarms are wished, less says nothing about a line."""

NEEDED_ALARMS: dict[Method, float] = {"spot": 1.0, "dspot": 1.0, "conformal": 4.0}
"""So long must have been watched that so many alarms are wished in that time. Beyond its sample a tail is a guess: with
half of that the rate was still the wished one on average, but in one camera of ten a sixth of it. Counting does not
guess, and errs by a half where it counts four (docs/thresholds.md)."""

NEEDED_PEAKS: dict[Method, int] = {"spot": 20, "dspot": 20, "conformal": 10}
"""Of clusters that belong to no alarm. The shape of a tail is known to 1 / sqrt(peaks), beside what is known before."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """value: an alarm's frames lie above it, as raw scores; None while the sample is too small.

    The sample: `peaks` of clusters that belong to no alarm, of needed_peaks, in watched_s, of needed_s.
    """

    value: float | None
    method: Method
    wished_per_day: float
    peaks: int
    watched_s: float
    needed_s: float
    needed_peaks: int


def around_of(method: Method) -> Around:
    """What the tail of this method is made of."""
    return "mean" if method == "dspot" else "zero"


def threshold_of(tail: Tail | None, wished_per_day: float, method: Method) -> Threshold:
    """What the tail says. ValueError where it is one of another method, or no positive number is wished."""
    if not wished_per_day > 0:
        raise ValueError(f"wished_per_day: expected more than 0, found {wished_per_day}")
    needed_s = max(LEAST_S, NEEDED_ALARMS[method] * DAY_S / wished_per_day)
    needed_peaks = NEEDED_PEAKS[method]
    if tail is None:
        return Threshold(None, method, wished_per_day, 0, 0.0, needed_s, needed_peaks)
    if tail.around != around_of(method):
        raise ValueError(f"a tail around {tail.around}: method {method} takes one around {around_of(method)}")
    seen, alarms = tail.values(alarm=False), tail.values(alarm=True)
    value = None
    if len(seen) >= needed_peaks and tail.watched_s >= needed_s:
        wished = wished_per_day * tail.watched_s / DAY_S / tail.parting.alarms_per_peak
        if method == "conformal":
            value = counted(seen, len(alarms), wished)
        else:
            value = extrapolated(seen, alarms, tail.level, wished)
    if value is not None:
        value += tail.mean  # 0 but for a tail around it
    return Threshold(value, method, wished_per_day, len(seen), tail.watched_s, needed_s, needed_peaks)
