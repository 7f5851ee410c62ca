"""What was firing at a camera goes on where the camera is judged next: after a restart, or in another worker."""

from __future__ import annotations

import time
from collections.abc import Iterable

import redis
import structlog

from monitor.alerting.alert import ANOMALY, Alert
from monitor.alerting.outbox import Outbox
from monitor.judging.episodes import Episodes
from monitor.judging.watch import CameraWatch

log = structlog.get_logger(__name__)

RETRY_AFTER_S = 1.0


class Takeover:
    """Asks the outbox about every camera once, before anything of it is judged. Belongs to the thread that judges.

    While Redis is away the cameras are judged all the same, and asked about later.
    """

    def __init__(self, outbox: Outbox, episodes: Episodes, watch: CameraWatch) -> None:
        self._outbox = outbox
        self._episodes = episodes
        self._watch = watch
        self._met: set[str] = set()
        self._next_try_s = 0.0

    def meet(self, cameras: Iterable[str]) -> list[str]:
        """Take over what is firing at cameras that are new here. The cameras that turned out to be in trouble."""
        fresh = set(cameras) - self._met
        if not fresh or time.monotonic() < self._next_try_s:
            return []
        try:
            firing = [alert for alert in self._outbox.firing() if alert.camera in fresh]
        except redis.RedisError as error:
            self._next_try_s = time.monotonic() + RETRY_AFTER_S
            log.info("episodes_not_adopted", error=type(error).__name__)
            return []
        self._met |= fresh
        return self._adopt(firing)

    def forget(self, camera: str) -> None:
        """Another worker judges it now; should it come back, it is asked about again."""
        self._met.discard(camera)

    def _adopt(self, firing: list[Alert]) -> list[str]:
        # Where Redis was away at first, the camera may have been judged already: what began here goes first.
        self._episodes.adopt(
            alert.episode()
            for alert in firing
            if alert.condition == ANOMALY and self._episodes.active(alert.camera) is None
        )
        troubles = [
            alert.trouble()
            for alert in firing
            if alert.condition != ANOMALY and alert.condition not in self._watch.conditions(alert.camera)
        ]
        self._watch.adopt(troubles)
        return sorted({trouble.camera for trouble in troubles})
