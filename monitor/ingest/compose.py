"""The running ingest from its settings, for production and tests alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prometheus_client import start_http_server

from monitor.adapters import source_of
from monitor.ingest.encoding import Encoder
from monitor.ingest.ledger import EdgeLedger
from monitor.ingest.link import KafkaLink, Link, LinkOptions
from monitor.ingest.notices import Notices
from monitor.ingest.pipeline import Ingest, Stages
from monitor.ingest.settings import IngestSettings
from monitor.ingest.shipping import Shipper
from monitor.inputs import Input
from monitor.kafka_security import security_of
from monitor.scoring.inbox import Inbox
from monitor.serving.metrics import IngestMetrics
from streams.source import Source
from streams.spool import Spool

WAITING_FRAMES = 64
WAITING_BYTES = 64 << 20
"""Pictures that wait to be encoded, in memory."""
LIVE_FRAMES = 16
"""Of each live camera; more than that are superseded."""


def compose_ingest(
    settings: IngestSettings, sources: Sequence[Source] = (), connect: Callable[[], Link] | None = None
) -> Ingest:
    """Everything wired, nothing started; the buffer is open. Tests bring their own `sources` and links.

    Raises streams.spool_file.SpoolError for a buffer that cannot be used and KafkaSecurityError for a certificate
    that cannot.
    """
    kafka = settings.kafka
    security = security_of(kafka.security)
    security.check()
    options = LinkOptions(kafka.bootstrap_servers, kafka.topic, kafka.max_message_bytes, security)
    spool = Spool(settings.buffer.dir.expanduser(), settings.buffer.max_bytes)
    metrics, notices = IngestMetrics(), Notices()
    ledger = EdgeLedger(metrics)
    stages = Stages(
        inbox=Inbox(ledger, max_frames=WAITING_FRAMES, max_bytes=WAITING_BYTES, live_frames=LIVE_FRAMES),
        encoder=Encoder(settings.encode, kafka.max_message_bytes),
        threads=settings.encode.threads,
        shipper=Shipper(
            spool,
            connect or (lambda: KafkaLink(options)),
            ledger,
            notices,
            metrics,
            max_bytes=settings.buffer.max_bytes,
        ),
        spool=spool,
        ledger=ledger,
        notices=notices,
        metrics=metrics,
    )
    return Ingest(sources or [edge_source(settings, index) for index in range(len(settings.sources))], stages)


def edge_source(settings: IngestSettings, index: int) -> Source:
    """The adapter of one entry of `sources`, the same that the monitor uses."""
    entry = settings.sources[index]
    return source_of(Input(rtsp=entry.rtsp, usb=entry.usb, files=entry.files), settings.encode.max_pixels)


def serve_metrics(settings: IngestSettings, ingest: Ingest) -> Callable[[], None]:
    """Answer Prometheus where the settings say so; returns what ends it. Raises OSError for a port that is taken."""
    address = settings.metrics
    if address is None:
        return lambda: None
    server, _ = start_http_server(address.port, address.host, ingest.registry)
    return server.shutdown
