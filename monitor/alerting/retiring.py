"""What is firing at a camera that nobody watches any more: it ends with the camera."""

from __future__ import annotations

import time

import redis
import structlog

from monitor.alerting.alert import ANOMALY, DRIFT, EVENT_TYPES, ONLINE, Event
from monitor.alerting.outbox import Outbox
from monitor.judging.episodes import Change

log = structlog.get_logger(__name__)


def retire(outbox: Outbox, camera: str, keep_s: float) -> None:
    """End the alerts of a camera that was taken out of the configuration, and forget the state of its episodes: no data
    is not resolved, but no camera is. Where Redis is away they stay, and the log says so."""
    now_ns = time.time_ns()
    try:
        for alert in outbox.firing():
            if alert.camera != camera:
                continue
            kind = EVENT_TYPES[Change.RESOLVED] if alert.condition in (ANOMALY, DRIFT) else ONLINE
            ended = alert.model_copy(update={"ended_at": max(now_ns, alert.started_at)})
            outbox.write(Event(kind, now_ns, ended), keep_s)
            log.info("alert_retired", camera=camera, condition=alert.condition, alert_id=alert.alert_id)
        outbox.forget_state(camera)
    except redis.RedisError as error:
        log.warning(
            "alerts_not_retired",
            camera=camera,
            error=type(error).__name__,
            remedy="what is firing there stays open; add the camera and take it out again when Redis answers",
        )
