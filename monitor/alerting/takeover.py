"""What was going on at a camera goes on where the camera is judged next: after a restart, or in another worker."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import redis
import structlog

from monitor.alerting.alert import ANOMALY, DRIFT, MISSED, STORM, Alert
from monitor.alerting.outbox import Outbox
from monitor.judging.episodes import Change, Episode, Episodes, StateUnreadable, Transition
from monitor.judging.health import Trouble
from monitor.judging.watch import CameraWatch

log = structlog.get_logger(__name__)

RETRY_AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class Found:
    """in_trouble: cameras whose trouble goes on here. ended: what nobody will go on with, to be told as ended.
    drifting: alerts of baselines that drifted; whoever judges the camera ends them."""

    in_trouble: tuple[str, ...] = ()
    ended: tuple[Transition | Trouble, ...] = ()
    drifting: tuple[Alert, ...] = ()


class Takeover:
    """Asks the outbox about every camera once, before anything of it is judged. Belongs to the thread that judges.

    Episodes go on from the state that was kept of the camera: what was counted, what is firing, how far was judged.
    Where none is kept, or it cannot be read, they go on from what is firing. While Redis is away the cameras are
    judged all the same, and asked about later.
    """

    def __init__(self, outbox: Outbox, episodes: Episodes, watch: CameraWatch) -> None:
        self._outbox = outbox
        self._episodes = episodes
        self._watch = watch
        self._met: set[str] = set()
        self._next_try_s = 0.0

    def meet(self, cameras: Iterable[str]) -> Found:
        """Take over what is going on at cameras that are new here."""
        fresh = set(cameras) - self._met
        if not fresh or time.monotonic() < self._next_try_s:
            return Found()
        try:
            # In this order: whatever is firing by then is in the states, unless it has ended since.
            firing = [alert for alert in self._outbox.firing() if alert.camera in fresh]
            states = self._outbox.states(fresh)
            firing = [alert for alert in firing if self._still(alert, states)]
        except redis.RedisError as error:
            self._next_try_s = time.monotonic() + RETRY_AFTER_S
            log.info("episodes_not_adopted", error=type(error).__name__)
            return Found()
        self._met |= fresh
        ended = self._restore(states)
        return self._adopt(firing, ended)

    def forget(self, camera: str) -> None:
        """Another worker judges it now; should it come back, it is asked about again."""
        self._met.discard(camera)

    def _still(self, alert: Alert, states: Mapping[str, str]) -> bool:
        """Whether an alert that the kept state does not know is firing even now: its worker may just have ended it."""
        if alert.condition != ANOMALY or alert.alert_id in states.get(alert.camera, alert.alert_id):
            return True
        return alert.alert_id in {known.alert_id for known in self._outbox.firing()}

    def _restore(self, states: Mapping[str, str]) -> list[Transition | Trouble]:
        ended: list[Transition | Trouble] = []
        for camera, doc in states.items():
            try:
                left = self._episodes.restore(camera, doc)
            except StateUnreadable as error:
                log.warning(
                    "episode_state_unreadable",
                    camera=camera,
                    error=str(error),
                    remedy="what is firing there goes on; what was counted towards an alert or its end begins anew",
                )
                continue
            if left is not None:
                ended.append(_over(left))
        return ended

    def _adopt(self, firing: Sequence[Alert], ended: list[Transition | Trouble]) -> Found:
        met: set[str] = set()
        drifting: list[Alert] = []
        told = {over.episode.alert_id for over in ended if isinstance(over, Transition)}
        for alert in firing:
            if alert.condition == ANOMALY:
                active = self._episodes.active(alert.camera)
                if active is None:
                    self._episodes.adopt([alert.episode()])
                elif alert.alert_id not in told | {active.alert_id}:
                    # Redis was away at first, and here another episode has begun meanwhile.
                    ended.append(_over(alert.episode()))
            elif alert.condition == DRIFT:
                drifting.append(alert)
            elif alert.condition not in (STORM, MISSED):
                self._go_on_with(alert, met, ended)
        return Found(tuple(sorted(met)), tuple(ended), tuple(drifting))

    def _go_on_with(self, alert: Alert, met: set[str], ended: list[Transition | Trouble]) -> None:
        trouble = alert.trouble()
        if trouble is None:
            log.warning("alert_of_unknown_condition", alert_id=alert.alert_id, condition=alert.condition)
            return
        if trouble.condition.value not in self._watch.conditions(alert.camera):
            self._watch.adopt([trouble])
            if trouble.condition.value in self._watch.conditions(alert.camera):
                met.add(alert.camera)
                return
        # Redis was away at first, or this condition is no longer watched: nobody else would ever end it.
        ended.append(replace(trouble, ended_at_ns=max(time.time_ns(), alert.started_at)))


def _over(episode: Episode) -> Transition:
    return Transition(Change.RESOLVED, replace(episode, ended_at_ns=max(time.time_ns(), episode.started_at_ns)))
