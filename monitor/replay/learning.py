"""Thresholds from a wished rate of false alarms, found on stored time as the calibrator finds them on the line's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from monitor.judging.baseline.memory_window import MemoryWindow
from monitor.judging.baseline.port import BaselineKey
from monitor.judging.baseline.series import Series
from monitor.judging.calibrator import FIT_EVERY_S, SETTLE_MS
from monitor.judging.thresholds.extending import extend
from monitor.judging.thresholds.tail import Tail
from monitor.judging.thresholds.wished import Threshold, around_of, threshold_of
from monitor.live import LiveRules

REFIT_EVERY_MS = 60_000
"""Once there is a threshold, it is found anew so often. The calibrator does so six times as often, and moves it by next
to nothing: the sample reaches back over days."""

Alarms = Callable[[str, int, int], Sequence[tuple[int, int]]]
"""(camera, from_ms, to_ms) -> stretches of alarms, ms since the epoch."""


@dataclass
class _Known:
    epoch: int
    threshold: Threshold
    tail: Tail | None = None
    distance: float | None = None
    fitted_ms: int = 0
    found_ms: int | None = None


class Learning:
    """The thresholds of all baselines of one camera."""

    def __init__(self, rules: LiveRules, window: MemoryWindow, alarms: Alarms) -> None:
        """alarms: the real ones, of which nothing may be learnt."""
        self._rules = rules
        self._window = window
        self._alarms = alarms
        self._method = rules.settings.alerts.method
        self._known: dict[BaselineKey, _Known] = {}

    def learnt(self, key: BaselineKey, epoch: int | None) -> float | None:
        """As serving.insight.Insight.learnt."""
        known = self._known.get(key)
        if known is None or (epoch is not None and known.epoch != epoch):
            return None
        return known.threshold.value

    def look(self, key: BaselineKey) -> None:
        """Take in what is new in this baseline's window; often enough that nothing leaves it unseen."""
        life = self._window.life(key)
        known = self._known.get(key)
        wished = self._rules.wished_per_day(key.camera)
        if known is None or known.epoch != life.epoch:
            known = self._known[key] = _Known(life.epoch, threshold_of(None, wished, self._method))
        series = self._window.series(key, 0 if known.tail is None else known.tail.until_ms + 1)
        if not len(series):
            return
        newest_ms = int(series.times_ms[-1])
        # The same margin as on the line: an alarm may have begun with the newest frames, and not be known yet.
        settle_ms = min(SETTLE_MS, (newest_ms - int(series.times_ms[0])) // 2) if known.tail is None else SETTLE_MS
        series = _until(series, newest_ms - settle_ms)
        if not len(series):
            return
        rule, around = self._rules.alarm, around_of(self._method)
        alarms = self._alarms(key.camera, int(series.times_ms[0]), int(series.times_ms[-1]))
        before, known.tail = known.tail, extend(known.tail, series, rule, alarms, around=around, wished_per_day=wished)
        if known.tail is not None and known.tail is not before:
            self._fit(key, known, known.tail, newest_ms, wished)

    def says(self) -> Mapping[str, str]:
        """By camera and product, what was found in the end, and of how much."""
        return {" ".join(filter(None, (key.camera, key.product))): _told(known) for key, known in self._known.items()}

    def _fit(self, key: BaselineKey, known: _Known, tail: Tail, now_ms: int, wished: float) -> None:
        every_ms = FIT_EVERY_S * 1000 if known.threshold.value is None else REFIT_EVERY_MS
        if now_ms - known.fitted_ms >= every_ms:
            known.fitted_ms = now_ms
            if tail.peaks:  # alarms may have ended since
                known.tail = tail = tail.marked(self._alarms(key.camera, tail.from_ms, tail.until_ms))
            known.threshold = threshold_of(tail, wished, self._method)
            value = known.threshold.value
            known.distance = None if value is None else value - tail.mean
            if value is not None and known.found_ms is None:
                known.found_ms = now_ms
        elif known.distance is not None and tail.around == "mean":
            known.threshold = replace(known.threshold, value=known.distance + tail.mean)


def _until(series: Series, until_ms: int) -> Series:
    keep = series.times_ms <= until_ms
    return Series(series.times_ms[keep], series.scores[keep], series.refused[keep])


def _told(known: _Known) -> str:
    found = known.threshold
    sample = (
        f"{found.peaks} peaks (of {found.needed_peaks} needed) in {found.watched_s / 3600:.1f} h "
        f"(of {found.needed_s / 3600:.1f} h needed)"
    )
    if found.value is None or known.found_ms is None:
        return f"not found: {sample}; the checkpoint's served, or the window's greatest where that was higher"
    since = datetime.fromtimestamp(known.found_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
    return f"{found.value:.4g} at the end, first found {since} UTC, from {sample}"
