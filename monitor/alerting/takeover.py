"""What was firing at a camera goes on where the camera is judged next: after a restart, or in another worker."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

import redis
import structlog

from monitor.alerting.alert import ANOMALY, Alert
from monitor.alerting.outbox import Outbox
from monitor.judging.episodes import Change, Episodes, Transition
from monitor.judging.health import Trouble
from monitor.judging.watch import CameraWatch

log = structlog.get_logger(__name__)

RETRY_AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class Found:
    """in_trouble: cameras whose trouble goes on here. ended: what nobody will go on with, to be told as ended."""

    in_trouble: tuple[str, ...] = ()
    ended: tuple[Transition | Trouble, ...] = ()


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

    def meet(self, cameras: Iterable[str]) -> Found:
        """Take over what is firing at cameras that are new here."""
        fresh = set(cameras) - self._met
        if not fresh or time.monotonic() < self._next_try_s:
            return Found()
        try:
            firing = [alert for alert in self._outbox.firing() if alert.camera in fresh]
        except redis.RedisError as error:
            self._next_try_s = time.monotonic() + RETRY_AFTER_S
            log.info("episodes_not_adopted", error=type(error).__name__)
            return Found()
        self._met |= fresh
        return self._adopt(firing)

    def forget(self, camera: str) -> None:
        """Another worker judges it now; should it come back, it is asked about again."""
        self._met.discard(camera)

    def _adopt(self, firing: list[Alert]) -> Found:
        now_ns = time.time_ns()
        ended: list[Transition | Trouble] = []
        met: set[str] = set()
        for alert in firing:
            if alert.condition == ANOMALY:
                if self._episodes.active(alert.camera) is None:
                    self._episodes.adopt([alert.episode()])
                    continue
                # Redis was away at first, and here another episode has begun meanwhile.
                over = replace(alert.episode(), ended_at_ns=max(now_ns, alert.started_at))
                ended.append(Transition(Change.RESOLVED, over))
                continue
            trouble = alert.trouble()
            if trouble.condition.value not in self._watch.conditions(alert.camera):
                self._watch.adopt([trouble])
                if trouble.condition.value in self._watch.conditions(alert.camera):
                    met.add(alert.camera)
                    continue
            # Likewise, or this condition is no longer watched: nobody else would ever end it.
            ended.append(replace(trouble, ended_at_ns=max(now_ns, alert.started_at)))
        return Found(tuple(sorted(met)), tuple(ended))
