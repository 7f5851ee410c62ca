"""Measures what a wished rate of false alarms comes to: `python -m scripts.false_alarms simulated`, some minutes.

    simulated          score series of which the truth is known
    scores FILE ...    series of real cameras that saw good parts only: JSON lines of the topic `scores`
    line OUT           make such a file: the simulated line without defects, scored by a model trained for a minute
    ranges             what a plain rolling min-max does on normal scores, and the mode `quantile`

A threshold is set from the first part of a series and held to the rest (`held`), or taken anew every quarter of an hour
while it runs, with its own alarms, false ones all, kept out of its sample (`running`) or called false by somebody
(`marked`), or cut out as if they had never been (`cut`: the spiral that the others are to keep out of). Alarms are
counted by the rule of the episodes. 95 % intervals, taking alarms for independent.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.judging.baseline.series import Series
from monitor.judging.thresholds.clusters import alarms
from monitor.judging.thresholds.extending import distances, extend
from monitor.judging.thresholds.statistic import AlarmRule
from monitor.judging.thresholds.tail import Tail, within
from monitor.judging.thresholds.wished import Method, around_of, threshold_of
from scripts.score_processes import FPS, HARDER, STATIONARY, Floats

DAY_S = 86_400.0
PIECE_S = 900.0
RULE = AlarmRule()
MODES = ("held", "running", "marked")
ALL_MODES = (*MODES, "cut")
METHODS: tuple[Method, ...] = ("spot", "dspot", "conformal")


@dataclass
class Tally:
    """What was wished and what came."""

    alarms: int = 0
    expected: float = 0.0
    ratios: list[float] = field(default_factory=list)

    def add(self, alarms: int, expected: float) -> None:
        """Of one series."""
        if expected > 0:
            self.alarms += alarms
            self.expected += expected
            self.ratios.append(alarms / expected)

    def __str__(self) -> str:
        if not self.expected:
            return "sample too small"
        low, high = poisson_interval(self.alarms)
        spread = ""
        if len(self.ratios) >= 5:
            spread = f", single ones {np.quantile(self.ratios, 0.1):.2f} to {np.quantile(self.ratios, 0.9):.2f}"
        return f"{self.alarms / self.expected:.2f} [{low / self.expected:.2f}, {high / self.expected:.2f}]{spread}"


def poisson_interval(count: int) -> tuple[float, float]:
    """95 %, by Byar's approximation of the exact one."""
    low = count * (1 - 1 / (9 * count) - 1.96 / (3 * math.sqrt(count))) ** 3 if count else 0.0
    more = count + 1
    return low, more * (1 - 1 / (9 * more) + 1.96 / (3 * math.sqrt(more))) ** 3


def measure(series: Series, wished: float, method: Method, mode: str, learn_s: float) -> tuple[int, float]:
    """The alarms of one series, and how many were wished in the time for which there was a threshold."""
    tail: Tail | None = None
    height: float | None = None  # above the moving mean, or above 0
    found, counted_s, mean = 0, 0.0, 0.0
    begin_ms = int(series.times_ms[0])
    for whole in _pieces(series):
        piece = whole
        if tail is not None:
            mean = tail.mean
        learning = int(piece.times_ms[0]) - begin_ms < learn_s * 1000
        excluded: list[tuple[int, int]] = []
        if height is not None and not (mode == "held" and learning):
            against = piece.scores
            if method == "dspot":
                against, _ = distances(piece.times_ms, piece.scores, mean, None)
            raised = alarms(height, piece.times_ms, against, RULE)
            found += len(raised)
            counted_s += float(np.minimum(np.diff(piece.times_ms), 60_000).sum()) / 1000
            if mode in ("running", "cut"):  # from the first anomalous frame to the last
                excluded = [(a.from_ms - 1500, a.at_ms + 6000) for a in raised]
        if mode == "cut":
            piece, excluded = _without(piece, excluded), []
        tail = extend(tail, piece, RULE, excluded, around=around_of(method), wished_per_day=wished)
        if mode != "held" or learning:
            value = threshold_of(tail, wished, method).value
            height = None if value is None or tail is None else value - tail.mean
    return found, wished * counted_s / DAY_S


def _without(piece: Series, spans: list[tuple[int, int]]) -> Series:
    keep = ~within(piece.times_ms, np.array(sorted(spans), dtype=np.int64).reshape(-1, 2))
    return Series(piece.times_ms[keep], piece.scores[keep], piece.refused[keep])


def _pieces(series: Series) -> Iterator[Series]:
    """By the quarter of an hour."""
    which = (series.times_ms - series.times_ms[0]) // int(PIECE_S * 1000)
    for part in np.split(np.arange(len(series)), np.flatnonzero(np.diff(which)) + 1):
        piece = slice(int(part[0]), int(part[-1]) + 1)
        yield Series(series.times_ms[piece], series.scores[piece], series.refused[piece])


def series_of(scores: Floats, fps: float = FPS) -> Series:
    """At an even pace."""
    times = 1_700_000_000_000 + np.round(np.arange(scores.size) * (1000 / fps)).astype(np.int64)
    return Series(times, scores, np.zeros(scores.size, dtype=np.bool_))


def simulated(asked: argparse.Namespace) -> None:
    """The table of the processes."""
    print(f"{asked.repeats} series of {asked.days:g} days; learnt from the first {asked.learn:g} of them where held")
    print("| scores | method | threshold | wished a day | measured / wished |\n| --- | --- | --- | --- | --- |")
    for name, process in {**STATIONARY, **HARDER}.items():
        if asked.only and name not in asked.only:
            continue
        every = [
            series_of(process(np.random.default_rng([asked.seed, repeat]), int(asked.days * DAY_S * FPS)))
            for repeat in range(asked.repeats)
        ]
        for method in asked.methods:
            for mode in asked.modes:
                for wished in asked.wished:
                    tally = Tally()
                    for series in every:
                        tally.add(*measure(series, wished, method, mode, asked.learn * DAY_S))
                    print(f"| {name} | {method} | {mode} | {wished:g} | {tally} |", flush=True)


def from_files(asked: argparse.Namespace) -> None:
    """The table of recorded series; the first half of each is learnt from where held."""
    print("| camera | hours | method | threshold | wished a day | measured / wished |")
    print("| --- | --- | --- | --- | --- | --- |")
    for camera, series in read(asked.files).items():
        hours = float(series.times_ms[-1] - series.times_ms[0]) / 3.6e6
        for method in asked.methods:
            for mode in asked.modes:
                for wished in asked.wished:
                    tally = Tally()
                    tally.add(*measure(series, wished, method, mode, hours * 1800))
                    print(f"| {camera} | {hours:.1f} | {method} | {mode} | {wished:g} | {tally} |", flush=True)


def read(paths: Iterable[Path]) -> dict[str, Series]:
    """By camera. ValueError, which names file and line, for what is no score."""
    found: dict[str, list[tuple[int, float]]] = {}
    for path in paths:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    doc = json.loads(line)
                    at_ms, score = int(doc["captured_at"]) // 1_000_000, float(doc["score"])
                    found.setdefault(str(doc["camera"]), []).append((at_ms, score))
                except (ValueError, KeyError, TypeError) as error:
                    raise ValueError(
                        f"{path}:{number}: expected a JSON object with camera, captured_at and score: {error}"
                    ) from None
    result = {}
    for camera, rows in sorted(found.items()):
        rows.sort()
        times = np.array([at for at, _ in rows], dtype=np.int64)
        scores = np.array([score for _, score in rows], dtype=np.float64)
        result[camera] = Series(times, scores, np.zeros(times.size, dtype=np.bool_))
    return result


def line(asked: argparse.Namespace) -> None:
    """Good parts on the simulated line, scored by a model that was trained on its first minute."""
    from models.checkpoint import load  # noqa: PLC0415 - the other parts do without torch
    from models.preprocess import Preprocess  # noqa: PLC0415
    from models.train import train  # noqa: PLC0415
    from models.training_config import for_line  # noqa: PLC0415
    from streams.simulator import Line  # noqa: PLC0415

    footage = Line(5, 0, 160, 120, 10)
    config = for_line(minutes=asked.minutes, size=32)
    preprocess = Preprocess(config.architecture.size, config.architecture.channels)

    def picture(index: int) -> NDArray[np.uint8]:
        return preprocess.picture(footage.render(index, defects=False))

    learn = 600
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "line.safetensors"
        train(np.stack([picture(i) for i in range(learn)]), config, checkpoint)
        scorer = load(checkpoint)
        with asked.out.open("w", encoding="utf-8") as out:
            for start in range(learn, learn + asked.frames, 64):
                indices = range(start, min(start + 64, learn + asked.frames))
                for index, score in zip(indices, scorer.score(np.stack([picture(i) for i in indices])), strict=True):
                    at_ns = 1_700_000_000_000_000_000 + index * 100_000_000
                    out.write(json.dumps({"camera": "line", "captured_at": at_ns, "score": float(score)}) + "\n")


def ranges(asked: argparse.Namespace) -> None:
    """Frames above 0.8 on the normalised score, and what one odd frame does to the threshold."""
    print("| window | frames above 0.8, min-max | quantile | threshold after one +20 sigma frame, min-max | quantile |")
    print("| --- | --- | --- | --- | --- |")
    for size in (100, 500, 2000):
        scores = np.random.default_rng(asked.seed).standard_normal(2000 * size)
        above = {"minmax": 0, "quantile": 0}
        blocks = scores.reshape(-1, size)
        odd = {"minmax": 0.0, "quantile": 0.0}
        # Each block is the window of the first twentieth of the next one: the window hardly moves within that.
        following = blocks[1:, : size // 20]
        for kind in above:
            low, high = _range(blocks[:-1], kind)
            above[kind] = int((following >= (low + 0.8 * (high - low))[:, None]).sum())
            low, high = _range(np.concatenate([blocks[:1, :-1], [[20.0]]], axis=1), kind)
            odd[kind] = float((low + 0.8 * (high - low))[0])
        share = {kind: f"{count / following.size:.3%}" for kind, count in above.items()}
        sigma = {kind: f"{value:.1f} sigma" for kind, value in odd.items()}
        print(f"| {size} | {share['minmax']} | {share['quantile']} | {sigma['minmax']} | {sigma['quantile']} |")


def _range(windows: Floats, kind: str) -> tuple[Floats, Floats]:
    """Of windows [M, N], as monitor.judging.baseline.port.Mode says."""
    if kind == "minmax":
        return windows.min(axis=1), windows.max(axis=1)
    low, high = np.quantile(windows, [0.01, 0.99], axis=1)
    return low, low + 2 * (high - low)


def main() -> int:
    """The process's exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(required=True)
    one = kinds.add_parser("simulated")
    one.add_argument("--days", type=float, default=4.0)
    one.add_argument("--learn", type=float, default=1.0)
    one.add_argument("--repeats", type=int, default=10)
    one.add_argument("--only", nargs="*")
    one.set_defaults(work=simulated)
    two = kinds.add_parser("scores")
    two.add_argument("files", nargs="+", type=Path)
    two.set_defaults(work=from_files)
    for part in (one, two):
        part.add_argument("--wished", nargs="+", type=float, default=[3.0, 24.0, 96.0])
        part.add_argument("--methods", nargs="+", choices=METHODS, default=["spot"])
        part.add_argument("--modes", nargs="+", choices=ALL_MODES, default=list(MODES))
    three = kinds.add_parser("line")
    three.add_argument("out", type=Path)
    three.add_argument("--minutes", type=float, default=1.0)
    three.add_argument("--frames", type=int, default=36_000)
    three.set_defaults(work=line)
    four = kinds.add_parser("ranges")
    four.set_defaults(work=ranges)
    for part in (one, four):
        part.add_argument("--seed", type=int, default=11)
    asked = parser.parse_args()
    try:
        asked.work(asked)
    except (OSError, ValueError) as error:
        print(f"false_alarms: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
