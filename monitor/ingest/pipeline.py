"""A frame's way at the edge: source → inbox → encode → broker, or the buffer on disk until the broker is there."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog
from prometheus_client import CollectorRegistry

from monitor.ingest.encoding import Encoder
from monitor.ingest.ledger import EdgeLedger
from monitor.ingest.notices import Notices
from monitor.ingest.reading import EdgeOutlet
from monitor.ingest.shipping import Outgoing, Shipper, expected_bytes
from monitor.scoring.inbox import Arrival, Inbox, Origin
from monitor.serving.metrics import IngestMetrics
from monitor.supervision import SourceThread
from streams.codec import CodecError
from streams.source import Source
from streams.spool import Spool

log = structlog.get_logger(__name__)

BATCH = 16
WAIT_S = 0.005
"""So long a frame may wait for others to be encoded with it."""
READERS_END_S = 20.0
"""A source that does not return so long after a stop is left behind."""


@dataclass(frozen=True, slots=True)
class Stages:
    """What the ingest strings together."""

    inbox: Inbox
    encoder: Encoder
    threads: int
    shipper: Shipper
    spool: Spool
    ledger: EdgeLedger
    notices: Notices
    metrics: IngestMetrics


class Ingest:
    """Runs until every source has ended and all is sent, or until it is stopped."""

    def __init__(self, sources: Sequence[Source], stages: Stages) -> None:
        self._sources = sources
        self._s = stages
        self._outlets: dict[Origin, EdgeOutlet] = {}
        self._pool = ThreadPoolExecutor(stages.threads or min(4, os.cpu_count() or 1), thread_name_prefix="encode")

    @property
    def ledger(self) -> EdgeLedger:
        return self._s.ledger

    @property
    def registry(self) -> CollectorRegistry:
        """For Prometheus."""
        return self._s.metrics.registry

    @property
    def buffered(self) -> dict[str, int]:
        """Frames in the buffer, by camera."""
        return self._s.spool.counts

    def run(self, stop: threading.Event) -> None:
        """Block until the end; `stop` asks for it: read no more, send for some seconds, keep the rest in the buffer."""
        s = self._s
        readers = []
        for source in self._sources:
            self._outlets[source] = EdgeOutlet(source, s.inbox, s.ledger, s.notices, s.metrics, s.shipper)
            readers.append(SourceThread(source, self._outlets[source], stop))
        encode = threading.Thread(target=self._encode, name="encode", daemon=True)
        ship = threading.Thread(target=s.shipper.run, args=(stop,), name="ship", daemon=True)
        for thread in (ship, encode, *readers):
            thread.start()
        for reader in readers:
            while reader.is_alive() and not stop.is_set():
                reader.join(0.2)
        left_s = time.monotonic() + READERS_END_S
        for reader in readers:
            reader.join(max(0.0, left_s - time.monotonic()))
            if reader.is_alive():
                log.error("source_does_not_end", source=reader.source.name)
        s.inbox.close()
        encode.join()
        s.shipper.end()
        ship.join()
        self._pool.shutdown(wait=True)
        s.spool.close()
        for reader in readers:
            reader.source.close()

    def _encode(self) -> None:
        while (arrivals := self._s.inbox.gather(BATCH, WAIT_S)) is not None:
            encoded = [outgoing for outgoing in self._pool.map(self._one, arrivals) if outgoing is not None]
            if encoded:
                self._s.shipper.take(encoded)
            for arrival in arrivals:
                arrival.source.finish(arrival.frame)  # from here on the shipper answers for it

    def _one(self, arrival: Arrival) -> Outgoing | None:
        frame, live = arrival.frame, self._outlets[arrival.source].live
        reserved_bytes = 0 if live else expected_bytes(frame)
        try:
            return Outgoing(self._s.encoder.encode(frame), live, reserved_bytes)
        except CodecError as error:
            reason, detail = error.reason, str(error)
        except Exception as error:  # one strange picture must not end the others' way
            log.exception("encoding_failed", camera=frame.camera, origin=frame.origin)
            reason, detail = "internal_error", type(error).__name__
        self._s.shipper.release(reserved_bytes)
        self._s.ledger.failed(frame.camera, reason)
        log.info("frame_rejected", camera=frame.camera, origin=frame.origin, reason=reason, detail=detail)
        arrival.source.reject(frame, f"{reason}: {detail}")
        return None
