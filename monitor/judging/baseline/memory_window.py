"""The rolling window in plain Python: what window.lua must agree with, and what a replay judges by."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from monitor.judging.baseline.checking import check_rule, check_score
from monitor.judging.baseline.life import Kept, Life, phase_of
from monitor.judging.baseline.port import (
    AHEAD_MS,
    HIGH_SHARE,
    LOW_SHARE,
    BaselineKey,
    Criterion,
    Entry,
    Fate,
    Mode,
    Phase,
    Range,
    Rule,
    WindowRules,
    normalise,
    top_of,
)
from monitor.judging.baseline.series import Series, series_of


class MemoryWindow:
    """A RollingWindow of this process alone. `rules` may be set anew between two batches. One thread at a time."""

    def __init__(self, rules: WindowRules, clock: Callable[[], float] | None = None) -> None:
        """clock: s since the epoch, to find frames captured by one that ran ahead; None: all times are believed."""
        self.rules = rules
        self._clock = clock
        self._baselines: dict[BaselineKey, _Baseline] = {}

    def judge(self, entries: Sequence[Entry]) -> list[Range]:
        """ValueError for an entry whose score or rule is no finite number; none of the batch has entered then."""
        for entry in entries:
            check_score(entry.score)
            check_rule(entry.rule)
        clock_ms = None if self._clock is None else round(self._clock() * 1000)
        return [self._at(entry.key).judge(entry, self.rules, clock_ms) for entry in entries]

    def series(self, key: BaselineKey, since_ms: int = 0) -> Series:
        """As BaselineStore.series."""
        b = self._baselines.get(key) or _Baseline()
        window, out = b.window.since(since_ms), b.out.since(since_ms)
        return series_of([t for t, _ in window], [s for _, s in window], [t for t, _ in out], [s for _, s in out])

    def life(self, key: BaselineKey) -> Life:
        """As BaselineStore.life."""
        return (self._baselines.get(key) or _Baseline()).life(key, self.rules)

    def reset(self, key: BaselineKey) -> None:
        """As BaselineStore.reset."""
        self._baselines[key] = _Baseline(epoch=self._at(key).epoch + 1)

    def freeze(self, key: BaselineKey, frozen: bool = True) -> None:
        """As BaselineStore.freeze and, with False, thaw."""
        self._at(key).frozen = frozen

    def forget_between(self, camera: str, from_ms: int, to_ms: int) -> int:
        """As BaselineStore.forget_between."""
        return sum(b.forget_between(from_ms, to_ms) for key, b in self._baselines.items() if key.camera == camera)

    def _at(self, key: BaselineKey) -> _Baseline:
        found = self._baselines.get(key)
        if found is None:
            found = self._baselines[key] = _Baseline()
        return found


class _Frames:
    """Frames by name, by time and by score, as two sorted sets with the same members would hold them."""

    def __init__(self) -> None:
        self.by_time: list[tuple[int, bytes]] = []
        self.scores: list[float] = []
        self._frames: dict[bytes, tuple[int, float]] = {}

    def __len__(self) -> int:
        return len(self.by_time)

    def __contains__(self, name: bytes) -> bool:
        return name in self._frames

    def add(self, name: bytes, time_ms: int, score: float) -> None:
        self._frames[name] = (time_ms, score)
        insort(self.by_time, (time_ms, name))
        insort(self.scores, score)

    def drop(self, first: int, last: int) -> list[bytes]:
        """The frames from the first to before the last one, in the order of time, leave."""
        gone = [name for _, name in self.by_time[first:last]]
        del self.by_time[first:last]
        for name in gone:
            del self.scores[bisect_left(self.scores, self._frames.pop(name)[1])]
        return gone

    def at(self, time_ms: float) -> int:
        """How many are older."""
        return bisect_left(self.by_time, (time_ms, b""))

    def since(self, time_ms: int) -> list[tuple[int, float]]:
        return [self._frames[name] for _, name in self.by_time[self.at(time_ms) :]]

    def at_least(self, score: float) -> int:
        return len(self.scores) - bisect_left(self.scores, score)

    def quantile(self, share: float) -> float:
        """As numpy does it: linear between the neighbours, from the nearer one."""
        position = (len(self.scores) - 1) * share
        rank = math.floor(position)
        part = position - rank
        a = self.scores[rank]
        b = self.scores[min(rank + 1, len(self.scores) - 1)]
        return b - (b - a) * (1 - part) if part >= 0.5 else a + (b - a) * part


@dataclass(slots=True)
class _Baseline:
    epoch: int = 0
    window: _Frames = field(default_factory=_Frames)
    out: _Frames = field(default_factory=_Frames)
    refused: int = 0
    entered: int = 0
    frozen: bool = False
    kept: Kept | None = None
    began_ms: int | None = None
    ready_ms: int | None = None
    newest_ms: int | None = None
    relearnt: int = 0
    relearnt_ms: int | None = None

    def judge(self, entry: Entry, rules: WindowRules, clock_ms: int | None) -> Range:
        late = False
        if not (entry.keep_out or self.frozen):
            if clock_ms is not None:
                self._set_back(entry.time_ms, clock_ms, rules)
            late = entry.time_ms < self._grow_old(entry.time_ms, rules)
        phase = self._phase(rules)
        low, high, limit, anomalous, out = self._hold(entry.score, entry.rule, phase, rules.mode)
        window = self.window
        scores = window.scores
        count, refused, epoch = len(scores), self.refused, self.epoch
        least, greatest = (scores[0], scores[-1]) if scores else (None, None)
        q_low, q_high = (window.quantile(LOW_SHARE), window.quantile(HIGH_SHARE)) if scores else (None, None)
        at_least = window.at_least(entry.score)
        fate = self._fate(entry, late, out, rules)
        return Range(
            count=count,
            least=least,
            greatest=greatest,
            q_low=q_low,
            q_high=q_high,
            at_least=at_least,
            low=low,
            high=high,
            limit=limit,
            anomalous=anomalous,
            phase=phase,
            fate=fate,
            refused=refused,
            epoch=epoch,
            frozen=self.frozen,
        )

    def life(self, key: BaselineKey, rules: WindowRules) -> Life:
        return Life(
            key=key,
            phase=self._phase(rules),
            count=len(self.window),
            needed=rules.warm_up_frames,
            refused=self.refused,
            relearn_after=rules.relearn_after,
            frozen=self.frozen,
            epoch=self.epoch,
            began_ms=self.began_ms,
            ready_ms=self.ready_ms,
            newest_ms=self.newest_ms,
            relearnt=self.relearnt,
            relearnt_ms=self.relearnt_ms,
            kept=self.kept,
        )

    def forget_between(self, from_ms: int, to_ms: int) -> int:
        from_window = self.window.drop(self.window.at(from_ms), self.window.at(to_ms + 1))
        from_out = self.out.drop(self.out.at(from_ms), self.out.at(to_ms + 1))
        self.refused = max(0, self.refused - len(from_out))
        return len(from_window) + len(from_out)

    def _phase(self, rules: WindowRules) -> Phase:
        return phase_of(len(self.window), self.refused, self.kept is not None, rules)

    def _set_back(self, time_ms: int, clock_ms: int, rules: WindowRules) -> None:
        """Frames captured by a clock that ran ahead leave. Otherwise all others would be late until the right clock has
        come that far."""
        horizon_ms = max(clock_ms, time_ms) + AHEAD_MS
        if self.newest_ms is None or self.newest_ms <= horizon_ms:
            return
        window, out = self.window, self.out
        left = window.at(horizon_ms + 1)
        if len(window) >= rules.warm_up_frames > left:
            self._keep(time_ms)  # only their times were wrong
        window.drop(left, len(window))
        gone = out.drop(out.at(horizon_ms + 1), len(out))
        self.refused = max(0, self.refused - len(gone))
        self.newest_ms = max((frames.by_time[-1][0] for frames in (window, out) if len(frames)), default=None)
        if self.relearnt_ms is not None and self.relearnt_ms > horizon_ms:
            self.relearnt_ms = clock_ms

    def _grow_old(self, time_ms: int, rules: WindowRules) -> float:
        """What has become too old leaves; from when on a frame is not too old."""
        before = time_ms if self.newest_ms is None else self.newest_ms
        self.newest_ms = max(before, time_ms)
        oldest_ms = self.newest_ms - round(rules.max_age_s * 1000)
        gone = self.window.at(oldest_ms)
        if len(self.window) >= rules.warm_up_frames > len(self.window) - gone:
            self._keep(before)
        self.window.drop(0, gone)
        self.out.drop(0, self.out.at(oldest_ms))
        return oldest_ms

    def _keep(self, at_ms: int) -> None:
        scores = self.window.scores
        self.kept = Kept(
            count=len(scores),
            least=scores[0],
            greatest=scores[-1],
            q_low=self.window.quantile(LOW_SHARE),
            q_high=self.window.quantile(HIGH_SHARE),
            at_ms=at_ms,
        )

    def _hold(self, score: float, rule: Rule, phase: Phase, mode: Mode) -> tuple[float, float, float, bool, bool]:
        """low, high, limit, whether the score is anomalous, and whether it is to stay out of the window."""
        low, high, limit = rule.low, rule.high, rule.value
        top = -math.inf
        if mode is not Mode.FROZEN and phase not in {Phase.COLD, Phase.WARMING}:
            if phase is Phase.STALE:
                assert self.kept is not None
                least, greatest = self.kept["least"], self.kept["greatest"]
                q_low, q_high = self.kept["q_low"], self.kept["q_high"]
            else:
                least, greatest = self.window.scores[0], self.window.scores[-1]
                q_low, q_high = self.window.quantile(LOW_SHARE), self.window.quantile(HIGH_SHARE)
            top = top_of(q_low, q_high)
            low, high = (q_low, top) if mode is Mode.QUANTILE else (least, greatest)
        if rule.criterion is Criterion.SHARE:
            anomalous = normalise(score, low, high) >= rule.value
            return low, high, low + rule.value * (high - low), anomalous, anomalous and score > top
        if rule.criterion is Criterion.RISING:
            limit = max(limit, top)
        return low, high, limit, score > limit, score > limit

    def _fate(self, entry: Entry, late: bool, out: bool, rules: WindowRules) -> Fate:
        if entry.keep_out:
            return Fate.KEPT_OUT
        if self.frozen:
            return Fate.FROZEN
        if late:
            return Fate.LATE
        name = entry.identity.encode()
        if name in self.window or name in self.out:
            return Fate.REPEATED
        if self.relearnt_ms is not None and entry.time_ms < self.relearnt_ms:
            return Fate.LATE  # what came before the new normal is no part of it
        if out:
            return self._refuse(name, entry, rules)
        return self._enter(name, entry, rules)

    def _refuse(self, name: bytes, entry: Entry, rules: WindowRules) -> Fate:
        if len(self.window) >= rules.max_frames and entry.time_ms < self.window.by_time[0][0]:
            return Fate.LATE
        self.out.add(name, entry.time_ms, entry.score)
        if name in self.out.drop(0, max(0, len(self.out) - rules.max_frames)):
            return Fate.LATE
        if rules.mode is Mode.FROZEN:
            self.refused = 0
            return Fate.REFUSED  # no new normal would change what frames are held against
        self.refused += 1
        if self.refused < rules.relearn_after:
            return Fate.REFUSED
        assert self.newest_ms is not None
        self.window, self.out = self.out, _Frames()
        self.refused, self.kept, self.ready_ms = 0, None, None
        self.epoch, self.relearnt, self.entered = self.epoch + 1, self.relearnt + 1, self.entered + len(self.window)
        self.relearnt_ms = self.began_ms = self.newest_ms
        if len(self.window) >= rules.warm_up_frames:
            self.ready_ms = self.newest_ms
        else:
            self._keep(self.newest_ms)  # too few to be ready, and the old range would be wrong: theirs serves
        return Fate.RELEARNT

    def _enter(self, name: bytes, entry: Entry, rules: WindowRules) -> Fate:
        before = len(self.window)
        self.window.add(name, entry.time_ms, entry.score)
        if name in self.window.drop(0, max(0, len(self.window) - rules.max_frames)):
            return Fate.LATE
        self.refused = max(0, self.refused - 1)
        self.entered += 1
        if self.entered == 1:
            self.began_ms = entry.time_ms
        if before < rules.warm_up_frames <= len(self.window):
            self.ready_ms = entry.time_ms
        return Fate.ENTERED
