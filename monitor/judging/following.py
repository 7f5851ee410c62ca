"""The baselines that thresholds are found for: each one's tail taken on, fitted, kept and found again."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import redis
import structlog

from monitor.judging.baseline.port import BaselineKey
from monitor.judging.baseline.series import Series
from monitor.judging.thresholds.extending import extend
from monitor.judging.thresholds.sources import Alarms, Store
from monitor.judging.thresholds.statistic import AlarmRule
from monitor.judging.thresholds.tail import Tail
from monitor.judging.thresholds.wished import Method, Threshold, around_of, threshold_of

log = structlog.get_logger(__name__)

FIT_EVERY_S = SAVE_EVERY_S = 10.0
SETTLE_MS = 5_000
"""Frames newer than that are left for the next time: they may still be overtaken by late ones, and an alarm that begins
with them may not have been written down yet."""

How = tuple[AlarmRule, Method]


@dataclass(frozen=True, slots=True)
class Found:
    """The threshold of a baseline, and the epoch of the window that it was taken from."""

    threshold: Threshold
    epoch: int


@dataclass
class Known:
    """fed: frames are held against it here. Otherwise only what was found is kept here, and the tail in the store."""

    epoch: int
    found: Found
    fed: bool = False
    fed_s: float = -math.inf
    tail: Tail | None = None
    settle_ms: int = 0
    to_fit: bool = True
    unsaved_s: float | None = None
    """Since when there has been something to save."""
    reached_s: float = -math.inf
    fitted_s: float = -math.inf
    fitted_ms: int | None = None
    """How far the tail reached that the threshold was taken from."""
    distance: float | None = None
    """The fitted threshold, without the moving mean."""


class Following:
    """One thread at a time. What is asked of the store and the alarms may raise redis.RedisError."""

    def __init__(self, store: Store, wished: Callable[[str], float], alarms: Alarms) -> None:
        """wished: false alarms a day, by camera."""
        self._store = store
        self._wished = wished
        self._alarms = alarms
        self.known: dict[BaselineKey, Known] = {}

    def look_at(self, key: BaselineKey, how: How) -> None:
        """A baseline that is fed."""
        method, per_day = how[1], self._wished(key.camera)
        life = self._store.life(key)
        known = self.known.get(key)
        if known is None or known.epoch != life.epoch or not known.fed:
            known = self._load(key, life.epoch, how, per_day)
            known.fed = known.to_fit = True
        elif known.tail is not None and known.tail.around != around_of(method):
            known.tail, known.distance, known.to_fit = None, None, True
        newest_ms = life.newest_ms
        if newest_ms is not None and (known.tail is None or newest_ms > known.tail.until_ms):
            self._extend(key, known, how, per_day)
        asked = known.found.threshold
        other = (asked.wished_per_day, asked.method) != (per_day, method)
        now_s = known.fed_s = time.monotonic()
        if other or (known.to_fit and now_s - known.fitted_s >= FIT_EVERY_S):
            self._mark(key, known)
            self._fit(known, method, per_day)
            if known.found.threshold.value is not None and asked.value is None:
                value = round(known.found.threshold.value, 6)
                log.info("threshold_found", camera=key.camera, product=key.product, value=value)
            known.fitted_s, known.to_fit = now_s, False
        elif known.tail is not None and known.distance is not None and known.tail.around == "mean":
            moved = replace(asked, value=known.distance + known.tail.mean)
            known.found = Found(moved, known.epoch)
        if known.unsaved_s is not None and now_s - known.unsaved_s >= SAVE_EVERY_S:
            self.save(key, known)

    def leave(self, key: BaselineKey, how: How) -> None:
        """Another product comes, or another worker has the camera: take in the rest, and keep it for either."""
        self.look_at(key, how)
        known = self.known.get(key)
        if known is not None and known.unsaved_s is not None:
            self.save(key, known)
        if known is not None:
            known.fed, known.tail = False, None

    def look_up(self, key: BaselineKey, how: How) -> None:
        """A baseline that is not fed here: the threshold that its tail in the store gives."""
        known = self._load(key, self._store.life(key).epoch, how, self._wished(key.camera))
        if known.fed_s == -math.inf and known.tail is None:
            del self.known[key]
        known.tail = None

    def _load(self, key: BaselineKey, epoch: int, how: How, per_day: float) -> Known:
        """With the tail that is in the store, and the threshold that it gives."""
        tail = self._kept(key, how)
        known = self.known.get(key)
        if known is None or known.epoch != epoch:
            known = Known(epoch, Found(threshold_of(None, per_day, how[1]), epoch))
        asked = known.found.threshold
        known.tail = tail
        until_ms = None if tail is None else tail.until_ms
        if (known.fitted_ms, asked.wished_per_day, asked.method) != (until_ms, per_day, how[1]):
            self._fit(known, how[1], per_day)
        self.known[key] = known
        return known

    def _kept(self, key: BaselineKey, how: How) -> Tail | None:
        try:
            doc = self._store.tail(key)
            tail = None if doc is None else Tail.from_dict(doc)
        except (ValueError, redis.ResponseError) as error:
            if isinstance(error, redis.ResponseError) and "WRONGTYPE" not in str(error):
                raise
            log.warning("threshold_begun_anew", camera=key.camera, product=key.product, error=str(error))
            return None
        return None if tail is None or (tail.rule, tail.around) != (how[0], around_of(how[1])) else tail

    def _extend(self, key: BaselineKey, known: Known, how: How, per_day: float) -> None:
        rule, method = how
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
        alarms = self._alarms(key.camera, int(series.times_ms[0]), int(series.times_ms[-1])).stretches
        before = known.tail
        known.tail = extend(before, series, rule, alarms, around=around_of(method), wished_per_day=per_day)
        if known.tail is not before:
            known.to_fit = True
            _unsaved(known)

    def _mark(self, key: BaselineKey, known: Known) -> None:
        """Alarms may have ended, or been called false, since."""
        before = known.tail
        if before is not None and before.peaks:
            alarms = self._alarms(key.camera, before.from_ms, before.until_ms)
            known.tail = before.marked(alarms.stretches, alarms.since_ms)
            if known.tail is not before:
                _unsaved(known)

    def _fit(self, known: Known, method: Method, per_day: float) -> None:
        tail = known.tail
        threshold = threshold_of(tail, per_day, method)
        known.distance = None if tail is None or threshold.value is None else threshold.value - tail.mean
        known.found = Found(threshold, known.epoch)
        known.fitted_ms = None if tail is None else tail.until_ms

    def save(self, key: BaselineKey, known: Known) -> None:
        if known.tail is None or self._store.save_tail(key, known.tail.to_dict(), known.epoch):
            known.unsaved_s = None
        else:  # reset or learnt anew meanwhile: what was read may belong to either
            self.known.pop(key, None)


def _unsaved(known: Known) -> None:
    if known.unsaved_s is None:
        known.unsaved_s = time.monotonic()


def _until(series: Series, until_ms: int) -> Series:
    keep = series.times_ms <= until_ms
    return Series(series.times_ms[keep], series.scores[keep], series.refused[keep])
