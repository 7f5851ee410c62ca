"""Which alerts stay, appear and vanish when a configuration changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from monitor.replay.episode import Told
from monitor.replay.span import Span


@dataclass
class Change:
    """What becomes of the alerts of one camera, or of one day.

    stay: alerts of now during which one of then is firing as well. stay_as: how many of then these are: one long alert
    may stand for several short ones. vanish: those of now without one of then. appear: those of then without one of
    now.
    """

    stay: int = 0
    stay_as: int = 0
    vanish: int = 0
    appear: int = 0

    @property
    def now(self) -> int:
        return self.stay + self.vanish

    @property
    def then(self) -> int:
        return self.stay_as + self.appear

    def to_dict(self) -> dict[str, int]:
        return {
            "now": self.now,
            "then": self.then,
            "stay": self.stay,
            "stay_as": self.stay_as,
            "appear": self.appear,
            "vanish": self.vanish,
        }


@dataclass
class Comparison:
    """stayed, vanished: alerts of now; stayed_as, appeared: alerts of then; each by start. With `now` unknown all of
    then appear, and `knows_now` is False."""

    knows_now: bool
    spans: Mapping[str, Span]
    stayed: list[Told] = field(default_factory=list)
    stayed_as: list[Told] = field(default_factory=list)
    vanished: list[Told] = field(default_factory=list)
    appeared: list[Told] = field(default_factory=list)

    def total(self) -> Change:
        return Change(len(self.stayed), len(self.stayed_as), len(self.vanished), len(self.appeared))

    def by_camera(self) -> dict[str, Change]:
        """Every camera of which there are scores, in order, those without alerts as well."""
        found = {camera: Change() for camera in sorted(self.spans)}
        for name, episodes in self._groups():
            for told in episodes:
                change = found.setdefault(told.camera, Change())
                setattr(change, name, getattr(change, name) + 1)
        return found

    def by_day(self) -> dict[str, Change]:
        """By the UTC day on which an alert began; every day of which there are scores."""
        days = sorted({day for span in self.spans.values() for day in span.days})
        found = {day: Change() for day in days}
        for name, episodes in self._groups():
            for told in episodes:
                change = found.setdefault(day_of_ns(told.started_ns), Change())
                setattr(change, name, getattr(change, name) + 1)
        return dict(sorted(found.items()))

    def by_camera_and_day(self) -> dict[str, dict[str, Change]]:
        """Only where there are scores or alerts."""
        found = {camera: {day: Change() for day in sorted(span.days)} for camera, span in sorted(self.spans.items())}
        for name, episodes in self._groups():
            for told in episodes:
                change = found.setdefault(told.camera, {}).setdefault(day_of_ns(told.started_ns), Change())
                setattr(change, name, getattr(change, name) + 1)
        return found

    def _groups(self) -> list[tuple[str, list[Told]]]:
        return [
            ("stay", self.stayed),
            ("stay_as", self.stayed_as),
            ("vanish", self.vanished),
            ("appear", self.appeared),
        ]

    def to_dict(self) -> dict[str, Any]:
        return {
            "total": self.total().to_dict(),
            "cameras": {
                camera: {
                    **change.to_dict(),
                    **(self.spans[camera].to_dict() if camera in self.spans else {}),
                    "days": {day: one.to_dict() for day, one in self.by_camera_and_day()[camera].items()},
                }
                for camera, change in self.by_camera().items()
            },
            "days": {day: change.to_dict() for day, change in self.by_day().items()},
        }


def compare(
    now: Sequence[Told] | None, then: Sequence[Told], spans: Mapping[str, Span], from_ns: int = 0
) -> Comparison:
    """An alert stays where one of the other side's is firing at some time while it is, at the same camera.

    Those that began before from_ns are not told, but what began later may stay because of them.
    """
    found = Comparison(now is not None, spans)
    nows, thens = _by_camera(now or ()), _by_camera(then)
    for camera in sorted({*nows, *thens}):
        own, others = nows.get(camera, []), thens.get(camera, [])
        _part(own, others, found.stayed, found.vanished)
        _part(others, own, found.stayed_as, found.appeared)
    for _, group in found._groups():
        group[:] = [told for told in group if told.started_ns >= from_ns]
        group.sort(key=lambda told: (told.started_ns, told.camera))
    return found


def _part(own: Sequence[Told], others: Sequence[Told], with_one: list[Told], without: list[Told]) -> None:
    """Both by start. Parts `own` by whether one of the others was firing meanwhile."""
    first = 0
    for told in own:
        # Alerts of one camera do not overlap each other: what ended before this one began ended before all later ones.
        while first < len(others) and others[first].last_ns < told.started_ns:
            first += 1
        meets = first < len(others) and others[first].started_ns <= told.last_ns
        (with_one if meets else without).append(told)


def _by_camera(episodes: Sequence[Told]) -> dict[str, list[Told]]:
    found: dict[str, list[Told]] = defaultdict(list)
    for told in sorted(episodes, key=lambda one: one.started_ns):
        found[told.camera].append(told)
    return found


def day_of_ns(time_ns: int) -> str:
    """The UTC day, 2026-05-31."""
    return datetime.fromtimestamp(time_ns / 1e9, UTC).date().isoformat()
