"""The cameras' own troubles, frame by frame and where none comes, and what they mean for the alerts about parts."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import structlog

from monitor.judging.episodes import Hold
from monitor.judging.health import CameraHealth, Condition, Trouble
from monitor.judging.presence import Presence
from monitor.judging.references import NoReferences, References, ReferencesAway
from monitor.scoring.score import Score
from streams.frame import Frame

log = structlog.get_logger(__name__)

TICK_S = 0.5
SAVE_EVERY_S = 300.0
LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Notice:
    """A trouble that began or ended, and the frame that shows it, if one does."""

    trouble: Trouble
    frame: Frame | None


class CameraWatch:
    """Holds every frame against its camera's health. Belongs to one thread, but for `accept` and `conditions`.

    A frame without a sight (health is not watched) is never held back.
    """

    def __init__(
        self,
        health: CameraHealth | None,
        presence: Presence,
        references: References | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._health = health
        self._presence = presence
        self._references = references or NoReferences()
        self._clock = clock
        self._next_tick_s = 0.0
        self._next_look_s: dict[str, float] = {}
        self._asked: set[str] = set()  # whether a reference is kept
        self._kept: set[str] = set()
        self._back_s: dict[str, float] = {}  # when an offline camera was first heard again
        self._accepted: deque[str] = deque()

    def see(self, scores: Sequence[Score]) -> tuple[list[Hold], list[Notice]]:
        """For each frame, in order, whether alerts about its part are held back; and what changed."""
        if self._health is None:
            return [Hold.NO] * len(scores), []
        holds: list[Hold] = []
        notices: list[Notice] = []
        now_s = self._clock()
        for score in scores:
            if score.sight is None:
                holds.append(Hold.NO)
                continue
            camera = score.frame.camera
            self._remember(camera, now_s)
            look = self._health.see(camera, score.sight, score.frame.captured_at_ns, now_s)
            notices += [Notice(trouble, score.frame) for trouble in look.changes]
            holds.append(self._hold(camera, look.held, now_s))
        return holds, notices

    def tick(self) -> list[Notice]:
        """What changed where no frame came, and by somebody's word. Quick; to be called now and then."""
        now_s = self._clock()
        if self._health is None or now_s < self._next_tick_s:
            return []
        self._next_tick_s = now_s + TICK_S
        changes = self._health.tick(now_s, self._presence.silence_s())
        for camera in self._health.offline():
            if not self._presence.knows(camera):  # a folder that can be read again, say
                changes += self._health.present(camera)
        while self._accepted:
            camera = self._accepted.popleft()
            log.info("camera_view_accepted", camera=camera)
            changes += self._health.accept(camera)
        return [Notice(trouble, None) for trouble in changes]

    def accept(self, camera: str) -> bool:
        """What this camera shows now is how it shall be: its reference is learnt anew. False where health is not
        watched. Thread-safe."""
        if self._health is None:
            return False
        self._accepted.append(camera)
        return True

    def conditions(self, camera: str) -> tuple[str, ...]:
        """What is wrong with a camera now, by name."""
        return () if self._health is None else tuple(c.value for c in self._health.conditions(camera))

    def adopt(self, troubles: Iterable[Trouble]) -> None:
        """Go on with troubles that an earlier process had begun."""
        if self._health is not None:
            self._health.adopt(troubles)

    def departed(self) -> list[str]:
        """The cameras that another worker reads now; nothing of them is remembered here any more."""
        cameras = self._presence.departed()
        for camera in cameras:
            self._next_look_s.pop(camera, None)
            self._asked.discard(camera)
            self._kept.discard(camera)
            self._back_s.pop(camera, None)
            if self._health is not None:
                self._health.forget(camera)
        return cameras

    def _hold(self, camera: str, held: bool, now_s: float) -> Hold:
        assert self._health is not None
        holding = self._health.conditions(camera)
        if any(condition is not Condition.OFFLINE for condition in holding):
            return Hold.TROUBLE
        if not holding:
            self._back_s.pop(camera, None)
            return Hold.SUSPECT if held else Hold.NO
        # What comes back from a camera that was away is worth looking at; it only waits until it counts as back, and
        # no longer than that takes: a camera that sends less often than it should is never back.
        since_s = self._back_s.setdefault(camera, now_s)
        back = now_s - since_s > self._health.online_after_s(camera) + 2 * TICK_S
        return Hold.SUSPECT if held or not back else Hold.NO

    def _remember(self, camera: str, now_s: float) -> None:
        """Fetch how a camera looked before this process began, and keep now and then how it looks."""
        assert self._health is not None
        learnt = self._health.learnt(camera)
        if camera in self._kept and not learnt:
            self._kept.discard(camera)
            self._references.forget(camera)  # it is being learnt anew: what was kept must not come back
            self._next_look_s[camera] = 0.0
        if now_s < self._next_look_s.get(camera, 0.0):
            return
        self._next_look_s[camera] = now_s + (SAVE_EVERY_S if learnt else LOOK_EVERY_S)
        if camera not in self._asked:
            self._recall(camera)
        elif learnt and (reference := self._health.save(camera)) is not None:
            self._references.save(camera, reference)
            self._kept.add(camera)

    def _recall(self, camera: str) -> None:
        assert self._health is not None
        try:
            reference = self._references.load(camera)
        except ReferencesAway:
            return  # asked again soon; what is learnt meanwhile does not replace what may be kept
        self._asked.add(camera)
        if reference is None:
            return
        self._kept.add(camera)
        try:
            self._health.restore(camera, reference)
        except ValueError as error:
            log.warning("camera_reference_refused", camera=camera, error=str(error))
