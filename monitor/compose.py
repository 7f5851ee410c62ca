"""The composition root: the running service from its settings, for production, demo and tests alike."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import redis
import redis.asyncio
import structlog
import torch
from redis.backoff import NoBackoff
from redis.retry import Retry

from dashboards.clients import connect
from models.checkpoint import CheckpointError, load
from models.scorer import Scorer
from monitor.alerting.alert import Event
from monitor.alerting.channels.channel import Channel
from monitor.alerting.channels.grafana import GrafanaChannel
from monitor.alerting.channels.kafka_topic import KafkaTopicChannel
from monitor.alerting.dispatch import Dispatcher
from monitor.alerting.evidence import EvidenceStore
from monitor.alerting.outbox import Outbox
from monitor.alerting.reporter import Reporter
from monitor.alerting.takeover import Takeover
from monitor.housekeeping import Housekeeping
from monitor.inputs import Input
from monitor.judging.episodes import EpisodeRule, Episodes
from monitor.judging.health import CameraHealth
from monitor.judging.judge import Baseline, Judge
from monitor.judging.presence import Presence
from monitor.judging.references import RedisReferences
from monitor.judging.watch import CameraWatch
from monitor.judging.window import RedisWindow
from monitor.kafka_security import security_of
from monitor.pipeline import Pipeline, Stages
from monitor.publishing import ScorePublisher
from monitor.scoring.decoding import Decoder
from monitor.scoring.inbox import Inbox
from monitor.scoring.sight import measure
from monitor.scoring.worker import Worker
from monitor.serving.api import Served, build_app
from monitor.serving.board import Board
from monitor.serving.ledger import Ledger
from monitor.serving.metrics import Metrics
from monitor.serving.server import HttpServer
from monitor.settings import Limits, Settings
from streams.files import FilesSource, FilesSourceOptions
from streams.kafka import KafkaSource, KafkaSourceOptions
from streams.redact import redact
from streams.rtsp import RtspSource, RtspSourceOptions
from streams.source import Source
from streams.usb import UsbSource, UsbSourceOptions

log = structlog.get_logger(__name__)

FLUSH_S = 10.0


@dataclass(frozen=True, slots=True)
class Service:
    """A composed service. `run` blocks until its sources end or `stop` is called.

    held_back: how many alerts of a camera were held back, by reason.
    """

    settings: Settings
    pipeline: Pipeline
    server: HttpServer
    dispatchers: tuple[Dispatcher, ...]
    housekeeping: Housekeeping
    ledger: Ledger
    board: Board
    metrics: Metrics
    outbox: Outbox
    held_back: Callable[[str], Mapping[str, int]]

    def run(self) -> None:
        """Serve, watch, and end in order: stop reading, finish what was read, flush the outbox, commit."""
        self.housekeeping.start()  # first, so that the first answer of /readyz is true
        self.server.start()
        for dispatcher in self.dispatchers:
            dispatcher.start()
        try:
            self.pipeline.run()
        finally:
            for dispatcher in self.dispatchers:
                dispatcher.stop(FLUSH_S)
                dispatcher.tell_what_is_left()
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


def compose(settings: Settings) -> Service:
    """Everything wired, nothing started; the HTTP port is bound.

    Raises models.checkpoint.CheckpointError for a checkpoint that cannot be used and OSError for a port that is
    taken. Servers that are away are no error here: they are waited for while the service runs.
    """
    torch.set_num_threads(settings.model.threads or max(1, (os.cpu_count() or 1) // 2))
    scorer = load(settings.model.checkpoint, device=settings.model.device)
    info = scorer.info
    metrics = Metrics()
    metrics.build.labels(version("linewatch"), info.model_id).set(1)
    ledger, board = Ledger(metrics), Board()
    client = redis_client(settings)
    outbox = Outbox(client, settings.redis.prefix)
    evidence = EvidenceStore(settings.evidence.dir, settings.evidence.keep_days)
    server = HttpServer(settings.http.host, settings.http.port)
    episodes = Episodes(episode_rule(settings))
    worker = Worker(scorer)
    presence = Presence()
    health = CameraHealth(settings.health.rules) if settings.health.enabled else None
    watch = CameraWatch(health, presence, RedisReferences(client, settings.redis.prefix))

    def written(event: Event) -> None:
        if event.alert.ended_at is None and event.alert.frame is not None:
            metrics.to_alert.observe(max(0.0, time.time() - event.alert.frame.captured_at / 1e9))

    def delivered(channel: str, outcome: str) -> None:
        metrics.deliveries.labels(channel, outcome).inc()

    reporter = Reporter(
        outbox,
        evidence,
        worker.heat,
        model=info.model_id,
        base_url=settings.http.public_url or server.url,
        keep_s=settings.evidence.keep_days * 86_400,
        written=written,
    )
    publish = settings.publish
    stages = Stages(
        inbox=Inbox(
            ledger,
            max_frames=4 * settings.batching.max_size,
            max_bytes=settings.limits.queue_bytes,
            live_frames=settings.batching.live_frames,
        ),
        decoder=Decoder(
            info.preprocess.picture,
            settings.limits.max_pixels,
            settings.batching.decode_threads,
            measure if health is not None else None,
        ),
        worker=worker,
        presence=presence,
        watch=watch,
        takeover=Takeover(outbox, episodes, watch),
        judge=Judge(
            window(settings, client), baseline(scorer), settings.alerts.threshold, settings.window.warm_up_frames
        ),
        episodes=episodes,
        reporter=reporter,
        publisher=ScorePublisher(
            publish.bootstrap_servers, publish.scores_topic, info.model_id, delivered, security_of(publish.security)
        )
        if publish
        else None,
        ledger=ledger,
        board=board,
        metrics=metrics,
    )
    dispatchers = tuple(Dispatcher(client, outbox.stream, channel, delivered) for channel in channels(settings))
    server.serve(
        build_app(
            Served(
                version=version("linewatch"),
                board=board,
                ledger=ledger,
                metrics=metrics,
                outbox=outbox,
                evidence=evidence,
                events=lambda: async_redis_client(settings),
                token=settings.http.token.get_secret_value() if settings.http.token else None,
                warm_up_frames=settings.window.warm_up_frames,
                held_back=episodes.held_back_at,
                accept_view=watch.accept,
            )
        )
    )
    return Service(
        settings=settings,
        pipeline=Pipeline(
            [source_of(entry, settings.limits.max_pixels) for entry in settings.sources],
            stages,
            max_batch=settings.batching.max_size,
            max_wait_s=settings.batching.max_wait_ms / 1000,
            flush_s=FLUSH_S,
        ),
        server=server,
        dispatchers=dispatchers,
        housekeeping=Housekeeping(
            client,
            redact(settings.redis.url.get_secret_value()),
            outbox,
            episodes,
            evidence,
            dispatchers,
            board,
            metrics,
            settings.evidence.keep_days,
        ),
        ledger=ledger,
        board=board,
        metrics=metrics,
        outbox=outbox,
        held_back=episodes.held_back_at,
    )


def source_of(entry: Input, max_pixels: int = Limits().max_pixels) -> Source:
    """The adapter of one entry of `sources`. `max_pixels`: cameras' larger pictures are refused where they arise."""
    if entry.kafka is not None:
        return KafkaSource(
            KafkaSourceOptions(
                **entry.kafka.model_dump(exclude={"security"}), security=security_of(entry.kafka.security)
            )
        )
    if entry.rtsp is not None:
        return RtspSource(
            RtspSourceOptions(
                **entry.rtsp.model_dump(exclude={"url"}),
                url=entry.rtsp.url.get_secret_value(),
                max_pixels=max_pixels,
            )
        )
    if entry.usb is not None:
        return UsbSource(UsbSourceOptions(**entry.usb.model_dump(), max_pixels=max_pixels))
    assert entry.files is not None  # the settings allow exactly one kind
    return FilesSource(FilesSourceOptions(**entry.files.model_dump()))


def channels(settings: Settings) -> list[Channel]:
    """Where alerts go, besides the page."""
    found: list[Channel] = []
    if settings.publish is not None:
        publish = settings.publish
        found.append(
            KafkaTopicChannel(publish.bootstrap_servers, publish.alerts_topic, security=security_of(publish.security))
        )
    if settings.grafana is not None:
        grafana = settings.grafana
        found.append(
            GrafanaChannel(
                connect(
                    grafana.url, grafana.token.get_secret_value(), timeout_s=grafana.timeout_s, library=grafana.library
                )
            )
        )
    return found


def baseline(scorer: Scorer) -> Baseline:
    """What the checkpoint says of normal frames. CheckpointError where it says nothing."""
    calibration = scorer.info.calibration
    if calibration is None:
        raise CheckpointError(
            "the checkpoint has no calibration, so nobody knows which scores are normal: import it again with "
            "`linewatch import FILE --normal FOLDER`, naming normal pictures from this camera"
        )
    return Baseline(calibration.low, calibration.high, calibration.threshold)


def window(settings: Settings, client: redis.Redis) -> RedisWindow:
    """The window of the settings."""
    return RedisWindow(
        client,
        settings.redis.prefix,
        max_frames=settings.window.max_frames,
        max_age_s=settings.window.max_age_s,
        relearn_after_frames=settings.window.relearn_after_frames,
        address=redact(settings.redis.url.get_secret_value()),
    )


def episode_rule(settings: Settings) -> EpisodeRule:
    """The on-delay, off-delay and cool-down of the settings."""
    alerts = settings.alerts
    return EpisodeRule(alerts.fire_after.frames, alerts.fire_after.of, alerts.resolve_after.frames, alerts.cooldown_s)


def redis_client(settings: Settings) -> redis.Redis:
    """One client for all threads. It does not repeat commands by itself: who calls knows what that would mean."""
    client: redis.Redis = redis.Redis.from_url(
        settings.redis.url.get_secret_value(),
        decode_responses=True,
        socket_timeout=settings.redis.timeout_s,
        socket_connect_timeout=settings.redis.timeout_s,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=30,
    )
    return client


def async_redis_client(settings: Settings) -> Any:
    """A connection for one listener of the event stream."""
    return redis.asyncio.Redis.from_url(
        settings.redis.url.get_secret_value(),
        decode_responses=True,
        socket_connect_timeout=settings.redis.timeout_s,
        socket_timeout=settings.redis.timeout_s + 5,
    )
