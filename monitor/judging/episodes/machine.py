"""From verdicts to episodes: one firing and one resolved event for each, however the scores flicker."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from monitor.judging.episodes import document
from monitor.judging.episodes.camera import CameraEpisodes, Onset
from monitor.judging.episodes.episode import (
    Change,
    Episode,
    EpisodeRule,
    EpisodeState,
    Gate,
    Hold,
    Reason,
    Transition,
    id_of,
    worse,
)
from monitor.judging.judge import Verdict

_BLANK = CameraEpisodes().body()


def _always_open(camera: str, at_ns: int) -> None:
    """Hold nothing back."""


def _nobody(camera: str, reason: Reason) -> None:
    """Tell nobody."""


@dataclass
class Episodes:
    """The state machine of every camera: quiet, pending, firing, recovering. Pure: time comes from the frames.

    Frames of a camera come in order; one that is delivered again changes nothing.
    rule: may be set anew between two steps; what is firing or pending goes on under the new one.
    gate: asked when an episode would begin that no cool-down holds back; where it is shut, the episode begins when it
    opens, if the frames of then are still anomalous enough.
    `held_back` counts, by camera and reason, the episodes that were kept from beginning: by a cool-down or the gate,
    which let them begin later, or by trouble of the camera itself, which drops them. A stretch of anomalous frames
    counts once for each reason. `on_held` is told of each.

    What a restart must not forget is told by `Transition.doc` and `changed`, and goes back in by `restore`.
    """

    rule: EpisodeRule
    gate: Gate = _always_open
    on_held: Callable[[str, Reason], None] = _nobody
    held_back: dict[tuple[str, Reason], int] = field(default_factory=dict)
    _cameras: dict[str, CameraEpisodes] = field(default_factory=dict)
    _kept: dict[str, dict[str, Any]] = field(default_factory=dict)
    _touched: dict[str, None] = field(default_factory=dict)

    def step(self, verdict: Verdict, hold: Hold = Hold.NO) -> Transition | None:
        """Take one verdict in; what it changed, if anything.

        Where the line makes another product than before, what was pending is dropped, and a firing episode goes on.
        With a hold nothing begins, and an episode that is firing neither grows nor ends: what is seen then is no
        news of the part.
        """
        name, at_ns = verdict.frame.camera, verdict.frame.captured_at_ns
        camera = self._camera(name)
        if not camera.marks.advance(verdict.frame):
            return None
        self._touched[name] = None
        camera.judged = True
        camera.sees(verdict.key.product)
        if hold is Hold.TROUBLE:
            self._in_trouble(name, camera, verdict)
            return None
        if camera.in_trouble:
            camera.in_trouble = camera.held_in_trouble = False
            camera.drop_pending()
        if camera.firing is not None:
            return self._while_firing(camera, camera.firing, verdict) if hold is Hold.NO else None
        camera.look(verdict, self.rule)
        due = camera.due(at_ns, self.rule)
        if hold is Hold.SUSPECT:
            camera.deferred = camera.deferred or due
            return None
        # What waited for the suspicion to be decided was about the part after all.
        onset, camera.deferred = due or camera.deferred, None
        if camera.since_ns is None:
            camera.held_for.clear()
        return None if onset is None else self._begin(name, camera, onset, at_ns)

    def state(self, camera: str) -> EpisodeState:
        """Where a camera stands."""
        known = self._cameras.get(camera)
        return known.state() if known else EpisodeState.QUIET

    def active(self, camera: str) -> Episode | None:
        """The episode that is firing now."""
        known = self._cameras.get(camera)
        return known.firing if known else None

    def undecided(self) -> list[str]:
        """The cameras with an episode that waits for a suspicion to be decided."""
        return [name for name, camera in list(self._cameras.items()) if camera.deferred]

    def let_go(self, camera: str) -> Transition | None:
        """Begin the episode that waits, if one does: nothing more comes that would decide the suspicion. A cool-down
        or a gate that is shut holds it back for good."""
        known = self._cameras.get(camera)
        if known is None or known.deferred is None:
            return None
        self._touched[camera] = None
        onset, known.deferred = known.deferred, None
        return self._begin(camera, known, onset, onset.worst.at_ns) if known.firing is None else None

    def changeover(self, camera: str) -> None:
        """What is pending at this camera is dropped; a firing episode goes on. `step` does so by itself where the
        product of the verdicts changes, and there a frame that is delivered again changes nothing."""
        known = self._cameras.get(camera)
        if known is not None:
            known.drop_pending()
            self._touched[camera] = None

    def adopt(self, episodes: Iterable[Episode]) -> None:
        """Go on with episodes of whose state nothing is known but that they were firing."""
        for episode in episodes:
            camera = self._camera(episode.camera)
            camera.drop_pending()
            camera.firing, camera.normal_in_a_row, camera.normal_since_ns = episode, 0, None
            camera.old_before_ns = max(episode.started_at_ns, episode.trigger_at_ns)
            self._touched[episode.camera] = None

    def restore(self, camera: str, doc: str) -> Episode | None:
        """Go on with a camera where an earlier process, or another worker, left it.

        Where frames of it were judged here already, since its state could not be read in time, what was found here
        holds, and only a firing episode and a cool-down are taken over. Returns the episode that nobody goes on with,
        since another one is firing here. Raises StateUnreadable.
        """
        found = document.read(doc)
        here = self._cameras.get(camera)
        if here is None or not here.judged:
            self._cameras[camera], self._kept[camera] = found, found.body()
            return None
        self._touched[camera] = None
        if here.firing is None and found.firing is not None:
            self.adopt([found.firing])
            return None
        here.cool_until_ns = max(here.cool_until_ns, found.cool_until_ns)
        if found.firing is None or here.firing is None or found.firing.alert_id == here.firing.alert_id:
            return None
        return found.firing

    def changed(self) -> dict[str, str]:
        """By camera, the state of those where it has changed since it was last told, here or with a transition.

        Where frames changed nothing else than how far was judged, judging them again changes nothing either, so a
        quiet camera is told of once.
        """
        docs = {}
        for name in self._touched:
            camera = self._cameras.get(name)
            if camera is not None and camera.body() != self._kept.get(name, _BLANK):
                docs[name] = self._doc(name, camera)
        self._touched.clear()
        return docs

    def forget(self, camera: str) -> None:
        """Another worker judges this camera now."""
        self._cameras.pop(camera, None)
        self._kept.pop(camera, None)
        self._touched.pop(camera, None)

    def held_back_at(self, camera: str) -> dict[str, int]:
        """How many episodes of one camera were held back, by reason."""
        return {reason.value: count for (name, reason), count in list(self.held_back.items()) if name == camera}

    def _camera(self, name: str) -> CameraEpisodes:
        return self._cameras.setdefault(name, CameraEpisodes())

    def _doc(self, name: str, camera: CameraEpisodes) -> str:
        self._kept[name] = camera.body()
        return document.write(self._kept[name], camera.marks)

    def _in_trouble(self, name: str, camera: CameraEpisodes, verdict: Verdict) -> None:
        """Nothing that was seen shortly before or during trouble of the camera starts an episode."""
        camera.in_trouble = True
        if camera.firing is not None:
            return
        camera.look(verdict, self.rule)
        if camera.deferred or camera.due(verdict.frame.captured_at_ns, self.rule):
            if not camera.held_in_trouble:
                self._count(name, Reason.CAMERA_TROUBLE)
            camera.held_in_trouble = True
        camera.deferred = None

    def _begin(self, name: str, camera: CameraEpisodes, onset: Onset, at_ns: int) -> Transition | None:
        """Begin an episode, or hold it back."""
        cool_ns = camera.cool_until_ns - at_ns
        if 0 < cool_ns <= round(self.rule.cooldown_s * 1e9):  # longer: the camera's clock was set back
            reason: Reason | None = Reason.COOL_DOWN
        else:
            reason = self.gate(name, at_ns)
        if reason is None:
            return self._fire(name, camera, onset)
        camera.begin_later()
        if reason not in camera.held_for:
            camera.held_for.add(reason)
            self._count(name, reason)
        return None

    def _count(self, camera: str, reason: Reason) -> None:
        self.held_back[camera, reason] = self.held_back.get((camera, reason), 0) + 1
        self.on_held(camera, reason)

    def _fire(self, name: str, camera: CameraEpisodes, onset: Onset) -> Transition:
        first, worst, shown = onset.first, onset.worst, onset.shown
        camera.firing = Episode(
            alert_id=id_of(name, first.identity),
            camera=name,
            started_at_ns=first.at_ns,
            peak_score=worst.score,
            limit=worst.limit,
            severity=self.rule.severity(worst.score, worst.low, worst.limit),
            trigger_origin=worst.origin if shown is None else shown.frame.origin,
            trigger_seq=worst.seq if shown is None else shown.frame.seq,
            trigger_at_ns=worst.at_ns if shown is None else shown.frame.captured_at_ns,
        )
        camera.drop_pending()
        camera.normal_in_a_row, camera.normal_since_ns = 0, None
        return Transition(Change.FIRING, camera.firing, shown, self._doc(name, camera))

    def _while_firing(self, camera: CameraEpisodes, firing: Episode, verdict: Verdict) -> Transition | None:
        at_ns = verdict.frame.captured_at_ns
        if camera.old_before_ns is not None:
            if at_ns < camera.old_before_ns:
                return None  # delivered again after a restart, from before the episode that was adopted
            camera.old_before_ns = None
        if not self.rule.recovers(verdict):
            camera.normal_in_a_row, camera.normal_since_ns = 0, None
            if verdict.anomalous and verdict.score > firing.peak_score:
                severity = worse(firing.severity, self.rule.severity(verdict.score, verdict.low, verdict.limit))
                camera.firing = replace(firing, peak_score=verdict.score, severity=severity)
                if severity is not firing.severity:
                    return Transition(Change.RAISED, camera.firing, doc=self._doc(firing.camera, camera), at_ns=at_ns)
            return None
        since_ns = at_ns if camera.normal_since_ns is None else min(camera.normal_since_ns, at_ns)
        camera.normal_in_a_row, camera.normal_since_ns = camera.normal_in_a_row + 1, since_ns
        if camera.normal_in_a_row < self.rule.resolve_frames or at_ns - since_ns < round(self.rule.resolve_s * 1e9):
            return None
        ended = replace(firing, ended_at_ns=max(at_ns, firing.started_at_ns))
        camera.firing = None
        camera.normal_in_a_row, camera.normal_since_ns = 0, None
        camera.cool_until_ns = at_ns + round(self.rule.cooldown_s * 1e9)
        return Transition(Change.RESOLVED, ended, doc=self._doc(firing.camera, camera))
