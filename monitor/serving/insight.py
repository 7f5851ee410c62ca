"""What is known of each camera's baseline, threshold and region, for who asks about a camera by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from monitor.judging.baseline.port import BaselineKey, Mode
from monitor.judging.following import Found
from monitor.live import LiveRules
from monitor.serving.board import Board
from monitor.serving.views import RegionView, ThresholdFrom


class Insight:
    """Answers from what the board shows and the configuration says. Thread-safe, asks no server."""

    def __init__(self, board: Board, live: LiveRules, found: Callable[[], Mapping[BaselineKey, Found]]) -> None:
        """`found`: the thresholds that were found from the wished rates of false alarms."""
        self._board = board
        self._live = live
        self._found = found

    def current(self, camera: str) -> BaselineKey | None:
        """The baseline that the camera was held against last."""
        return self._board.read(camera, lambda status: status.verdict.key if status.verdict else None)

    def learning(self) -> list[BaselineKey]:
        """The baselines that frames are held against now, where the threshold is found from a wished rate."""
        if self._live.window.mode is Mode.FROZEN:
            return []
        keys = self._board.read_all(lambda status: status.verdict.key if status.verdict else None)
        return [key for key in keys if key is not None and self._live.threshold(key.camera) == "auto"]

    def learnt(self, key: BaselineKey, epoch: int | None) -> float | None:
        """The limit that was found for a baseline of this epoch (None: whichever it is); None while there is none."""
        found = self._found().get(key)
        if found is None or (epoch is not None and found.epoch != epoch):
            return None
        return found.threshold.value

    def threshold_from(self, camera: str) -> ThresholdFrom | None:
        """Where the camera's automatic threshold comes from."""
        key = self.current(camera)
        found = None if key is None or self._live.threshold(camera) != "auto" else self._found().get(key)
        if found is None:
            return None
        threshold = found.threshold
        return ThresholdFrom(
            method=threshold.method,
            wished_per_day=threshold.wished_per_day,
            peaks=threshold.peaks,
            needed_peaks=threshold.needed_peaks,
            watched_s=threshold.watched_s,
            needed_s=threshold.needed_s,
            value=threshold.value,
        )

    def region(self, camera: str) -> RegionView | None:
        """What of the camera's picture counts."""
        region = self._live.regions(camera)
        if region.is_everything:
            return None
        return RegionView(inside=[list(p) for p in region.inside], outside=[list(p) for p in region.outside])
