"""A tail taken on along a series: what is new of it, piece by piece."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from monitor.judging.thresholds.clusters import Clusters
from monitor.judging.thresholds.statistic import AlarmRule, Statistic
from monitor.judging.thresholds.tail import Around, Peak, Stretches, Tail, peak_of, within

START_FRAMES = 200
"""From so many frames the start level is taken. It need not be right: it is raised as peaks gather."""

START_SHARE = 0.02
"""Of the statistic's values lie above the start level, as in Siffer et al."""
SHARE_AFTER_STARVING = 0.05

MOST_PEAKS, KEPT_PEAKS = 200, 100
"""At more normal peaks than that the level is raised to leave so many: the sample comes to reach ever further back, and
the level to lie where the tail is one. With 1000 and 500 the rate was 2.4 to 2.7 times the wished one at twice the
sample, with these 0.9 to 1.1 times (16 h of normal, lognormal and gamma scores)."""

MOST_ALARMS = 100
"""Peaks in alarms: only how low they reach and that they are many matters."""

REMEMBERED_S = 7 * 86_400.0
"""Of watched time; older peaks go, and their time with them."""

PARTED_FROM_S = 60.0
"""Nobody watched between two frames that are further apart."""

MEAN_S = 300.0
"""The time constant of the moving mean, in watched time."""

DAY_S = 86_400.0
ENOUGH = 10.0
"""The level is raised no further than to so many times the wished rate, and so many wished alarms are remembered."""


class Scores(Protocol):
    """monitor.judging.baseline.series.Series is one."""

    @property
    def times_ms(self) -> NDArray[np.int64]: ...
    @property
    def scores(self) -> NDArray[np.float64]: ...


def extend(
    tail: Tail | None,
    series: Scores,
    rule: AlarmRule,
    excluded: Stretches = (),
    *,
    around: Around = "zero",
    wished_per_day: float = 3.0,
) -> Tail | None:
    """The tail with what `series` holds after its `until_ms`; None while there are too few frames to begin one.

    excluded: the alarms in it that nobody has called false. Their peaks are kept, marked as doubtful, and their time
    is not counted as watched. A tail of another rule is begun anew.
    """
    times, scores = _usable(series)
    if tail is not None and (tail.rule != rule or tail.around != around):
        tail = None
    if tail is None:
        tail = _begin(times, scores, rule, around, START_SHARE)
        if tail is None:
            return None
    fresh = times > tail.until_ms
    if not fresh.any():
        return tail
    tail = _run(tail, times[fresh], scores[fresh], excluded)
    if _starves(tail):
        return (
            _run(begun, times, scores, excluded)
            if (begun := _begin(times, scores, rule, around, SHARE_AFTER_STARVING))
            else tail
        )
    tail = _bounded(tail, wished_per_day)
    return replace(tail, parting=tail.parting.settled(np.array([p.value for p in tail.peaks])))


def _usable(series: Scores) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    good = np.isfinite(series.scores)
    times, scores = series.times_ms[good], series.scores[good]
    if times.size and bool((np.diff(times) < 0).any()):
        order = np.argsort(times, kind="stable")
        times, scores = times[order], scores[order]
    return times, scores


def _begin(
    times: NDArray[np.int64], scores: NDArray[np.float64], rule: AlarmRule, around: Around, share: float
) -> Tail | None:
    """An empty tail whose level is taken from these frames; none of them is in it yet."""
    if times.size < max(START_FRAMES, rule.of + 1):
        return None
    mean = float(np.median(scores)) if around == "mean" else 0.0
    values = Statistic(rule).take(times, distances(times, scores, mean, None)[0] if around == "mean" else scores)
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    return Tail(rule, around, float(np.quantile(values, 1 - share)), share, int(times[0]), int(times[0]) - 1, mean=mean)


def _run(tail: Tail, times: NDArray[np.int64], scores: NDArray[np.float64], excluded: Stretches) -> Tail:
    """Take these frames in, all newer than the tail."""
    spans = np.array(sorted(excluded), dtype=np.int64).reshape(-1, 2)
    alarming = within(times, spans)
    gaps_s = np.diff(times, prepend=max(tail.until_ms, tail.from_ms)) / 1000
    clock_s = tail.clock_s + np.cumsum(np.where((gaps_s > PARTED_FROM_S) | alarming, 0.0, gaps_s))
    mean = tail.mean
    if tail.around == "mean":
        scores, mean = distances(times, scores, mean, alarming)
    statistic = Statistic.from_dict(tail.rule, tail.statistic) if tail.statistic else Statistic(tail.rule)
    clusters = Clusters.from_dict(tail.rule, tail.clusters) if tail.clusters else Clusters(tail.rule)
    values = statistic.take(times, scores)
    clusters.take(tail.level, times, scores, values)
    if not clusters.firing and int(times[-1]) >= clusters.cool_until_ms:
        clusters.finish()
    ended = [c for c in clusters.closed if c.peak > tail.level]  # one that began before the level was raised may not
    grown = replace(
        tail,
        until_ms=int(times[-1]),
        clock_s=float(clock_s[-1]),
        frames=tail.frames + times.size,
        above=tail.above + int((values > tail.level).sum()),
        mean=mean,
        peaks=(*tail.peaks, *(peak_of(c, times, clock_s, tail.clock_s) for c in ended)),
        parting=tail.parting.take(tail.rule, times, scores, values, ended),
        statistic=statistic.to_dict(),
        clusters=clusters.to_dict(),
    )
    return _marked_new(grown, len(tail.peaks), spans)


def _marked_new(tail: Tail, old: int, spans: NDArray[np.int64]) -> Tail:
    """Only the new peaks are held against the alarms, which may be those of this piece alone."""
    if not spans.size or len(tail.peaks) == old:
        return tail
    new: list[Peak] = list(tail.peaks[old:])
    inside = within(np.array([p.at_ms for p in new], dtype=np.int64), spans)
    marked = (replace(p, alarm=bool(now)) for p, now in zip(new, inside, strict=True))
    return replace(tail, peaks=(*tail.peaks[:old], *marked))


def distances(
    times: NDArray[np.int64], scores: NDArray[np.float64], mean: float, alarming: NDArray[np.bool_] | None
) -> tuple[NDArray[np.float64], float]:
    """What each score lies above the moving mean of those before it; and the mean after the last one."""
    steps_s = np.minimum(np.diff(times, prepend=times[0]) / 1000, PARTED_FROM_S)
    weights = -np.expm1(-steps_s / MEAN_S)
    if alarming is not None:
        weights = np.where(alarming, 0.0, weights)
    result = np.empty(scores.size)
    for index, (score, weight) in enumerate(zip(scores.tolist(), weights.tolist(), strict=True)):
        result[index] = score - mean
        mean += weight * (score - mean)
    return result, mean


def _starves(tail: Tail) -> bool:
    """The level was taken from frames that lay unusually high: nearly nothing reaches it."""
    return not tail.raised and tail.frames >= 20 * START_FRAMES and tail.above < 0.1 * tail.share * tail.frames


def _bounded(tail: Tail, wished_per_day: float) -> Tail:
    """At most MOST_PEAKS, none from too long ago, and of those in alarms the lowest ones."""
    remembered_s = max(REMEMBERED_S, ENOUGH * DAY_S / wished_per_day)
    if tail.watched_s > remembered_s:
        tail = _let_go(tail, tail.clock_s - remembered_s)
    doubtful = sorted(p.value for p in tail.peaks if p.alarm)
    if len(doubtful) > MOST_ALARMS:
        highest = doubtful[MOST_ALARMS - 1]
        tail = replace(tail, peaks=tuple(p for p in tail.peaks if not p.alarm or p.value <= highest))
    normal = [p for p in tail.peaks if not p.alarm]
    if len(normal) <= MOST_PEAKS:
        return tail
    level = sorted(p.value for p in normal)[-KEPT_PEAKS - 1]
    kept = sum(p.value > level for p in normal)
    rare = kept * DAY_S / max(tail.watched_s, 1e-9) < ENOUGH * wished_per_day
    if rare or kept < KEPT_PEAKS // 2:  # where most peaks are alike there is no level to raise it to
        return _let_go(tail, normal[len(normal) // 10].clock_s)
    peaks = tuple(p for p in tail.peaks if p.value > level)
    return replace(tail, level=level, peaks=peaks, frames=0, above=0, raised=tail.raised + 1)


def _let_go(tail: Tail, clock_s: float) -> Tail:
    """Forget what was watched up to then."""
    return replace(tail, clock_from_s=clock_s, peaks=tuple(p for p in tail.peaks if p.clock_s > clock_s))
