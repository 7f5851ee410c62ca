"""The stages by name, and how one is measured: its ways take turns, so that a noisy machine hits all of them alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from monitor.bench.stages import decode, judge, preprocess, publish, read, score, window
from monitor.bench.stages.lap import Lap
from monitor.bench.stages.task import Row, Setup, Tasks

STAGES: Final[dict[str, Tasks]] = {
    "read": read.tasks,
    "decode": decode.tasks,
    "preprocess": preprocess.tasks,
    "score": score.tasks,
    "window": window.tasks,
    "judge": judge.tasks,
    "publish": publish.tasks,
}
"""In a frame's order."""

WARM_UP_S: Final = 0.2


def measure(
    stage: str,
    setup: Setup,
    seconds: float,
    repeats: int,
    told: Callable[[int, int], None] = lambda done, of: None,
) -> list[Row]:
    """Each way of this stage, warmed up and then measured `repeats` times for about so many seconds.

    stage: one of STAGES. told: how many laps are done and how many there will be. Raises as `Tasks` do.
    """
    with STAGES[stage](setup) as ways:
        for way in ways:
            way.lap(min(WARM_UP_S, seconds))
        laps: list[list[Lap]] = [[] for _ in ways]
        for turn in range(repeats):
            for number, way in enumerate(ways):
                laps[number].append(way.lap(seconds))
                told(turn * len(ways) + number + 1, repeats * len(ways))
        return [Row.of(way, of_it) for way, of_it in zip(ways, laps, strict=True)]
