"""What every part of the service stands on: the model, the rules that serve, the servers, and where things show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

import redis
import structlog

from models.scorer import Scorer
from monitor.adapters import key_prefix, redis_client
from monitor.alerting.clips import ClipMaker
from monitor.alerting.evidence import EvidenceStore
from monitor.alerting.outbox import Outbox
from monitor.alerting.storm import StormGuard
from monitor.evidence_wiring import EvidenceParts, evidence_parts
from monitor.judging.baseline.store import BaselineStore
from monitor.judging.presence import Presence
from monitor.live import LiveRules, calibrated, named
from monitor.model_loading import loaded
from monitor.orders.orders import Orders
from monitor.scoring.fill import RedisFills
from monitor.scoring.lens import RegionLens
from monitor.scoring.models import Models
from monitor.scoring.outline import outline
from monitor.serving.board import Board
from monitor.serving.ledger import Ledger
from monitor.serving.metrics import Metrics
from monitor.serving.server import HttpServer
from monitor.settings import Settings
from streams.redact import redact

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ground:
    """prefix: the first part of every key but the windows'. address: of Redis, without secrets. keeping: the evidence
    and who looks after it; `evidence` and `clips` are parts of it. base_url: how others reach the page. keep_s: how
    long alerts are kept. delivered: told the channel and the outcome of each delivery."""

    settings: Settings
    models: Models
    live: LiveRules
    metrics: Metrics
    ledger: Ledger
    board: Board
    presence: Presence
    client: redis.Redis
    prefix: str
    address: str
    outbox: Outbox
    lens: RegionLens
    evidence: EvidenceStore
    clips: ClipMaker | None
    keeping: EvidenceParts
    store: BaselineStore
    orders: Orders
    storm: StormGuard
    server: HttpServer
    base_url: str
    keep_s: float
    delivered: Callable[[str, str], None]


def lay(settings: Settings) -> Ground:
    """Load the model, bind the HTTP port, and make what asks no server. Raises as monitor.compose.compose does."""
    models = Models(loaded(settings.model))
    calibrated(models.current)  # a checkpoint without calibration is refused before anything is bound
    live = LiveRules(settings, models.current.info.preprocess.size)
    live.regions.check(named(settings))
    metrics = Metrics()
    show_model(metrics, models.current)
    client, prefix = redis_client(settings), key_prefix(settings)
    server = HttpServer(settings.http.host, settings.http.port)
    keeping = evidence_parts(settings, lambda camera, pixels: outline(pixels, live.region_of(camera)))
    storm, keep_s = settings.alerts.storm, settings.evidence.keep_days * 86_400

    def delivered(channel: str, outcome: Literal["delivered", "failed", "refused", "dropped"] | str) -> None:
        metrics.deliveries.labels(channel, outcome).inc()

    return Ground(
        settings=settings,
        models=models,
        live=live,
        metrics=metrics,
        ledger=Ledger(metrics),
        board=Board(),
        presence=Presence(),
        client=client,
        prefix=prefix,
        address=redact(settings.redis.url.get_secret_value()),
        outbox=Outbox(client, prefix),
        lens=RegionLens(live.regions, RedisFills(client, prefix)),
        evidence=keeping.store,
        clips=keeping.clips,
        keeping=keeping,
        store=BaselineStore(client, settings.redis.prefix, settings.redis.shards, live.window),
        orders=Orders(client, prefix, settings.maintenance, settings.products),
        storm=StormGuard(
            client,
            prefix,
            storm.max_alerts,
            storm.within_s,
            keep_s=keep_s,
            model=models.current.info.model_id,
        ),
        server=server,
        base_url=settings.http.public_url or server.url,
        keep_s=keep_s,
        delivered=delivered,
    )


def show_model(metrics: Metrics, scorer: Scorer) -> None:
    """Show in the metrics and the log what is running."""
    info, engine = scorer.info, scorer.engine
    metrics.build.clear()
    metrics.build.labels(version("linewatch"), info.model_id).set(1)
    show_engine(metrics, scorer)
    log.info("model", id=info.model_id, method=info.method, device=info.device, precision=info.precision)
    for note in engine.notes:
        log.warning("model_slower", reason=note)


def show_engine(metrics: Metrics, scorer: Scorer) -> None:
    """Show how it is getting on; to be called now and then."""
    metrics.scorer_chunk.set(scorer.engine.chunk)
    metrics.memory_shortages.set(scorer.engine.shortages)
