"""Frames, scores and verdicts for tests that need some."""

from __future__ import annotations

import numpy as np

from monitor.judging.baseline.port import BaselineKey, Fate, Phase, Range
from monitor.judging.judge import State, Verdict
from monitor.scoring.inbox import Arrival
from monitor.scoring.score import Score
from streams.frame import Frame

PICTURE = np.zeros((8, 8, 3), np.uint8)
T0_NS = 1_700_000_000_000_000_000
STEP_NS = 100_000_000
MODEL = "0123456789ab"


class FakeSource:
    """A source that only notes what became of its frames."""

    name = "fake:source"
    cameras = ()

    def __init__(self) -> None:
        self.finished: list[Frame] = []
        self.rejected: list[tuple[Frame, str]] = []

    def run(self, outlet: object, stop: object) -> None:
        """Gives nothing."""

    def finish(self, frame: Frame) -> None:
        self.finished.append(frame)

    def reject(self, frame: Frame, error: str) -> None:
        self.rejected.append((frame, error))

    def close(self) -> None:
        """Nothing to let go of."""


def frame(seq: int, camera: str = "line-1", at_ns: int | None = None, payload: bytes = b"x") -> Frame:
    return Frame(camera, seq, T0_NS + seq * STEP_NS if at_ns is None else at_ns, f"t/0/{seq}", payload=payload)


def score(value: float, seq: int = 0, camera: str = "line-1", at_ns: int | None = None) -> Score:
    return Score(Arrival(frame(seq, camera, at_ns), FakeSource(), 0.0), PICTURE, value, MODEL)


def verdict(seq: int, anomalous: bool, value: float | None = None, camera: str = "line-1") -> Verdict:
    value = (3.0 if anomalous else 1.0) if value is None else value
    return Verdict(
        frame=frame(seq, camera),
        picture=PICTURE,
        score=value,
        normalised=min(1.0, value / 4),
        low=0.0,
        high=4.0,
        count=10,
        state=State.READY,
        limit=2.0,
        threshold=0.5,
        anomalous=anomalous,
        model=MODEL,
        key=BaselineKey(camera, MODEL),
        window=window_range(),
    )


def window_range(
    count: int = 10, phase: Phase = Phase.READY, fate: Fate = Fate.ENTERED, refused: int = 0, epoch: int = 1
) -> Range:
    """A window as it may be before a frame."""
    return Range(
        count=count,
        least=0.0,
        greatest=4.0,
        q_low=0.1,
        q_high=3.9,
        at_least=1,
        low=0.0,
        high=4.0,
        limit=2.0,
        anomalous=False,
        phase=phase,
        fate=fate,
        refused=refused,
        epoch=epoch,
        frozen=False,
    )
