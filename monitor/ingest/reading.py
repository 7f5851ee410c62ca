"""What the sources of the ingest report, put where it belongs."""

from __future__ import annotations

from monitor.ingest.ledger import EdgeLedger
from monitor.ingest.notices import Notices
from monitor.ingest.shipping import Shipper, expected_bytes
from monitor.scoring.inbox import Inbox
from monitor.serving.metrics import IngestMetrics
from streams.frame import Frame
from streams.source import Keep, Source


class EdgeOutlet:
    """What one source sees of the ingest (the port `streams.source.Outlet`)."""

    def __init__(
        self,
        source: Source,
        inbox: Inbox,
        ledger: EdgeLedger,
        notices: Notices,
        metrics: IngestMetrics,
        shipper: Shipper,
    ) -> None:
        self._source = source
        self._inbox = inbox
        self._ledger = ledger
        self._notices = notices
        self._metrics = metrics
        self._shipper = shipper
        self.live = False
        """Whether this source's frames cannot wait (Keep.NEWEST)."""

    def offer(self, frame: Frame, keep: Keep) -> bool:
        if keep is Keep.NEWEST:
            self.live = True
            return self._inbox.offer(self._source, frame, keep)
        size_bytes = expected_bytes(frame)
        if not self._shipper.reserve(size_bytes):
            return False
        taken = self._inbox.offer(self._source, frame, keep)
        if not taken:
            self._shipper.release(size_bytes)
        return taken

    def refuse(self, camera: str, reason: str) -> None:
        self._ledger.captured(camera)
        self._ledger.failed(camera, reason)

    def skip(self, camera: str, reason: str) -> None:
        self._ledger.captured(camera)
        self._ledger.dropped(camera, reason)

    def camera_up(self, camera: str, up: bool) -> None:
        self._metrics.camera_up.labels(camera).set(1 if up else 0)

    def camera_gone(self, camera: str) -> None:
        """Only topics lose cameras."""

    def lag(self, topic: str, partition: int, messages: int) -> None:
        """Cameras have no topic."""

    def trouble(self, source: str, message: str | None) -> None:
        self._notices.tell(source, message)
