"""The running service: what was composed, started and ended in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from monitor.alerting.outbox import Outbox
from monitor.delivery_process import DeliveryProcess
from monitor.evidence_wiring import EvidenceParts
from monitor.housekeeping import Housekeeping
from monitor.judging.calibrator import Calibrator
from monitor.pipeline import Pipeline
from monitor.reload import Reloader
from monitor.serving.board import Board
from monitor.serving.ledger import Ledger
from monitor.serving.metrics import Metrics
from monitor.serving.server import HttpServer
from monitor.settings import Settings

FLUSH_S = 10.0


@dataclass(frozen=True, slots=True)
class Service:
    """A composed service. `run` blocks until its sources end or `stop` is called. deliverer: None where others deliver.

    held_back: how many alerts of a camera were held back, by reason.
    """

    settings: Settings
    pipeline: Pipeline
    server: HttpServer
    deliverer: DeliveryProcess | None
    keeping: EvidenceParts
    housekeeping: Housekeeping
    calibrator: Calibrator
    reloader: Reloader
    ledger: Ledger
    board: Board
    metrics: Metrics
    outbox: Outbox
    held_back: Callable[[str], Mapping[str, int]]

    def run(self) -> None:
        """Serve, watch, and end in order: stop reading, finish what was read, flush the outbox, commit."""
        self.housekeeping.start()  # first, so that the first answer of /readyz is true
        self.server.start()
        self.calibrator.start()
        self.keeping.start()
        if self.deliverer is not None:
            self.deliverer.start()
        try:
            self.pipeline.run()
        finally:
            self.keeping.stop(FLUSH_S)  # first, so that what is delivered last has its clips
            if self.deliverer is not None:
                self.deliverer.stop(FLUSH_S)
            self.calibrator.stop()
            self.housekeeping.stop()
            self.server.stop()

    def alert_count(self, camera: str) -> int:
        """How many episodes began at this camera in this run."""
        return sum(
            round(sample.value)
            for family in self.metrics.alerts.collect()
            for sample in family.samples
            if sample.name == "linewatch_alerts_total" and sample.labels["camera"] == camera
        )

    def stop(self) -> None:
        """Begin the end; what was read is finished. Safe from a signal handler."""
        self.pipeline.stop()
