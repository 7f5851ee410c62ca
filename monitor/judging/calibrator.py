"""Keeps the thresholds up to date: a thread beside the judge, which reads what is new in the windows."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Protocol

import redis
import structlog

from monitor.judging.baseline.port import BaselineKey
from monitor.judging.baseline.series import Series
from monitor.judging.thresholds.extending import extend
from monitor.judging.thresholds.statistic import AlarmRule
from monitor.judging.thresholds.tail import Tail
from monitor.judging.thresholds.wished import Method, Threshold, around_of, threshold_of

log = structlog.get_logger(__name__)

EVERY_S = 2.0
"""Often enough that nothing leaves a window unseen: 100 frames at 25 a second are 4 s."""

FIT_EVERY_S = SAVE_EVERY_S = 10.0
SETTLE_MS = 5_000
"""Frames newer than that are left for the next time: they may still be overtaken by late ones, and an alarm that begins
with them may not have been written down yet."""


class AnyLife(Protocol):
    """What is asked of baseline.life.Life."""

    @property
    def epoch(self) -> int: ...
    @property
    def newest_ms(self) -> int | None: ...


class Store(Protocol):
    """What is asked of baseline.store.BaselineStore. Each may raise redis.RedisError."""

    def life(self, key: BaselineKey) -> AnyLife: ...
    def series(self, key: BaselineKey, since_ms: int = 0) -> Series: ...
    def tail(self, key: BaselineKey) -> dict[str, Any] | None: ...
    def save_tail(self, key: BaselineKey, document: dict[str, Any], epoch: int) -> bool: ...


@dataclass(frozen=True, slots=True)
class Found:
    """The threshold of a baseline, and the epoch of the window that it was taken from."""

    threshold: Threshold
    epoch: int


@dataclass
class _Known:
    epoch: int
    tail: Tail | None
    found: Found
    settle_ms: int = 0
    to_fit: bool = True
    to_save: bool = False
    reached_s: float = -math.inf
    fitted_s: float = -math.inf
    saved_s: float = field(default_factory=time.monotonic)
    distance: float | None = None
    """The fitted threshold, without the moving mean."""


Alarms = Callable[[str, int, int], Sequence[tuple[int, int]]]
"""(camera, from_ms, to_ms) -> the alarms in it, from and to, those left out that somebody has called false."""


class Calibrator:
    """`found` may be read from any thread at any time; it is replaced as a whole.

    A baseline whose epoch has risen (reset, or learnt anew) begins with an empty tail. While Redis is away everything
    stays as it was found last.
    """

    def __init__(
        self,
        store: Store,
        keys: Callable[[], Mapping[BaselineKey, float]],
        alarms: Alarms,
        rule: AlarmRule,
        method: Method = "spot",
        *,
        every_s: float = EVERY_S,
    ) -> None:
        """keys: the baselines that are fed at present, each with its wished false alarms a day. `alarms` may raise
        redis.RedisError. rule and method may be set between two rounds; a tail of another rule begins anew."""
        self._store = store
        self._keys = keys
        self._alarms = alarms
        self.rule = rule
        self.method: Method = method
        self._every_s = every_s
        self._known: dict[BaselineKey, _Known] = {}
        self._found: Mapping[BaselineKey, Found] = MappingProxyType({})
        self._away = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def found(self) -> Mapping[BaselineKey, Found]:
        """What is known of each baseline that is fed, also where that is not yet enough for a threshold."""
        return self._found

    def start(self) -> None:
        """Look round now, so that what was kept is there from the first frame on, and then again and again."""
        self._guarded_round()
        self._thread = threading.Thread(target=self._run, name="calibrator", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Once the round under way has ended, keep what was not kept yet."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(10)
            if self._thread.is_alive():
                return
        try:
            for key, known in list(self._known.items()):
                if known.to_save:
                    self._save(key, known)
        except redis.RedisError as error:
            log.warning("thresholds_not_kept", error=type(error).__name__)

    def look_round(self) -> None:
        """One pass over the baselines that are fed. Raises nothing for Redis."""
        wished = dict(self._keys())
        for key in self._known.keys() - wished.keys():
            del self._known[key]
        try:
            for key, per_day in wished.items():
                if self._stop.is_set():
                    break
                self._look_at(key, per_day)
        except redis.RedisError as error:
            if not self._away:
                log.warning("thresholds_wait_for_redis", error=type(error).__name__)
            self._away = True
        else:
            if self._away:
                log.info("thresholds_go_on")
            self._away = False
        self._found = MappingProxyType({key: known.found for key, known in self._known.items()})

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self._guarded_round()

    def _guarded_round(self) -> None:
        try:
            self.look_round()
        except Exception:
            log.exception("calibrator_failed")

    def _look_at(self, key: BaselineKey, per_day: float) -> None:
        life = self._store.life(key)
        known = self._known.get(key)
        if known is None or known.epoch != life.epoch:
            tail = self._kept(key)
            known = _Known(life.epoch, tail, Found(threshold_of(tail, per_day, self.method), life.epoch))
            self._known[key] = known
        elif known.tail is not None and known.tail.around != around_of(self.method):
            known.tail, known.distance, known.to_fit = None, None, True
        newest_ms = life.newest_ms
        if newest_ms is not None and (known.tail is None or newest_ms > known.tail.until_ms):
            self._extend(key, known, per_day)
        asked = known.found.threshold
        other = (asked.wished_per_day, asked.method) != (per_day, self.method)
        now_s = time.monotonic()
        if other or (known.to_fit and now_s - known.fitted_s >= FIT_EVERY_S):
            self._fit(key, known, per_day)
            known.fitted_s, known.to_fit = now_s, False
        elif known.tail is not None and known.distance is not None and known.tail.around == "mean":
            moved = replace(asked, value=known.distance + known.tail.mean)
            known.found = Found(moved, known.epoch)
        if known.to_save and now_s - known.saved_s >= SAVE_EVERY_S:
            self._save(key, known)

    def _kept(self, key: BaselineKey) -> Tail | None:
        doc = self._store.tail(key)
        if doc is None:
            return None
        try:
            tail = Tail.from_dict(doc)
        except ValueError as error:
            log.warning("threshold_begun_anew", camera=key.camera, product=key.product, error=str(error))
            return None
        return tail if (tail.rule, tail.around) == (self.rule, around_of(self.method)) else None

    def _extend(self, key: BaselineKey, known: _Known, per_day: float) -> None:
        now_s = time.monotonic()
        since_ms = 0 if known.tail is None else known.tail.until_ms + 1
        if known.settle_ms < SETTLE_MS and now_s - known.reached_s >= FIT_EVERY_S:
            since_ms, known.reached_s = 0, now_s  # the whole of it tells how far the window reaches
        series = self._store.series(key, since_ms)
        if not len(series):
            return
        if since_ms == 0:
            known.settle_ms = min(SETTLE_MS, int(series.times_ms[-1] - series.times_ms[0]) // 2)
        series = _until(series, int(series.times_ms[-1]) - known.settle_ms)
        if not len(series):
            return
        alarms = self._alarms(key.camera, int(series.times_ms[0]), int(series.times_ms[-1]))
        around = around_of(self.method)
        before = known.tail
        known.tail = extend(before, series, self.rule, alarms, around=around, wished_per_day=per_day)
        if known.tail is not before:
            known.to_fit = known.to_save = True

    def _fit(self, key: BaselineKey, known: _Known, per_day: float) -> None:
        if known.tail is not None and known.tail.peaks:  # alarms may have ended, or been called false, since
            known.tail = known.tail.marked(self._alarms(key.camera, known.tail.from_ms, known.tail.until_ms))
        threshold = threshold_of(known.tail, per_day, self.method)
        mean = known.tail.mean if known.tail is not None else 0.0
        known.distance = None if threshold.value is None else threshold.value - mean
        had = known.found.threshold.value is not None
        known.found = Found(threshold, known.epoch)
        if threshold.value is not None and not had:
            log.info("threshold_found", camera=key.camera, product=key.product, value=round(threshold.value, 6))

    def _save(self, key: BaselineKey, known: _Known) -> None:
        if known.tail is None or self._store.save_tail(key, known.tail.to_dict(), known.epoch):
            known.to_save, known.saved_s = False, time.monotonic()
        else:  # reset or learnt anew meanwhile: what was read may belong to either
            self._known.pop(key, None)


def _until(series: Series, until_ms: int) -> Series:
    keep = series.times_ms <= until_ms
    return Series(series.times_ms[keep], series.scores[keep], series.refused[keep])
