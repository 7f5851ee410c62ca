"""The stored frames of one camera, judged: window, thresholds and shelves as a configuration has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import numpy as np

from monitor.judging.baseline.memory_window import MemoryWindow
from monitor.judging.baseline.port import Fate, Mode
from monitor.judging.calibrator import FIT_EVERY_S
from monitor.judging.episodes import Hold
from monitor.judging.judge import Judge, Verdict
from monitor.judging.rulebook import Rulebook
from monitor.line_settings import Maintenance, ProductPlan
from monitor.orders.schedule import Schedule
from monitor.replay.candidate import Candidate
from monitor.replay.learning import Alarms, Learning
from monitor.replay.rows import HOLDS, RowMaker, Rows
from monitor.replay.span import Trace
from monitor.scoring.inbox import Arrival
from monitor.scoring.score import Score
from streams.frame import Frame

BATCH = 256
"""Frames that are judged at once; a threshold that is found holds from the next batch on."""

_NO_PICTURE = np.zeros((1, 1, 3), np.uint8)
_NO_SOURCE = cast(Any, None)


class Step(NamedTuple):
    """A judged frame. place: the camera's in the order of all, so that equal times are no matter of chance. shelved:
    whether nobody is to be called."""

    time_ns: int
    place: int
    verdict: Verdict
    hold: Hold
    shelved: bool


class CameraRun:
    """Judges the rows of one camera, which come by time. limits: the thresholds that were in force."""

    def __init__(
        self,
        camera: str,
        place: int,
        candidate: Candidate,
        maker: RowMaker,
        limits: Trace,
        alarms: Alarms,
        from_ns: int,
    ) -> None:
        """alarms: the real ones of this run so far. from_ns: from when on is counted what the windows learnt anew."""
        rules = candidate.rules
        self._camera = camera
        self._place = place
        self._candidate = candidate
        self._maker = maker
        self._limits = limits
        self._from_ns = from_ns
        self._region = rules.region_of(camera).id
        self._learns = rules.threshold(camera) == "auto" and rules.window.mode is not Mode.FROZEN
        self._maintenance: Schedule[Maintenance] = Schedule(candidate.settings.maintenance)
        self._products: Schedule[ProductPlan] = Schedule(candidate.settings.products)
        window = MemoryWindow(rules.window)
        self._learning = Learning(rules, window, alarms)
        self._judge = Judge(
            window,
            Rulebook(
                mode=rules.window.mode,
                threshold=rules.threshold,
                product=self._product,
                calibrated=lambda model: candidate.calibrated,
                learnt=self._learning.learnt,
            ),
        )
        self.relearnt = 0

    @property
    def learning(self) -> Learning:
        """What it found of thresholds."""
        return self._learning

    def steps(self, rows: Iterator[Rows]) -> Iterator[Step]:
        """Every frame by time. The next batch is judged when the last step of the one before was taken, so that
        thresholds know the alarms up to then."""
        for chunk in rows:
            for batch in self._batches(chunk):
                shelved = self._shelves(batch)
                holds = [HOLDS[code] for code in batch["hold"].tolist()]
                verdicts = self._verdicts(batch, holds, shelved)
                for time_ns, verdict, hold, off in zip(
                    batch["time_ns"].tolist(), verdicts, holds, shelved, strict=True
                ):
                    yield Step(time_ns, self._place, verdict, hold, off)
                if self._learns:
                    for key in dict.fromkeys(verdict.key for verdict in verdicts):
                        self._learning.look(key)

    def _batches(self, chunk: Rows) -> Iterator[Rows]:
        """Small enough that nothing leaves a window before it was looked at, and short where thresholds are learnt."""
        window = self._candidate.rules.window
        most = min(BATCH, max(2, window.max_frames // 2))
        start = 0
        while start < len(chunk):
            end = min(start + most, len(chunk))
            if self._learns:
                until_ns = int(chunk["time_ns"][start]) + round(FIT_EVERY_S * 1e9)
                end = max(start + 1, start + int(np.searchsorted(chunk["time_ns"][start:end], until_ns)))
            yield chunk[start:end]
            start = end

    def _verdicts(self, batch: Rows, holds: list[Hold], shelved: list[bool]) -> list[Verdict]:
        model = self._candidate.model_id
        scores = [
            Score(Arrival(frame, _NO_SOURCE, 0.0), _NO_PICTURE, score, model, self._region)
            for frame, score in zip(self._frames(batch), batch["score"].tolist(), strict=True)
        ]
        keep_out = {n for n, hold in enumerate(holds) if hold is not Hold.NO or shelved[n]}
        verdicts = self._judge.judge(scores, keep_out)
        self._limits.add(batch["time_ns"], np.fromiter((v.limit for v in verdicts), np.float64, len(verdicts)))
        self.relearnt += sum(
            v.window is not None and v.window.fate is Fate.RELEARNT and v.frame.captured_at_ns >= self._from_ns
            for v in verdicts
        )
        return verdicts

    def _frames(self, batch: Rows) -> list[Frame]:
        maker, products = self._maker, self._maker.products
        columns = [batch[name].tolist() for name in ("seq", "time_ns", "place", "number", "product")]
        return [
            Frame(self._camera, seq, time_ns, maker.origin(place, number), product=products[product] or None)
            for seq, time_ns, place, number, product in zip(*columns, strict=True)
        ]

    def _shelves(self, batch: Rows) -> list[bool]:
        """Whether nobody is called: by hand as it was recorded, by the schedule as the configuration has it."""
        by_hand: list[bool] = (batch["shelved"] > 0).tolist()
        if not self._candidate.settings.maintenance:
            return by_hand
        return [
            hand or self._maintenance.at(self._camera, time_ns) is not None
            for hand, time_ns in zip(by_hand, batch["time_ns"].tolist(), strict=True)
        ]

    def _product(self, frame: Frame) -> str:
        """What the record says; where it says nothing, what the configuration plans."""
        if frame.product is not None or not self._candidate.settings.products:
            return frame.product or ""
        planned = self._products.at(frame.camera, frame.captured_at_ns)
        return "" if planned is None else planned[0].product
