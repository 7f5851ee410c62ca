"""From episodes to the outbox: evidence first, then state and event in one step, and nothing forgotten meanwhile."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import redis
import structlog
from numpy.typing import NDArray

from monitor.alerting.alert import EVENT_TYPES, Event, alert_of, alert_of_trouble, drift_alert, kind_of_trouble
from monitor.alerting.clips import ClipMaker
from monitor.alerting.evidence import EvidenceStore
from monitor.alerting.outbox import Outbox
from monitor.alerting.storm import StormGuard
from monitor.judging.drift import Drift
from monitor.judging.episodes import Change, Transition
from monitor.judging.health import Trouble
from monitor.judging.judge import Verdict
from streams.frame import Frame

log = structlog.get_logger(__name__)

Heat = Callable[[Verdict], NDArray[np.float32]]
"""float32 [S, S]: where the network cannot reconstruct what a frame shows."""

RETRY_AFTER_S = 1.0


@dataclass
class _Due:
    """What goes to Redis in one transaction: an event, if there is one, and the state of cameras after it."""

    event: Event | None
    states: dict[str, str] = field(default_factory=dict)


class Reporter:
    """Writes what episodes and cameras did into the outbox. Belongs to one thread.

    While Redis is away, events and states wait here in order, and `waiting` tells the pipeline to finish no frame:
    Kafka then redelivers the frames after a crash, and the alert with them.
    """

    def __init__(
        self,
        outbox: Outbox,
        evidence: EvidenceStore,
        heat: Heat,
        *,
        model: Callable[[], str],
        base_url: str,
        keep_s: float,
        written: Callable[[Event], None],
        storm: StormGuard | None = None,
        clips: ClipMaker | None = None,
    ) -> None:
        """`model`: the id of the one in use. `written` is called for each event when it is in the outbox, but not for
        one that was there already; `keep_s` is how long alerts are kept. `storm` is told what fired, and its own
        events go out from here. `clips` makes films of what triggered."""
        self._outbox = outbox
        self._evidence = evidence
        self._heat = heat
        self._model = model
        self._base_url = base_url.rstrip("/")
        self._keep_s = keep_s
        self._written = written
        self._storm = storm
        self._clips = clips
        self._due: deque[_Due] = deque()
        self._next_try_s = 0.0
        self._away = False
        self.evidence_trouble: str | None = None

    @property
    def waiting(self) -> int:
        """Events and states that are not in the outbox yet."""
        return len(self._due) + (self._storm.unsaved if self._storm is not None else 0)

    @property
    def events_waiting(self) -> int:
        """Events among them."""
        return sum(due.event is not None for due in self._due)

    def report(self, transitions: Sequence[Transition], states: Mapping[str, str] | None = None) -> None:
        """Note what changed, and write it as soon as Redis takes it. states: `Episodes.changed()` after the last of
        the transitions; each transition brings the state right after it along."""
        now_ms = time.time_ns() // 1_000_000
        for transition in transitions:
            episode = transition.episode
            if transition.trigger is not None:
                self._keep_evidence(episode.alert_id, transition.trigger.frame, transition.trigger)
            if self._storm is not None and transition.change is Change.FIRING:
                self._storm.told(episode.alert_id, now_ms)
            trigger = transition.trigger  # where there is none, what was noted at the firing stays
            model, product = (self._model(), "") if trigger is None else (trigger.model, trigger.key.product)
            clip_url = None if trigger is None else self._clip(episode.alert_id, trigger.frame)
            alert = alert_of(episode, model, self._url(episode.alert_id), product, clip_url)
            event = Event(EVENT_TYPES[transition.change], _time_of(transition), alert)
            self._due.append(_Due(event, {} if transition.doc is None else {episode.camera: transition.doc}))
        self._note(states or {})
        self.flush()

    def keep(self, states: Mapping[str, str]) -> None:
        """Note the state of cameras where nothing is to be told, and write it likewise."""
        self._note(states)
        self.flush()

    def flush(self) -> None:
        """Write what waits. Keeps it, and says so, where Redis is away."""
        self._look_after_the_storm()
        if not self._due or time.monotonic() < self._next_try_s:
            return
        try:
            while self._due:
                self._write(self._due[0])
                self._due.popleft()
                self._away = False
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
            # What cannot be written, for a fault of ours, must not hold the others up for ever.
            lost = self._due.popleft()
            log.exception("event_lost", event_id=lost.event and lost.event.event_id, states=sorted(lost.states))
            if lost.event is not None and lost.states:
                self._due.appendleft(_Due(None, lost.states))

    def report_trouble(self, trouble: Trouble, frame: Frame | None) -> None:
        """Note that a trouble of a camera began or ended. `frame`: the one that shows it, if one does."""
        clip_url = None
        if trouble.ended_at_ns is None and frame is not None:
            self._keep_evidence(trouble.trouble_id, frame, None)
            clip_url = self._clip(trouble.trouble_id, frame)
        alert = alert_of_trouble(trouble, self._model(), frame, self._url(trouble.trouble_id), clip_url)
        time_ns = trouble.began_at_ns if trouble.ended_at_ns is None else trouble.ended_at_ns
        self._due.append(_Due(Event(kind_of_trouble(trouble), time_ns, alert)))
        self.flush()

    def report_drift(self, drift: Drift, relearn_after: int) -> None:
        """Note that a baseline began or ceased to drift. relearn_after: so many refused frames are a new normal."""
        change = Change.FIRING if drift.ended_at_ns is None else Change.RESOLVED
        time_ns = drift.began_at_ns if drift.ended_at_ns is None else drift.ended_at_ns
        self._due.append(_Due(Event(EVENT_TYPES[change], time_ns, drift_alert(drift, relearn_after))))
        self.flush()

    def _note(self, states: Mapping[str, str]) -> None:
        """The last transaction that waits takes the states along: everything that led to them is in by then."""
        if not states:
            return
        if not self._due:
            self._due.append(_Due(None))
        self._due[-1].states.update(states)

    def _write(self, due: _Due) -> None:
        event = due.event
        if event is None:
            self._outbox.keep(due.states)
            return
        if self._outbox.write(event, self._keep_s, due.states):
            _tell(event)
            self._written(event)
        else:
            log.info("alert_told_again", type=event.kind, alert_id=event.alert.alert_id)

    def _look_after_the_storm(self) -> None:
        if self._storm is not None:
            for event in self._storm.tick(time.time_ns() // 1_000_000):
                _tell(event)
                self._written(event)

    def _url(self, alert_id: str) -> str | None:
        if self._evidence.find(alert_id, "evidence") is None:
            return None
        return f"{self._base_url}/api/alerts/{alert_id}/evidence.jpg"

    def _clip(self, alert_id: str, frame: Frame) -> str | None:
        """Have the film of the frames around this one made; where it will be, if it will."""
        if self._clips is None or not self._clips.begin(alert_id, frame):
            return None
        return f"{self._base_url}/api/alerts/{alert_id}/clip.mp4"

    def _keep_evidence(self, alert_id: str, frame: Frame, verdict: Verdict | None) -> None:
        """`verdict`: where there is a heat map to be drawn."""
        heat = None
        try:
            heat = None if verdict is None else self._heat(verdict)
        except Exception as error:  # the frame without its heat map is better than nothing
            log.warning("heat_map_failed", alert_id=alert_id, error=f"{type(error).__name__}: {error}")
        try:
            self._evidence.save(alert_id, frame, heat)
            self.evidence_trouble = None
        except Exception as error:  # an alert without its picture is better than none
            self.evidence_trouble = f"evidence cannot be written: {error}"
            log.error("evidence_failed", alert_id=alert_id, error=str(error))


def _tell(event: Event) -> None:
    alert = event.alert
    log.info(
        "alert",
        type=event.kind,
        camera=alert.camera,
        condition=alert.condition,
        alert_id=alert.alert_id,
        severity=alert.severity.value,
        peak_score=round(alert.peak_score, 6),
    )


def _time_of(transition: Transition) -> int:
    episode = transition.episode
    if transition.change is Change.RESOLVED and episode.ended_at_ns is not None:
        return episode.ended_at_ns
    return episode.started_at_ns if transition.at_ns is None else transition.at_ns
