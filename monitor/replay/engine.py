"""Stored scores through a configuration: the windows, the judge and the episodes of the line, on stored time."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator

from monitor.judging.episodes import Change, Episode, Episodes, Reason, Transition
from monitor.replay.camera_run import CameraRun, Step
from monitor.replay.candidate import Candidate
from monitor.replay.episode import Outcome, told
from monitor.replay.learning import Alarms
from monitor.replay.reading import Progress
from monitor.replay.rows import Rows
from monitor.replay.span import Trace
from monitor.replay.spill import Stored
from monitor.replay.storm_gate import StormGate
from monitor.replay.survey import of_model

UNDECIDED_NS = 10 * 10**9
"""As on the line: so long an episode waits for a suspicion to be decided where no frame comes."""
TELL_EVERY = 10_000


def _nobody(camera: str, from_ms: int, to_ms: int) -> list[tuple[int, int]]:
    """No alarm was called false."""
    return []


class Engine:
    """Runs one configuration once. Deterministic: time comes from the scores, and cameras take turns by it."""

    def __init__(
        self, candidate: Candidate, stored: Stored, from_ns: int, until_ns: int, false: Alarms = _nobody
    ) -> None:
        """from_ns: what is held back or learnt anew counts from then on; limits are kept up to until_ns. Scores from
        before fill the windows. false: stretches of alerts that somebody called false alarms, of which thresholds may
        be learnt."""
        self._candidate = candidate
        self._stored = stored
        self._from_ns = from_ns
        self._until_ns = until_ns
        self._false = false
        storm = candidate.settings.alerts.storm
        self._storm = StormGate(storm.max_alerts, storm.within_s)
        self._shelved: dict[str, bool] = {}
        self._begun: dict[str, list[Episode]] = defaultdict(list)
        self._episodes = Episodes(candidate.rules.episode, self._gate, self._held)
        self._now_ns = 0
        self._held_back: dict[tuple[str, str], int] = {}
        self.limits: dict[str, Trace] = {}
        """By camera, the thresholds that were in force."""

    def run(self, progress: Progress) -> Outcome:
        """All scores, from the first to the last."""
        cameras = self._stored.cameras()
        runs = [self._camera_run(camera, place) for place, camera in enumerate(cameras)]
        whole = self._stored.stretch()
        total = 0 if whole is None else whole.count
        last_ns: dict[str, int] = {}
        # Steps never compare beyond the camera's place: no two cameras have the same.
        steps = heapq.merge(*(run.steps(self._rows(c)) for run, c in zip(runs, cameras, strict=True)))
        for done, step in enumerate(steps, start=1):
            self._take(cameras[step.place], step, last_ns)
            if not done % TELL_EVERY:
                progress(done, total)
        for camera in self._episodes.undecided():
            self._note(self._episodes.let_go(camera))
        progress(total, total)
        return self._outcome(cameras, runs)

    def _take(self, camera: str, step: Step, last_ns: dict[str, int]) -> None:
        self._now_ns = step.time_ns
        if step.time_ns - last_ns.get(camera, step.time_ns) > UNDECIDED_NS:
            self._note(self._episodes.let_go(camera))
        last_ns[camera] = step.time_ns
        self._shelved[camera] = step.shelved
        self._note(self._episodes.step(step.verdict, step.hold))

    def _camera_run(self, camera: str, place: int) -> CameraRun:
        limits = self.limits[camera] = Trace(self._from_ns, self._until_ns)
        return CameraRun(camera, place, self._candidate, self._stored.maker, limits, self._alarms, self._from_ns)

    def _rows(self, camera: str) -> Iterator[Rows]:
        model = self._candidate.baseline_model(camera)
        for chunk in self._stored.rows(camera):
            yield of_model(chunk, self._stored, model)

    def _gate(self, camera: str, at_ns: int) -> Reason | None:
        if self._shelved.get(camera, False):
            return Reason.MAINTENANCE
        return None if self._storm.admit(at_ns) else Reason.STORM

    def _held(self, camera: str, reason: Reason) -> None:
        if self._now_ns >= self._from_ns:
            self._held_back[camera, reason.value] = self._held_back.get((camera, reason.value), 0) + 1

    def _note(self, transition: Transition | None) -> None:
        if transition is None:
            return
        own = self._begun[transition.episode.camera]
        if transition.change is Change.FIRING:
            own.append(transition.episode)
        else:
            own[-1] = transition.episode

    def _alarms(self, camera: str, from_ms: int, to_ms: int) -> list[tuple[int, int]]:
        """The alarms of this run that reach into the time between and that nobody has called false."""
        own = self._begun[camera]
        # By start, and none begins before the one before it has ended.
        first = max(0, bisect_right(own, from_ms * 1_000_000, key=lambda one: one.started_at_ns) - 1)
        found = []
        for one in own[first:]:
            begun = one.started_at_ns // 1_000_000
            ended = to_ms if one.ended_at_ns is None else one.ended_at_ns // 1_000_000
            if begun <= to_ms and ended >= from_ms and not self._false(camera, begun, ended):
                found.append((begun, ended))
        return found

    def _outcome(self, cameras: list[str], runs: list[CameraRun]) -> Outcome:
        outcome = Outcome(self._candidate.label)
        for camera, run in zip(cameras, runs, strict=True):
            firing = self._episodes.active(camera)
            if firing is not None:
                self._begun[camera][-1] = firing  # its peak may have risen
            outcome.episodes += [told(one) for one in self._begun[camera]]
            outcome.thresholds |= run.learning.says()
            if run.relearnt:
                outcome.relearnt[camera] = run.relearnt
        outcome.episodes.sort(key=lambda one: (one.started_ns, one.camera))
        outcome.held_back = self._held_back
        return outcome
