"""An alert about a part as a replay tells of it, be it one that happened or one that would have."""

from __future__ import annotations

from dataclasses import dataclass, field

from monitor.judging.episodes import Episode


@dataclass(frozen=True, slots=True)
class Told:
    """alert_id: empty where nobody knows it. Times in ns since the epoch; ended_ns None where it was still firing at
    the end. peak, limit: raw scores. severity: empty where nobody knows it."""

    alert_id: str
    camera: str
    started_ns: int
    ended_ns: int | None
    peak: float
    limit: float
    severity: str

    @property
    def last_ns(self) -> int:
        """Its end; for one that never ended, the end of all time."""
        return 1 << 62 if self.ended_ns is None else self.ended_ns

    @property
    def length_s(self) -> float | None:
        return None if self.ended_ns is None else (self.ended_ns - self.started_ns) / 1e9


@dataclass
class Outcome:
    """The alerts of one configuration, or of what happened. says: whose they are.

    held_back: episodes that were kept from firing, by camera and reason. relearnt: how often a camera's window was
    learnt anew. thresholds: what was found from a wished rate of false alarms, by camera and product, in words.
    """

    says: str
    episodes: list[Told] = field(default_factory=list)
    held_back: dict[tuple[str, str], int] = field(default_factory=dict)
    relearnt: dict[str, int] = field(default_factory=dict)
    thresholds: dict[str, str] = field(default_factory=dict)


def told(episode: Episode) -> Told:
    """An episode of the state machine."""
    return Told(
        alert_id=episode.alert_id,
        camera=episode.camera,
        started_ns=episode.started_at_ns,
        ended_ns=episode.ended_at_ns,
        peak=episode.peak_score,
        limit=episode.limit,
        severity=episode.severity.value,
    )
