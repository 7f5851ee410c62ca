"""The rolling window of each baseline, kept in Redis: one call a batch and shard, for any number of cameras."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import redis

from monitor.judging.baseline.checking import GREATEST, check_rule, check_score
from monitor.judging.baseline.keys import Places, places_of
from monitor.judging.baseline.library import Call, Client, Library
from monitor.judging.baseline.life import rules_text
from monitor.judging.baseline.port import BaselineKey, Entry, Fate, Phase, Range, WindowRules, WindowUnavailable

FUNCTION = "linewatch_window_4"
RETRY_AFTER_S = 1.0
REMEMBERED = 10_000

_PHASES = {phase.value: phase for phase in Phase}
_FATES = {fate.value: fate for fate in Fate}


class RedisWindow:
    """The window in Redis 7 or Valkey, or in a cluster of them, as a function loaded by this service (window.lua).

    `rules` may be set anew between two batches. One thread at a time.
    """

    def __init__(
        self,
        client: Client,
        prefix: str,
        rules: WindowRules,
        *,
        shards: int = 1,
        address: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """client: with decode_responses. shards: over how many hash slots the baselines are spread; the same for all
        who share them, since baselines are not found under another number. address: for messages, without secrets.
        clock: s since the epoch; frames that lie ahead of it and of the server's were captured by a wrong clock.
        Nothing is asked of Redis before the first `judge`."""
        self.rules = rules
        self._library = Library(client, "window.lua")
        self._prefix = prefix
        self._shards = shards
        self._address = address
        self._clock = clock
        self._next_try_s = 0.0
        self._places: dict[BaselineKey, Places] = {}
        self._held: dict[str, _Held] = {}

    def judge(self, entries: Sequence[Entry]) -> list[Range]:
        """ValueError for an entry whose score or rule is no finite number; nothing is sent then."""
        if not entries:
            return []
        batch = _Batch(self._places_of)
        turns: list[_Part] = []
        for entry in entries:
            score = entry.score
            if not -GREATEST <= score <= GREATEST:
                check_score(score)
            part, kind = batch.kind_of(entry)
            part.frames += (kind, entry.identity, repr(float(score)), entry.time_ms)
            turns.append(part)
        if time.monotonic() < self._next_try_s:
            raise WindowUnavailable(f"Redis at {self._address} does not answer; tried again every second")
        rules = [*rules_text(self.rules), str(round(self._clock() * 1000))]
        try:
            answers = self._library.call(FUNCTION, [part.call(rules) for part in batch.parts.values()])
        except redis.RedisError as error:
            self._next_try_s = time.monotonic() + RETRY_AFTER_S
            told = str(error) if isinstance(error, redis.ResponseError) else type(error).__name__
            raise WindowUnavailable(f"Redis at {self._address}: {told}") from None
        if len(self._held) > REMEMBERED:
            self._held.clear()
        if len(answers) == 1:
            return list(_ranges(answers[0], self._held))
        for part, answer in zip(batch.parts.values(), answers, strict=True):
            part.answer = _ranges(answer, self._held)
        return [next(part.answer) for part in turns]

    def _places_of(self, key: BaselineKey) -> Places:
        places = self._places.get(key)
        if places is None:
            if len(self._places) >= REMEMBERED:
                self._places.clear()
            places = self._places[key] = places_of(self._prefix, self._shards, key)
        return places


class _Batch:
    """Frames by shard, and by kind: those of one baseline and rule."""

    def __init__(self, places_of: Callable[[BaselineKey], Places]) -> None:
        self.parts: dict[str, _Part] = {}
        self._places_of = places_of
        self._kinds: dict[tuple[int, int, bool], tuple[_Part, int]] = {}
        self._rules: dict[int, str] = {}

    def kind_of(self, entry: Entry) -> tuple[_Part, int]:
        """The part that the entry belongs to, and the number of its kind there."""
        # Looked up by what the objects are: that is quicker than comparing them, and mostly they are the same.
        named = (id(entry.key), id(entry.rule), entry.keep_out)
        found = self._kinds.get(named)
        if found is None:
            found = self._kinds[named] = self._new_kind(entry)
        return found

    def _new_kind(self, entry: Entry) -> tuple[_Part, int]:
        places = self._places_of(entry.key)
        part = self.parts.get(places.baselines)
        if part is None:
            part = self.parts[places.baselines] = _Part(places.baselines)
        rule = self._rules.get(id(entry.rule))
        if rule is None:
            check_rule(entry.rule)
            numbers = (entry.rule.value, entry.rule.low, entry.rule.high)
            rule = " ".join((entry.rule.criterion.value, *(repr(float(number)) for number in numbers)))
            self._rules[id(entry.rule)] = rule
        return part, part.kind(places, rule, entry.keep_out)


class _Part:
    """What of a batch belongs to one shard. frames: four values each, as the function takes them."""

    def __init__(self, index: str) -> None:
        self.frames: list[Any] = []
        self.answer: Iterator[Range] = iter(())
        self._keys = [index]
        self._baselines: dict[str, int] = {}
        self._kinds: dict[tuple[str, str, bool], int] = {}
        self._told_kinds: list[Any] = []

    def kind(self, places: Places, rule: str, keep_out: bool) -> int:
        """The number of this kind of frame."""
        named = (places.state, rule, keep_out)
        number = self._kinds.get(named)
        if number is None:
            number = self._kinds[named] = len(self._kinds) + 1
            self._told_kinds += (self._baseline(places), rule, 1 if keep_out else 0)
        return number

    def call(self, rules: Sequence[str]) -> Call:
        return self._keys, [*rules, len(self._kinds), *self._told_kinds, *self.frames]

    def _baseline(self, places: Places) -> int:
        number = self._baselines.get(places.state)
        if number is None:
            number = self._baselines[places.state] = len(self._baselines) + 1
            self._keys += places[1:]
        return number


_Held = tuple[int, float | None, float | None, float | None, float | None, float, float, float, Phase, int, bool]


def _held(told: str) -> _Held:
    """What a frame was held against."""
    count, least, greatest, q_low, q_high, low, high, limit, phase, epoch, frozen = told.split(" ")
    edges = (None,) * 4 if least == "-" else (float(least), float(greatest), float(q_low), float(q_high))
    return int(count), *edges, float(low), float(high), float(limit), _PHASES[phase], int(epoch), frozen == "1"


def _ranges(answer: Sequence[str], known: dict[str, _Held]) -> Iterator[Range]:
    """known: what has been read before. Most frames are held against the same as the one before them."""
    for text in answer:
        told, at_least, anomalous, fate, refused = text.rsplit(" ", 4)
        held = known.get(told)
        if held is None:
            held = known[told] = _held(told)
        count, least, greatest, q_low, q_high, low, high, limit, phase, epoch, frozen = held
        yield Range(
            count,
            least,
            greatest,
            q_low,
            q_high,
            int(at_least),
            low,
            high,
            limit,
            anomalous == "1",
            phase,
            _FATES[fate],
            int(refused),
            epoch,
            frozen,
        )
