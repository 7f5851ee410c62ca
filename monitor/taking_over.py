"""A changed configuration, laid under the parts of a running service."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from models.scorer import Scorer
from monitor.adapters import source_of
from monitor.alerting.storm import StormGuard
from monitor.delivering import Delivering
from monitor.delivery_process import DeliveryProcess
from monitor.inputs import Input
from monitor.judging.baseline.redis_window import RedisWindow
from monitor.judging.baseline.store import BaselineStore
from monitor.judging.calibrator import Calibrator
from monitor.judging.episodes import Episodes
from monitor.judging.judge import Judge
from monitor.live import LiveRules, calibrated, named
from monitor.model_loading import loaded
from monitor.orders.orders import Orders
from monitor.pipeline import Pipeline
from monitor.scoring.lens import RegionLens
from monitor.scoring.models import Models
from monitor.scoring.regions import Regions
from monitor.settings import Settings
from streams.source import Source

log = structlog.get_logger(__name__)

APPLIED_WITHIN_S = 5.0
"""So long the answer to a reload waits for the batch that is being judged."""


@dataclass(frozen=True, slots=True)
class Changeable:
    """The parts of a running service that a configuration can change."""

    live: LiveRules
    models: Models
    lens: RegionLens
    orders: Orders
    window: RedisWindow
    store: BaselineStore
    calibrator: Calibrator
    judge: Judge
    episodes: Episodes
    storm: StormGuard
    pipeline: Pipeline
    delivering: Delivering
    deliverer: DeliveryProcess | None


class TakingOver:
    """Prepares a configuration and lays it under the parts. One reload at a time.

    What frames are judged by changes between two batches, in the thread that judges. Sources that stay read on; of
    those that are taken out what was read is finished first.
    """

    def __init__(
        self, parts: Changeable, sources: Sequence[tuple[Input, Source]], model: Callable[[Scorer], None]
    ) -> None:
        """sources: what is read now, and the entry of the configuration that each comes from. model: told of a new
        one."""
        self._parts = parts
        self._sources = list(sources)
        self._told = model

    def prepare(self, settings: Settings, model_changed: bool) -> Callable[[], None]:
        """Load and check what can fail; the answer lays it under. Raises CheckpointError, ValueError, OSError."""
        scorer = self._loaded(settings) if model_changed else None
        side = (scorer or self._parts.models.current).info.preprocess.size
        Regions(settings.cameras, side).check(named(settings))
        wanted = list(settings.sources)
        gone = []
        for entry, source in self._sources:
            if entry in wanted:
                wanted.remove(entry)  # of two equal ones, one stays for one
            else:
                gone.append((entry, source))
        channels = self._parts.delivering.prepare(settings)
        come = [(entry, source_of(entry, settings.limits.max_pixels)) for entry in wanted]

        def apply() -> None:
            parts = self._parts
            done = parts.pipeline.between_batches(lambda: self._lay(settings, side, scorer))
            if not done.wait(APPLIED_WITHIN_S):
                log.warning(
                    "configuration_waits", reason="a batch is being judged, or waits for Redis; it follows then"
                )
            channels()
            if parts.deliverer is not None:
                parts.deliverer.use(settings)
            if gone or come:
                parts.pipeline.readers.replace([source for _, source in gone], [source for _, source in come])
                self._sources = [pair for pair in self._sources if pair not in gone] + come

        return apply

    def _lay(self, settings: Settings, side: int, scorer: Scorer | None) -> None:
        parts = self._parts
        if scorer is not None:
            parts.models.use(scorer)
            self._told(scorer)
        parts.live.use(settings, side)
        parts.lens.change(parts.live.regions)
        parts.orders.plan(settings.maintenance, settings.products)
        parts.window.rules = parts.store.rules = parts.live.window
        parts.judge.rulebook = replace(parts.judge.rulebook, mode=parts.live.window.mode)
        parts.episodes.rule = parts.live.episode
        parts.calibrator.use(parts.live.alarm, parts.live.settings.alerts.method)
        storm = parts.live.settings.alerts.storm
        parts.storm.limit(storm.max_alerts, storm.within_s)

    def _loaded(self, settings: Settings) -> Scorer:
        scorer = loaded(settings.model)
        calibrated(scorer)
        return scorer
