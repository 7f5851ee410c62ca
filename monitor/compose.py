"""The composition root: the running service from its settings, for production, demo and tests alike."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import structlog

from models.scorer import Scorer
from monitor.adapters import async_redis_client, source_of
from monitor.alerting.retiring import retire
from monitor.delivering import Delivering
from monitor.delivery.escalating import escalate
from monitor.delivery.trial import Tried, try_out
from monitor.delivery.trial_event import trial_event
from monitor.delivery_figures import DeliveryFigures, told_to
from monitor.delivery_process import DeliveryProcess
from monitor.delivery_wiring import Wired, wire
from monitor.groundwork import Ground, lay, show_engine, show_model
from monitor.housekeeping import Housekeeping
from monitor.inputs import Input
from monitor.judging_wiring import Judging, judging
from monitor.kafka_security import security_of
from monitor.orders.marks import Marks
from monitor.pipeline import Pipeline, Stages
from monitor.publishing import ScorePublisher
from monitor.recording import ScoreRecorder
from monitor.reload import Loaded, Reloader
from monitor.scoring.decoding import Decoder, Optics, Picture
from monitor.scoring.inbox import Inbox
from monitor.scoring.worker import Worker
from monitor.service import FLUSH_S, Service
from monitor.serving.api import Served, build_app
from monitor.settings import Settings
from monitor.subscription_settings import Subscription
from monitor.supervision import Custody, SourceOutlet
from monitor.taking_over import Changeable, TakingOver
from streams.frame import Frame, Pixels
from streams.source import Outlet, Source

log = structlog.get_logger(__name__)


def compose(settings: Settings, path: Path | None = None) -> Service:
    """Everything wired, nothing started; the HTTP port is bound.

    path: the file that the settings came from, to be read again at a reload. Raises models.checkpoint.CheckpointError
    for a checkpoint that cannot be used, ValueError for regions that leave nothing of a camera, OSError for a port
    that is taken. Servers that are away are no error here: they are waited for while the service runs.
    """
    ground = lay(settings)
    worker = Worker(ground.models)
    publisher, recorder = _publisher(ground), _recorder(settings)
    judged = judging(ground, worker, publisher, recorder)
    sources = [(entry, source_of(entry, settings.limits.max_pixels)) for entry in settings.sources]
    stages = _stages(ground, worker, judged, publisher, recorder)
    pipeline = Pipeline(
        [source for _, source in sources],
        stages,
        max_batch=settings.batching.max_size,
        max_wait_s=settings.batching.max_wait_ms / 1000,
        flush_s=FLUSH_S,
    )
    wired, deliverer = _delivery(ground), _delivery_process(ground)
    reloader = _reloader(ground, judged, pipeline, (wired.delivering, deliverer), sources, path)
    ground.server.serve(build_app(_served(ground, judged, wired, reloader)))
    return Service(
        settings=settings,
        pipeline=pipeline,
        server=ground.server,
        deliverer=deliverer,
        keeping=ground.keeping,
        housekeeping=Housekeeping(
            ground.client,
            ground.address,
            ground.outbox,
            judged.episodes,
            ground.evidence,
            ground.board,
            ground.metrics,
            settings.evidence.keep_days,
            chores=(
                ground.orders.refresh,
                lambda: show_engine(ground.metrics, ground.models.current),
                _look_after_regions(ground),
                _count_lost_scores(ground, recorder),
                _delivery_figures(ground, wired),
                _look_after_evidence(ground),
            ),
        ),
        calibrator=judged.calibrator,
        reloader=reloader,
        ledger=ground.ledger,
        board=ground.board,
        metrics=ground.metrics,
        outbox=ground.outbox,
        held_back=judged.episodes.held_back_at,
    )


def _delivery(ground: Ground) -> Wired:
    return wire(
        lambda: ground.live.settings,
        ground.live.rules,
        client=ground.client,
        prefix=ground.prefix,
        outbox=ground.outbox,
        evidence=ground.evidence,
        base_url=ground.base_url,
        told=told_to(ground.metrics),
        here=False,
    )


def _delivery_process(ground: Ground) -> DeliveryProcess | None:
    """Who delivers for this worker; nobody, where `linewatch dispatch` does."""
    settings = ground.settings
    return DeliveryProcess(settings, ground.base_url, told_to(ground.metrics)) if settings.delivery.here else None


def _delivery_figures(ground: Ground, wired: Wired) -> DeliveryFigures:
    return DeliveryFigures(
        wired.delivering.router,
        wired.queue,
        wired.dead_letters,
        lambda: wired.delivering.channel_kinds,
        ground.metrics,
        ground.board,
    )


def _stages(
    ground: Ground,
    worker: Worker,
    judged: Judging,
    publisher: ScorePublisher | None,
    recorder: ScoreRecorder | None,
) -> Stages:
    settings = ground.settings
    inbox = Inbox(
        ground.ledger,
        max_frames=4 * settings.batching.max_size,
        max_bytes=settings.limits.queue_bytes,
        live_frames=settings.batching.live_frames,
    )

    def outlet(custody: Custody) -> tuple[Outlet, Callable[[], None]]:
        made = SourceOutlet(custody, inbox, ground.ledger, ground.board, ground.metrics, ground.presence)
        return made, made.ended

    def optics() -> Optics:
        info = ground.models.current.info

        def picture(frame: Frame, pixels: Pixels) -> Picture:
            return ground.lens(frame.camera, info.preprocess.picture(pixels), frame.captured_at_ns)

        return Optics(info.model_id, info.preprocess.size, lambda camera: ground.lens.region(camera).id, picture)

    return Stages(
        outlet=outlet,
        retired=lambda camera: retire(ground.outbox, camera, ground.keep_s),
        inbox=inbox,
        decoder=Decoder(
            optics,
            settings.limits.max_pixels,
            settings.batching.decode_threads,
            healthy=settings.health.enabled,
            reduced=settings.batching.reduced_decoding,
        ),
        worker=worker,
        judging=judged.stage,
        publisher=publisher,
        recorder=recorder,
        ledger=ground.ledger,
        metrics=ground.metrics,
    )


def _publisher(ground: Ground) -> ScorePublisher | None:
    publish = ground.settings.publish
    if publish is None:
        return None
    return ScorePublisher(
        publish.bootstrap_servers, publish.scores_topic, ground.delivered, security_of(publish.security)
    )


def _recorder(settings: Settings) -> ScoreRecorder | None:
    recording = settings.recording
    return None if recording is None else ScoreRecorder(recording.dir, recording.keep_days)


def _reloader(
    ground: Ground,
    judged: Judging,
    pipeline: Pipeline,
    delivery: tuple[Delivering, DeliveryProcess | None],
    sources: list[tuple[Input, Source]],
    path: Path | None,
) -> Reloader:
    changeable = Changeable(
        live=ground.live,
        models=ground.models,
        lens=ground.lens,
        orders=ground.orders,
        window=judged.window,
        store=ground.store,
        calibrator=judged.calibrator,
        judge=judged.judge,
        episodes=judged.episodes,
        storm=ground.storm,
        pipeline=pipeline,
        delivering=delivery[0],
        deliverer=delivery[1],
    )

    def model(scorer: Scorer) -> None:
        show_model(ground.metrics, scorer)

    def told(loaded: Loaded, outcome: str) -> None:
        ground.metrics.config_good.set(0 if loaded.refused else 1)
        ground.metrics.config_loaded.set(loaded.at_s)
        if outcome != "start":
            ground.metrics.reloads.labels(outcome).inc()
        refused = loaded.refused and f"the changed file was refused, the last good one serves: {loaded.refused}"
        ground.board.note("configuration", refused)

    return Reloader(path, ground.settings, TakingOver(changeable, sources, model), told)


def _served(ground: Ground, judged: Judging, wired: Wired, reloader: Reloader) -> Served:
    settings, insight = ground.settings, judged.insight
    return Served(
        version=version("linewatch"),
        board=ground.board,
        ledger=ground.ledger,
        metrics=ground.metrics,
        outbox=ground.outbox,
        evidence=ground.evidence,
        events=lambda: async_redis_client(settings),
        http=settings.http,
        held_back=judged.episodes.held_back_at,
        accept_view=judged.watch.accept,
        rules=lambda: ground.live.window,
        store=ground.store,
        orders=ground.orders,
        marks=Marks(
            ground.client,
            ground.prefix,
            ground.outbox,
            ground.store,
            ground.evidence,
            base_url=ground.base_url,
            keep_s=ground.keep_s,
        ),
        current=insight.current,
        threshold_from=insight.threshold_from,
        episode_state=lambda camera: judged.episodes.state(camera).value,
        region=insight.region,
        reload=reloader.reload,
        notes=ground.board.all_notes,
        subscriptions=wired.book,
        dead_letters=wired.dead_letters,
        queue=wired.queue,
        channel_kinds=lambda: wired.delivering.channel_kinds,
        try_out=_trial(ground, wired),
        escalate=partial(escalate, ground.outbox, wired.book, wired.place),
        links=wired.links,
    )


def _trial(ground: Ground, wired: Wired) -> Callable[[Subscription, str], list[Tried]]:
    def trial(subscription: Subscription, by: str) -> list[Tried]:
        cameras = ground.board.read_all(lambda status: status.camera)
        log.info("subscription_tried", subscription=subscription.name, by=by)
        return try_out(subscription, wired.delivering.channel, trial_event(subscription, cameras, wired.place))

    return trial


def _look_after_regions(ground: Ground) -> Callable[[], None]:
    def look() -> None:
        ground.lens.keep()
        ground.board.note("regions", ground.lens.trouble)

    return look


def _look_after_evidence(ground: Ground) -> Callable[[], None]:
    skipped = 0

    def look() -> None:
        nonlocal skipped
        ground.board.note("clips and storage", ground.keeping.trouble)
        if ground.clips is not None:
            lost = ground.clips.skipped + ground.clips.failed
            ground.metrics.clips_skipped.inc(lost - skipped)
            skipped = lost

    return look


def _count_lost_scores(ground: Ground, recorder: ScoreRecorder | None) -> Callable[[], None]:
    counted = 0

    def count() -> None:
        nonlocal counted
        if recorder is not None:
            lost = recorder.dropped()
            ground.metrics.recording_dropped.inc(lost - counted)
            counted = lost
            ground.board.note("recording", recorder.trouble)

    return count
