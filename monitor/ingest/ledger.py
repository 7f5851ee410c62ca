"""The account of every frame at the edge, and the table that a run prints at its end."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from monitor.serving.metrics import IngestMetrics
from monitor.summary import by_reason, table


@dataclass
class EdgeAccount:
    """One camera's frames. restored: found in the buffer of an earlier run."""

    captured: int = 0
    restored: int = 0
    sent: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)

    @property
    def under_way(self) -> int:
        """Frames that are neither sent nor dropped nor failed; at rest, those in the buffer."""
        lost = sum(self.dropped.values()) + sum(self.failed.values())
        return self.captured + self.restored - self.sent - lost


class EdgeLedger:
    """captured + restored = sent + dropped + failed + in the buffer, per camera, to the frame. Thread-safe."""

    def __init__(self, metrics: IngestMetrics) -> None:
        self._metrics = metrics
        self._lock = threading.Lock()
        self._accounts: dict[str, EdgeAccount] = defaultdict(EdgeAccount)

    def captured(self, camera: str) -> None:
        with self._lock:
            self._accounts[camera].captured += 1
        self._metrics.captured.labels(camera).inc()

    def restored(self, camera: str, count: int) -> None:
        with self._lock:
            self._accounts[camera].restored += count
        self._metrics.restored.labels(camera).inc(count)

    def sent(self, camera: str) -> None:
        with self._lock:
            self._accounts[camera].sent += 1
        self._metrics.sent.labels(camera).inc()

    def dropped(self, camera: str, reason: str, count: int = 1) -> None:
        with self._lock:
            self._accounts[camera].dropped[reason] += count
        self._metrics.dropped.labels(camera, reason).inc(count)

    def failed(self, camera: str, reason: str) -> None:
        with self._lock:
            self._accounts[camera].failed[reason] += 1
        self._metrics.failed.labels(camera, reason).inc()

    def accounts(self) -> dict[str, EdgeAccount]:
        """A copy of every camera's account, by camera id, in order."""
        with self._lock:
            return {
                camera: EdgeAccount(a.captured, a.restored, a.sent, Counter(a.dropped), Counter(a.failed))
                for camera, a in sorted(self._accounts.items())
            }


def unaccounted(accounts: Mapping[str, EdgeAccount], buffered: Mapping[str, int]) -> int:
    """Frames that are missing from the account, or in it twice; 0 at rest."""
    cameras = accounts.keys() | buffered.keys()
    return sum(abs(accounts.get(c, EdgeAccount()).under_way - buffered.get(c, 0)) for c in cameras)


HEADINGS = ("camera", "captured", "restored", "sent", "dropped", "failed", "in the buffer", "fps")


def summary(accounts: Mapping[str, EdgeAccount], buffered: Mapping[str, int], elapsed_s: float) -> str:
    """A table, a line a camera, then whether every frame is accounted for and what waits for the next start."""
    rows = [
        (
            camera,
            str(a.captured),
            str(a.restored),
            str(a.sent),
            by_reason(a.dropped),
            by_reason(a.failed),
            str(buffered.get(camera, 0)),
            f"{a.sent / elapsed_s:.1f}" if elapsed_s > 0 else "-",
        )
        for camera, a in accounts.items()
    ]
    lines = table(HEADINGS, rows)
    missing, waiting = unaccounted(accounts, buffered), sum(buffered.values())
    lines.append(
        f"{sum(a.sent for a in accounts.values())} frames sent in {elapsed_s:.1f} s; "
        + ("every frame is accounted for." if missing == 0 else f"{missing} FRAMES ARE NOT ACCOUNTED FOR.")
    )
    if waiting:
        lines.append(f"{waiting} frames wait in the buffer for the next start.")
    return "\n".join(lines)
