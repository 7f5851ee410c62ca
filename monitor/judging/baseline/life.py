"""How far a baseline has come, and what the state in Redis says about that.

The state is a hash: `v` (the version of all of a baseline's keys), `epoch`, `refused` (the count towards drift),
`frozen` (1), `entered` (frames ever), `began_ms`, `ready_ms`, `newest_ms`, `relearnt` (times), `relearnt_ms`, `kept`
(JSON, `Kept`), `rules` (those of the last call), `touched_ms` (when the life of the keys was last prolonged) and
`edges` (what window.lua spares itself to look up).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

from monitor.judging.baseline.port import BaselineKey, Mode, Phase, WindowRules

VERSION = 3


class Kept(TypedDict):
    """The range when the baseline was last ready, or was learnt anew from too few frames to be ready."""

    count: int
    least: float
    greatest: float
    q_low: float
    q_high: float
    at_ms: int


@dataclass(frozen=True, slots=True)
class Life:
    """The life cycle of one baseline. Times are capture times, ms since the epoch; None: not yet.

    count of needed frames make it ready; refused of relearn_after make a new normal. began_ms: the first frame of what
    it now learns; ready_ms: since when it has been ready, or was, before it grew stale; relearnt: how often it was
    learnt anew, relearnt_ms: the last time. needed and relearn_after are 0 where no window has had it yet.
    """

    key: BaselineKey
    phase: Phase
    count: int
    needed: int
    refused: int
    relearn_after: int
    frozen: bool
    epoch: int
    began_ms: int | None = None
    ready_ms: int | None = None
    newest_ms: int | None = None
    relearnt: int = 0
    relearnt_ms: int | None = None
    kept: Kept | None = None


def phase_of(count: int, refused: int, kept: bool, rules: WindowRules) -> Phase:
    """The phase of a baseline with so many frames, so much drift, and a kept range or none."""
    if count >= rules.warm_up_frames:
        return Phase.DRIFTING if refused >= rules.drifting_from else Phase.READY
    if kept:
        return Phase.STALE
    return Phase.WARMING if count else Phase.COLD


def life_of(key: BaselineKey, state: Mapping[str, str], count: int, rules: WindowRules | None) -> Life:
    """From the state in Redis. rules: go before those that the state names."""
    if state.get("v") != str(VERSION):
        needed, relearn_after = (rules.warm_up_frames, rules.relearn_after) if rules else (0, 0)
        return Life(key, Phase.COLD, 0, needed, 0, relearn_after, False, int(state.get("epoch", 0)))
    rules = rules or rules_of(state.get("rules"))
    refused = int(state.get("refused", 0))
    kept: Kept | None = json.loads(state["kept"]) if "kept" in state else None
    if rules is None:
        phase = Phase.STALE if kept else Phase.WARMING if count else Phase.COLD
    else:
        phase = phase_of(count, refused, kept is not None, rules)

    def time_ms(field: str) -> int | None:
        return int(state[field]) if field in state else None

    return Life(
        key=key,
        phase=phase,
        count=count,
        needed=rules.warm_up_frames if rules else 0,
        refused=refused,
        relearn_after=rules.relearn_after if rules else 0,
        frozen=state.get("frozen") == "1",
        epoch=int(state.get("epoch", 0)),
        began_ms=time_ms("began_ms"),
        ready_ms=time_ms("ready_ms"),
        newest_ms=time_ms("newest_ms"),
        relearnt=int(state.get("relearnt", 0)),
        relearnt_ms=time_ms("relearnt_ms"),
        kept=kept,
    )


def rules_text(rules: WindowRules) -> list[str]:
    """The rules as the function takes them and keeps them in the state."""
    numbers = (
        rules.max_frames,
        round(rules.max_age_s * 1000),
        rules.warm_up_frames,
        rules.relearn_after,
        rules.drifting_from,
    )
    return [*map(str, numbers), rules.mode.value, str(max(1, round(rules.keep_s * 1000)))]


def rules_of(text: str | None) -> WindowRules | None:
    """What `rules_text` told, joined by blanks; None where it did not."""
    try:
        max_frames, max_age_ms, warm_up, relearn_after, _, mode, keep_ms = (text or "").split(" ")
        return WindowRules(
            int(max_frames), int(max_age_ms) / 1000, int(warm_up), int(relearn_after), Mode(mode), int(keep_ms) / 1000
        )
    except ValueError:
        return None
