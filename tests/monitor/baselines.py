"""What the tests of the window share: the window as one would write it down, servers, and frames at random."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from monitor.embedded.program import ProgramServer
from monitor.embedded.server import free_port
from monitor.judging.baseline.port import BaselineKey, Criterion, Entry, Fate, Mode, Phase, Range, Rule, WindowRules

T0_MS = 1_700_000_000_000
RISING = Rule(Criterion.RISING, 2.0, 0.0, 1.5)
CAMERA = BaselineKey("c", "model")


def entry(
    score: float,
    seq: int,
    key: BaselineKey = CAMERA,
    time_ms: int | None = None,
    rule: Rule = RISING,
    keep_out: bool = False,
) -> Entry:
    return Entry(key, f"f{seq}", score, T0_MS + seq * 100 if time_ms is None else time_ms, rule, keep_out)


@dataclass
class Frame:
    """A remembered frame."""

    time_ms: int
    name: str
    score: float


@dataclass
class PlainBaseline:
    """One baseline."""

    window: list[Frame] = field(default_factory=list)
    out: list[Frame] = field(default_factory=list)
    refused: int = 0
    epoch: int = 0
    frozen: bool = False
    kept: tuple[float, float, float, float] | None = None
    newest_ms: int | None = None
    relearnt_ms: int | None = None


def ends(frames: list[Frame]) -> tuple[float, float, float, float]:
    """least, 1 % quantile, 99 % quantile, greatest."""
    scores = np.sort(np.array([f.score for f in frames]))
    return float(scores[0]), float(np.quantile(scores, 0.01)), float(np.quantile(scores, 0.99)), float(scores[-1])


def in_order(frames: list[Frame]) -> list[Frame]:
    """By time; equal times in the order of their names' bytes, as in a sorted set."""
    return sorted(frames, key=lambda f: (f.time_ms, f.name.encode()))


class Plain:
    """The window as port.py tells it: lists, sorted again each time, and numpy; no cleverness."""

    def __init__(self, rules: WindowRules, clock: Callable[[], float] | None = None) -> None:
        self.rules = rules
        self.clock = clock
        self.baselines: dict[BaselineKey, PlainBaseline] = {}

    def at(self, key: BaselineKey) -> PlainBaseline:
        return self.baselines.setdefault(key, PlainBaseline())

    def judge(self, entries: list[Entry]) -> list[Range]:
        return [self.judge_one(entry) for entry in entries]

    def phase(self, b: PlainBaseline) -> Phase:
        if len(b.window) >= self.rules.warm_up_frames:
            return Phase.DRIFTING if b.refused >= self.rules.drifting_from else Phase.READY
        if b.kept is not None:
            return Phase.STALE
        return Phase.WARMING if b.window else Phase.COLD

    def judge_one(self, entry: Entry) -> Range:
        b, rules, rule = self.at(entry.key), self.rules, entry.rule
        oldest_ms = -(10**18)
        if not entry.keep_out and not b.frozen:
            if self.clock is not None:
                self.set_back(b, entry.time_ms, round(self.clock() * 1000))
            b.newest_ms = entry.time_ms if b.newest_ms is None else max(b.newest_ms, entry.time_ms)
            oldest_ms = b.newest_ms - round(rules.max_age_s * 1000)
            young = [f for f in b.window if f.time_ms >= oldest_ms]
            if len(b.window) >= rules.warm_up_frames > len(young):
                b.kept = ends(b.window)
            b.window = young
            b.out = [f for f in b.out if f.time_ms >= oldest_ms]
        phase = self.phase(b)
        low, high, limit, top = rule.low, rule.high, rule.value, None
        if phase in {Phase.READY, Phase.DRIFTING, Phase.STALE} and rules.mode is not Mode.FROZEN:
            least, q_low, q_high, greatest = b.kept if phase is Phase.STALE and b.kept else ends(b.window)
            top = q_high + (q_high - q_low)
            low, high = (least, greatest) if rules.mode is Mode.MINMAX else (q_low, top)
            if rule.criterion is Criterion.RISING:
                limit = max(limit, top)
        anomalous = entry.score > limit
        if rule.criterion is Criterion.SHARE:
            limit = low + rule.value * (high - low)
            if high > low:
                anomalous = min(1.0, max(0.0, (entry.score - low) / (high - low))) >= rule.value
            else:
                anomalous = entry.score > high
        enters = not anomalous or (rule.criterion is Criterion.SHARE and top is not None and entry.score <= top)
        four = ends(b.window) if b.window else None
        known = Range(
            count=len(b.window),
            least=four[0] if four else None,
            greatest=four[3] if four else None,
            q_low=four[1] if four else None,
            q_high=four[2] if four else None,
            at_least=sum(f.score >= entry.score for f in b.window),
            low=low,
            high=high,
            limit=limit,
            anomalous=bool(anomalous),
            phase=phase,
            fate=Fate.ENTERED,
            refused=b.refused,
            epoch=b.epoch,
            frozen=b.frozen,
        )
        fate = self.fate(b, entry, entry.time_ms < oldest_ms, not enters)
        return Range(**{**{name: getattr(known, name) for name in Range.__slots__}, "fate": fate})

    def set_back(self, b: PlainBaseline, time_ms: int, clock_ms: int) -> None:
        latest_ms = max(time_ms, clock_ms) + 60_000
        if b.newest_ms is None or b.newest_ms <= latest_ms:
            return
        window = [f for f in b.window if f.time_ms <= latest_ms]
        out = [f for f in b.out if f.time_ms <= latest_ms]
        if len(b.window) >= self.rules.warm_up_frames > len(window):
            b.kept = ends(b.window)
        b.refused = max(0, b.refused - (len(b.out) - len(out)))
        b.window, b.out = window, out
        b.newest_ms = max((f.time_ms for f in window + out), default=None)
        if b.relearnt_ms is not None and b.relearnt_ms > latest_ms:
            b.relearnt_ms = clock_ms

    def fate(self, b: PlainBaseline, entry: Entry, late: bool, stays_out: bool) -> Fate:
        rules = self.rules
        frame = Frame(entry.time_ms, entry.identity, entry.score)
        if entry.keep_out:
            return Fate.KEPT_OUT
        if b.frozen:
            return Fate.FROZEN
        if late:
            return Fate.LATE
        if any(f.name == frame.name for f in b.window + b.out):
            return Fate.REPEATED
        if b.relearnt_ms is not None and frame.time_ms < b.relearnt_ms:
            return Fate.LATE
        if not stays_out:
            b.window = in_order([*b.window, frame])[-rules.max_frames :]
            if frame not in b.window:
                return Fate.LATE
            b.refused = max(0, b.refused - 1)
            return Fate.ENTERED
        if len(b.window) >= rules.max_frames and frame.time_ms < min(f.time_ms for f in b.window):
            return Fate.LATE
        b.out = in_order([*b.out, frame])[-rules.max_frames :]
        if frame not in b.out:
            return Fate.LATE
        b.refused = 0 if rules.mode is Mode.FROZEN else b.refused + 1
        if b.refused < rules.relearn_after:
            return Fate.REFUSED
        b.window, b.out, b.refused, b.epoch, b.relearnt_ms = b.out, [], 0, b.epoch + 1, b.newest_ms
        b.kept = ends(b.window) if len(b.window) < rules.warm_up_frames else None
        return Fate.RELEARNT

    def freeze(self, key: BaselineKey, frozen: bool = True) -> None:
        self.at(key).frozen = frozen

    def reset(self, key: BaselineKey) -> None:
        self.baselines[key] = PlainBaseline(epoch=self.at(key).epoch + 1)

    def forget_between(self, camera: str, from_ms: int, to_ms: int) -> int:
        gone = 0
        for b in [b for key, b in self.baselines.items() if key.camera == camera]:
            before = len(b.window), len(b.out)
            b.window = [f for f in b.window if not from_ms <= f.time_ms <= to_ms]
            b.out = [f for f in b.out if not from_ms <= f.time_ms <= to_ms]
            b.refused = max(0, b.refused - (before[1] - len(b.out)))
            gone += sum(before) - len(b.window) - len(b.out)
        return gone

    def series(self, key: BaselineKey) -> list[tuple[int, float, bool]]:
        b = self.at(key)
        return sorted([(f.time_ms, f.score, False) for f in b.window] + [(f.time_ms, f.score, True) for f in b.out])


KEYS = [BaselineKey("a", "m"), BaselineKey("a", "m", "p"), BaselineKey("b:%{}", "m é")]

SCORES = st.one_of(st.sampled_from([0.0, 0.1 + 0.2, 0.5, 1.0, 1.0, 1.9, 2.5, 3.0]), st.floats(-4, 4, width=32))
RULES_OF_FRAMES = st.sampled_from(
    [
        RISING,
        RISING,
        Rule(Criterion.ABSOLUTE, 1.2, -1.0, 1.0),
        Rule(Criterion.SHARE, 0.8, 0.0, 1.5),
        Rule(Criterion.SHARE, 1.0, 1.0, 1.0),
    ]
)
TIMES = st.one_of(st.integers(0, 6_000), st.integers(0, 60).map(lambda n: n * 100))
CLOCKS = st.sampled_from([0, 6_000, 10**8])
TIMES_AHEAD = st.sampled_from([60_000, 60_001, 66_001, 120_001, 10**6])
"""Of a clock that runs ahead of all but the last of CLOCKS."""


@st.composite
def entries(draw: st.DrawFn) -> list[Entry]:
    """A batch: ties, late frames, repeats, other baselines, frames to be kept out."""
    frame_times = st.one_of(TIMES, TIMES, TIMES, TIMES_AHEAD) if draw(st.integers(0, 3)) == 0 else TIMES
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from(KEYS), st.integers(0, 40), SCORES, frame_times, RULES_OF_FRAMES, st.integers(0, 9)
            ),
            min_size=1,
            max_size=14,
        )
    )
    return [Entry(key, f"f{n}", s, T0_MS + t, rule, k == 0) for key, n, s, t, rule, k in rows]


WINDOW_RULES = st.builds(
    WindowRules,
    max_frames=st.integers(2, 9),
    max_age_s=st.sampled_from([0.5, 2.0, 2.0, 100.0]),
    warm_up_frames=st.integers(1, 6),
    relearn_after=st.integers(1, 7),
    mode=st.sampled_from(Mode),
)

ADMIN = st.one_of(
    st.tuples(st.just("freeze"), st.sampled_from(KEYS)),
    st.tuples(st.just("thaw"), st.sampled_from(KEYS)),
    st.tuples(st.just("reset"), st.sampled_from(KEYS)),
    st.tuples(st.just("forget"), st.sampled_from(KEYS), TIMES, TIMES),
    st.tuples(st.just("rules"), WINDOW_RULES),
    st.tuples(st.just("clock"), CLOCKS),
)
"""What happens to a window beside batches."""

STEPS = st.lists(st.one_of(entries(), entries(), entries(), ADMIN), min_size=1, max_size=14)


class RedisServer(ProgramServer):
    """A real Redis, from the PATH; `cluster`: a node that waits for its slots."""

    name = "Redis"

    def __init__(self, program: str, cluster: bool = False) -> None:
        super().__init__()
        self._program = program
        self._cluster = cluster
        self.bus_port = 0

    @property
    def address(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def _binary(self) -> str:
        return self._program

    def _arguments(self, folder: str) -> list[str]:
        plain = ["--bind", "127.0.0.1", "--port", str(self._port), "--dir", folder, "--save", "", "--appendonly", "no"]
        if not self._cluster:
            return plain
        self.bus_port = free_port()  # the usual one, port + 10000, may be beyond the last port
        return [*plain, "--cluster-enabled", "yes", "--cluster-port", str(self.bus_port)]

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1.0) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def redis_program() -> str | None:
    """A Redis 7 or newer on the PATH."""
    found = shutil.which("redis-server")
    return str(Path(found)) if found else None
