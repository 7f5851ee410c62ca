"""The health of all cameras, frame by frame and where none comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from monitor.judging.health.conditions import findings
from monitor.judging.health.hysteresis import Hysteresis
from monitor.judging.health.learning import Learner
from monitor.judging.health.reference import Reference
from monitor.judging.health.rules import HealthRules
from monitor.judging.health.silence import Silence
from monitor.judging.health.trouble import Condition, Look, Trouble
from monitor.scoring.sight import Sight

log = structlog.get_logger(__name__)

CLOCK_SET_BACK_AFTER_S: Final = 30.0
"""When times have not risen for so long, though frames come, the camera's clock was set back: the new time counts."""

LEARNT_ANEW: Final = (Condition.RELIT, Condition.MOVED)
"""What becomes normal by itself after `relearn_after_s`: the camera sees parts, if otherwise than before. A cover or a
blur never does."""

DECISION_FRAMES: Final = 3
"""So many frames must say the same before anything changes, however seldom they come."""

_AGAINST_REFERENCE: Final = (Condition.BLURRED, Condition.COVERED, Condition.MOVED, Condition.RELIT)


@dataclass
class _Camera:
    rules: HealthRules
    learner: Learner
    silence: Silence
    tracks: dict[Condition, Hysteresis]
    last_ns: int | None = None
    last_s: float = 0.0
    checksum: int | None = None
    equal_since_ns: int = 0
    held_since_ns: int | None = None
    held_frames: int = 0
    look: Look = field(default_factory=lambda: Look(frozenset(), False))
    view: tuple[Condition, ...] = field(init=False)

    def __post_init__(self) -> None:
        # The conditions watched that one picture can show.
        self.view = tuple(condition for condition in self.tracks if condition is not Condition.FROZEN)


class CameraHealth:
    """Conditions of all cameras. Belongs to one thread; `measure` may run in others.

    Frames of a camera come in rising time; those that are late or delivered again change nothing.
    """

    def __init__(self, rules: Callable[[str], HealthRules], wall_ns: Callable[[], int] = time.time_ns) -> None:
        """`rules`: the limits for a camera of this name; asked once for each."""
        self._rules = rules
        self._wall_ns = wall_ns
        self._cameras: dict[str, _Camera] = {}

    def see(self, camera: str, sight: Sight, frame_time_ns: int, now_s: float) -> Look:
        """One frame. `frame_time_ns`: when it was captured; `now_s`: monotonic."""
        known = self._camera(camera)
        dt_s = 0.0
        if known.last_ns is not None:
            dt_s = (frame_time_ns - known.last_ns) / 1e9
            if dt_s <= 0:
                if now_s - known.last_s < CLOCK_SET_BACK_AFTER_S:
                    return Look(known.look.suspect, known.look.held)
                dt_s = 0.0
                known.equal_since_ns = frame_time_ns
                known.held_since_ns = None
        known.last_ns, known.last_s = frame_time_ns, now_s
        seen, changes = self._judge(known, sight, frame_time_ns, dt_s)
        undecided = {condition for condition in known.view if known.tracks[condition].undecided}
        known.look = Look(frozenset(seen | undecided), self._held(known, undecided, frame_time_ns), tuple(changes))
        return known.look

    def tick(self, now_s: float, silence_s: Mapping[str, float]) -> list[Trouble]:
        """What changed where no frame came. `silence_s`: for how long each camera that can be heard said nothing."""
        changes = []
        for camera, silent_s in silence_s.items():
            known = self._camera(camera)
            changed = known.silence.step(now_s, silent_s, known.last_ns, self._wall_ns())
            if changed is not None:
                changes.append(changed)
        return changes

    def conditions(self, camera: str) -> tuple[Condition, ...]:
        """What holds now."""
        known = self._cameras.get(camera)
        if known is None:
            return ()
        tracks = (condition for condition, track in known.tracks.items() if track.trouble is not None)
        return (Condition.OFFLINE, *tracks) if known.silence.trouble is not None else tuple(tracks)

    def adopt(self, troubles: Iterable[Trouble]) -> None:
        """Go on with troubles that an earlier process had begun, before the first frame.

        What is no longer watched is not adopted. Without the reference (`restore`) a new one is learnt from what the
        camera shows then, and the trouble ends when the camera goes on showing it.
        """
        for trouble in troubles:
            known = self._camera(trouble.camera)
            if trouble.condition is Condition.OFFLINE:
                if Condition.OFFLINE in known.rules.watch:
                    known.silence.trouble = trouble
            elif trouble.condition in known.tracks:
                known.tracks[trouble.condition].adopt(trouble)

    def accept(self, camera: str) -> list[Trouble]:
        """What this camera shows now is how it shall be: learn the reference anew. The troubles that this ends."""
        known = self._camera(camera)
        at_ns = self._wall_ns() if known.last_ns is None else known.last_ns
        known.learner.forget()
        ended = [track.end(at_ns) for condition, track in known.tracks.items() if condition in _AGAINST_REFERENCE]
        return [trouble for trouble in ended if trouble is not None]

    def offline(self) -> list[str]:
        """The cameras that count as offline."""
        return [camera for camera, known in self._cameras.items() if known.silence.trouble is not None]

    def present(self, camera: str) -> list[Trouble]:
        """This camera owes us nothing any more, or sends only now and then: it is not offline."""
        known = self._camera(camera)
        ended = known.silence.end(self._wall_ns())
        return [] if ended is None else [ended]

    def online_after_s(self, camera: str) -> float:
        """How long frames must come before an offline camera counts as back."""
        return self._camera(camera).rules.online_after_s

    def forget(self, camera: str) -> None:
        """Another process judges this camera now; what holds goes on there."""
        self._cameras.pop(camera, None)

    def learnt(self, camera: str) -> bool:
        """Whether the camera's reference is there, so that everything can be told."""
        known = self._cameras.get(camera)
        return known is not None and known.learner.reference is not None

    def save(self, camera: str) -> bytes | None:
        """The camera's reference, a few ten kilobytes, to be kept over a restart; None while it is being learnt."""
        known = self._cameras.get(camera)
        return known.learner.reference.save() if known is not None and known.learner.reference is not None else None

    def restore(self, camera: str, reference: bytes) -> None:
        """Go on with what `save` gave. ValueError where it is something else; a new one is learnt then."""
        learner = self._camera(camera).learner
        learner.reference = Reference.load(reference)
        if learner.anchor is not None:  # a picture that was given counts for more than what was kept
            learner.reference.hold_against(learner.anchor)

    def _camera(self, name: str) -> _Camera:
        known = self._cameras.get(name)
        if known is None:
            rules = self._rules(name)
            known = self._cameras[name] = _Camera(
                rules=rules,
                learner=Learner(rules.learn_s, rules.anchor),
                silence=Silence(name, rules),
                tracks={
                    condition: Hysteresis(
                        name,
                        condition,
                        rules.begins_after_s(condition),
                        rules.clear_after_s,
                        strict=condition is Condition.FROZEN,
                    )
                    for condition in Condition
                    if condition in rules.watch and condition is not Condition.OFFLINE
                },
            )
        return known

    def _judge(self, known: _Camera, sight: Sight, at_ns: int, dt_s: float) -> tuple[set[Condition], list[Trouble]]:
        """What is seen in this picture, and what changed."""
        if known.learner.new_shape(sight):
            known.learner.forget()
        changes = [self._frozen(known, sight, at_ns, dt_s)]
        found = findings(sight, known.learner.reference, known.rules)
        seen = {condition for condition in known.view if found[condition].seen}
        for condition in known.view:
            finding = found[condition]
            changes.append(known.tracks[condition].step(finding.seen, at_ns, dt_s, finding.value, finding.limit))
        if not seen and all(track.trouble is None or self._unjudged(known, c) for c, track in known.tracks.items()):
            known.learner.take(sight, dt_s)
        changes += self._grown_old(known, at_ns)
        return seen, [change for change in changes if change is not None]

    @staticmethod
    def _unjudged(known: _Camera, condition: Condition) -> bool:
        """Whether this trouble waits for a reference: then it must not keep one from being learnt."""
        return known.learner.reference is None and condition in _AGAINST_REFERENCE

    @staticmethod
    def _frozen(known: _Camera, sight: Sight, at_ns: int, dt_s: float) -> Trouble | None:
        equal = known.checksum == sight.checksum
        if not equal:
            known.checksum, known.equal_since_ns = sight.checksum, at_ns
        track = known.tracks.get(Condition.FROZEN)
        if track is None:
            return None
        for_s = (at_ns - known.equal_since_ns) / 1e9
        # A stream that shows some pictures twice is not frozen: while it clears, a repeat has no vote for a while.
        seen = None if equal and track.trouble is not None and for_s < known.rules.frozen_after_s else equal
        return track.step(seen, at_ns, dt_s, for_s, known.rules.frozen_after_s)

    def _grown_old(self, known: _Camera, at_ns: int) -> list[Trouble | None]:
        """Light or a view that stayed changed for `relearn_after_s` is the new normal, if nothing else is wrong."""
        holding = {condition for condition, track in known.tracks.items() if track.trouble is not None}
        if not holding or not known.rules.relearn_after_s or not holding <= set(LEARNT_ANEW):
            return []
        began_ns = max(t.trouble.began_at_ns for t in known.tracks.values() if t.trouble is not None)
        if at_ns - began_ns < known.rules.relearn_after_s * 1e9:
            return []
        log.info("camera_reference_relearnt", conditions=sorted(holding))
        known.learner.forget()
        return [known.tracks[condition].end(at_ns) for condition in sorted(holding)]

    @staticmethod
    def _held(known: _Camera, undecided: set[Condition], at_ns: int) -> bool:
        """Whether alerts are held back: by what holds, and by a suspicion for `after_s` on end at most, or for the
        three frames that a decision takes where these last longer."""
        if not undecided:
            known.held_since_ns, known.held_frames = None, 0
        elif known.held_since_ns is None:
            known.held_since_ns, known.held_frames = at_ns, 0
        known.held_frames += 1
        since_ns = known.held_since_ns
        pending = since_ns is not None and (
            at_ns - since_ns < known.rules.after_s * 1e9 or known.held_frames <= DECISION_FRAMES
        )
        return pending or any(track.trouble is not None for track in known.tracks.values())
