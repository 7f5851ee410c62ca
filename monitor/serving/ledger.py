"""The account of every frame: captured = scored + dropped + failed, per camera, to the frame, when at rest."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, field

from monitor.serving.metrics import Metrics


@dataclass
class Account:
    """One camera's frames. What is neither scored nor dropped nor failed is still on its way."""

    captured: int = 0
    scored: int = 0
    dropped: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    failed: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def in_flight(self) -> int:
        """Frames on their way; 0 at rest."""
        return self.captured - self.scored - sum(self.dropped.values()) - sum(self.failed.values())


class Ledger:
    """Counts frames, for the page, the summary and the metrics alike. Thread-safe."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._lock = threading.Lock()
        self._accounts: dict[str, Account] = defaultdict(Account)

    def captured(self, camera: str) -> None:
        with self._lock:
            self._accounts[camera].captured += 1
        self._metrics.captured.labels(camera).inc()

    def scored(self, camera: str) -> None:
        with self._lock:
            self._accounts[camera].scored += 1
        self._metrics.scored.labels(camera).inc()

    def dropped(self, camera: str, reason: str) -> None:
        with self._lock:
            self._accounts[camera].dropped[reason] += 1
        self._metrics.dropped.labels(camera, reason).inc()

    def failed(self, camera: str, reason: str) -> None:
        with self._lock:
            self._accounts[camera].failed[reason] += 1
        self._metrics.failed.labels(camera, reason).inc()

    def accounts(self) -> dict[str, Account]:
        """A copy of every camera's account, by camera id, in order."""
        with self._lock:
            return {
                camera: Account(a.captured, a.scored, dict(a.dropped), dict(a.failed))
                for camera, a in sorted(self._accounts.items())
            }

    def balances(self) -> bool:
        """Whether no frame is on its way; at rest, whether none was lost."""
        return all(account.in_flight == 0 for account in self.accounts().values())
