"""What is remembered of one camera between two frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from monitor.judging.episodes.episode import Episode, EpisodeRule, EpisodeState, Reason
from monitor.judging.episodes.marks import Marks
from monitor.judging.judge import Verdict


class Seen(NamedTuple):
    """An anomalous frame without its picture. at_ns: when it was captured; raw scores."""

    origin: str
    seq: int
    at_ns: int
    score: float
    low: float
    limit: float

    @property
    def identity(self) -> str:
        """As `Frame.identity`."""
        return f"{self.origin}@{self.at_ns}"


@dataclass(slots=True)
class Look:
    """One of the last frames: `seen` where it was anomalous, with its verdict while the picture may be wanted."""

    seen: Seen | None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Onset:
    """What an episode would begin with: the first anomalous frame, the highest-scoring one, and the highest-scoring
    one whose picture is at hand."""

    first: Seen
    worst: Seen
    shown: Verdict | None = None


@dataclass(slots=True)
class CameraEpisodes:
    """One camera's place in the state machine.

    recent: the last frames, from the first anomalous one on: normal ones before it change nothing.
    since_ns: from when on enough of them were anomalous, without a break.
    onset: what an episode begins with that waits for `fire_s`; deferred: for a suspicion to be decided.
    old_before_ns: of an episode taken over without its state, frames captured earlier say nothing.
    judged: whether frames of it were judged by this process. product: what the camera saw last.
    held_for: why an episode was held back since enough frames are anomalous; each reason counts once.
    """

    judged: bool = False
    product: str | None = None
    recent: list[Look] = field(default_factory=list)
    since_ns: int | None = None
    onset: Onset | None = None
    deferred: Onset | None = None
    firing: Episode | None = None
    old_before_ns: int | None = None
    normal_in_a_row: int = 0
    normal_since_ns: int | None = None
    cool_until_ns: int = 0
    held_for: set[Reason] = field(default_factory=set)
    in_trouble: bool = False
    held_in_trouble: bool = False
    marks: Marks = field(default_factory=Marks)

    def look(self, verdict: Verdict, rule: EpisodeRule) -> None:
        """Count a frame in that may begin an episode."""
        seen = _seen(verdict) if verdict.anomalous else None
        if seen is not None:
            for earlier in self.recent:  # they leave before this one, so nobody will ask for their pictures
                if earlier.seen is not None and earlier.seen.score < seen.score:
                    earlier.verdict = None
        self.recent.append(Look(seen, verdict if seen is not None else None))
        del self.recent[: -rule.fire_of]
        while self.recent and self.recent[0].seen is None:
            del self.recent[0]
        self._count(verdict, seen, rule)

    def _count(self, verdict: Verdict, seen: Seen | None, rule: EpisodeRule) -> None:
        if sum(look.seen is not None for look in self.recent) < rule.fire_frames:
            self.since_ns = self.onset = None
            return
        at_ns = verdict.frame.captured_at_ns
        self.since_ns = at_ns if self.since_ns is None else min(self.since_ns, at_ns)  # less: a clock was set back
        if self.onset is None:
            self.onset = self._onset()
        elif seen is not None:
            shown = self.onset.shown
            self.onset = Onset(
                self.onset.first,
                max(self.onset.worst, seen, key=lambda s: s.score),
                verdict if shown is None or verdict.score > shown.score else shown,
            )

    def due(self, at_ns: int, rule: EpisodeRule) -> Onset | None:
        """What an episode that is to begin now begins with."""
        if self.since_ns is None or at_ns - self.since_ns < round(rule.fire_s * 1e9):
            return None
        return self.onset

    def begin_later(self) -> None:
        """An episode is held back: should it begin later, it begins with the frames of then."""
        self.onset = None

    def sees(self, product: str) -> None:
        """What is pending was about another product: it is dropped. A firing episode goes on."""
        if self.product not in (None, product):
            self.drop_pending()
        self.product = product

    def drop_pending(self) -> None:
        """Nothing that was seen so far begins an episode."""
        self.recent.clear()
        self.since_ns = self.onset = self.deferred = None
        self.held_for.clear()

    def state(self) -> EpisodeState:
        """Where the camera stands."""
        if self.firing is not None:
            return EpisodeState.RECOVERING if self.normal_in_a_row else EpisodeState.FIRING
        pending = (self.recent or self.deferred) and not self.in_trouble
        return EpisodeState.PENDING if pending else EpisodeState.QUIET

    def body(self) -> dict[str, Any]:
        """Everything that decides what the next frames do, but for the marks and the pictures."""
        return {
            "product": self.product if self.recent or self.deferred else None,  # only what is pending belongs to one
            "recent": tuple(look.seen for look in self.recent),
            "since_ns": self.since_ns,
            "onset": self.onset and (self.onset.first, self.onset.worst),
            "deferred": self.deferred and (self.deferred.first, self.deferred.worst),
            "firing": self.firing,
            "old_before_ns": self.old_before_ns,
            "normal_in_a_row": self.normal_in_a_row,
            "normal_since_ns": self.normal_since_ns,
            "cool_until_ns": self.cool_until_ns,
            "held_for": tuple(sorted(self.held_for)),
            "in_trouble": self.in_trouble,
            "held_in_trouble": self.held_in_trouble,
        }

    def _onset(self) -> Onset:
        anomalous = [look for look in self.recent if look.seen is not None]
        seen = [look.seen for look in anomalous if look.seen is not None]
        pictured = [look.verdict for look in anomalous if look.verdict is not None]
        return Onset(
            seen[0], max(seen, key=lambda s: s.score), max(pictured, key=lambda v: v.score) if pictured else None
        )


def _seen(verdict: Verdict) -> Seen:
    frame = verdict.frame
    return Seen(frame.origin, frame.seq, frame.captured_at_ns, verdict.score, verdict.low, verdict.limit)
