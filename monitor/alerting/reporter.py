"""From episodes to the outbox: evidence first, then state and event in one step, and nothing forgotten meanwhile."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
import redis
import structlog
from numpy.typing import NDArray

from monitor.alerting.alert import EVENT_TYPES, Event, alert_of, alert_of_trouble, kind_of_trouble
from monitor.alerting.evidence import EvidenceStore
from monitor.alerting.outbox import Outbox
from monitor.judging.episodes import Change, Transition
from monitor.judging.health import Trouble
from streams.frame import Frame

log = structlog.get_logger(__name__)

Heat = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""uint8 [S, S, C] to float32 [S, S]: where the network cannot reconstruct."""

RETRY_AFTER_S = 1.0


class Reporter:
    """Writes what episodes and cameras did into the outbox. Belongs to one thread.

    While Redis is away, events wait here in order, and `waiting` tells the pipeline to finish no frame: Kafka then
    redelivers the frames after a crash, and the alert with them.
    """

    def __init__(
        self,
        outbox: Outbox,
        evidence: EvidenceStore,
        heat: Heat,
        *,
        model: str,
        base_url: str,
        keep_s: float,
        written: Callable[[Event], None],
    ) -> None:
        """`written` is called for each event when it is in the outbox; `keep_s` is how long alerts are kept."""
        self._outbox = outbox
        self._evidence = evidence
        self._heat = heat
        self._model = model
        self._base_url = base_url.rstrip("/")
        self._keep_s = keep_s
        self._written = written
        self._due: deque[Event] = deque()
        self._next_try_s = 0.0
        self._away = False
        self.evidence_trouble: str | None = None

    @property
    def waiting(self) -> int:
        """Events that are not in the outbox yet."""
        return len(self._due)

    def report(self, transitions: Sequence[Transition]) -> None:
        """Note what changed, and write it as soon as Redis takes it."""
        for transition in transitions:
            episode = transition.episode
            if transition.trigger is not None:
                self._keep_evidence(episode.alert_id, transition.trigger.frame, transition.trigger.picture)
            alert = alert_of(episode, self._model, self._url(episode.alert_id))
            self._due.append(Event(EVENT_TYPES[transition.change], _time_of(transition), alert))
        self.flush()

    def flush(self) -> None:
        """Write what waits. Keeps it, and says so, where Redis is away."""
        if not self._due or time.monotonic() < self._next_try_s:
            return
        try:
            while self._due:
                self._outbox.write(self._due[0], self._keep_s)
                event = self._due.popleft()
                self._away = False
                log.info(
                    "alert",
                    type=event.kind,
                    camera=event.alert.camera,
                    condition=event.alert.condition,
                    alert_id=event.alert.alert_id,
                    severity=event.alert.severity.value,
                    peak_score=round(event.alert.peak_score, 6),
                )
                self._written(event)
        except redis.RedisError as error:
            self._next_try_s = time.monotonic() + RETRY_AFTER_S
            if not self._away:
                log.warning(
                    "outbox_unavailable",
                    waiting=len(self._due),
                    error=type(error).__name__,
                    remedy="Redis is away; the events are written when it answers",
                )
            self._away = True
        except Exception:
            # An event that cannot be written, for a fault of ours, must not hold the others up for ever.
            log.exception("event_lost", event_id=self._due.popleft().event_id)

    def report_trouble(self, trouble: Trouble, frame: Frame | None) -> None:
        """Note that a trouble of a camera began or ended. `frame`: the one that shows it, if one does."""
        if trouble.ended_at_ns is None and frame is not None:
            self._keep_evidence(trouble.trouble_id, frame, None)
        alert = alert_of_trouble(trouble, self._model, frame, self._url(trouble.trouble_id))
        time_ns = trouble.began_at_ns if trouble.ended_at_ns is None else trouble.ended_at_ns
        self._due.append(Event(kind_of_trouble(trouble), time_ns, alert))
        self.flush()

    def _url(self, alert_id: str) -> str | None:
        if self._evidence.find(alert_id, "evidence") is None:
            return None
        return f"{self._base_url}/api/alerts/{alert_id}/evidence.jpg"

    def _keep_evidence(self, alert_id: str, frame: Frame, picture: NDArray[np.uint8] | None) -> None:
        """`picture`: what the network saw, where there is a heat map to be drawn."""
        try:
            self._evidence.save(alert_id, frame, None if picture is None else self._heat(picture))
            self.evidence_trouble = None
        except Exception as error:  # an alert without its picture is better than none
            self.evidence_trouble = f"evidence cannot be written: {error}"
            log.error("evidence_failed", alert_id=alert_id, error=str(error))


def _time_of(transition: Transition) -> int:
    episode = transition.episode
    if transition.change is Change.RESOLVED and episode.ended_at_ns is not None:
        return episode.ended_at_ns
    return episode.started_at_ns
