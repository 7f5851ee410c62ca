"""Hours of the week: which entry of `products` or `maintenance` holds for a camera at a time.

A window begins at a time of day and ends at another, both on the clock of its time zone. Where that clock is set
forward over a time, the time means the moment of the jump; where the clock is set back, and shows a time twice, the
first of the two is meant. So each time of day is one moment, later times are never earlier moments, and where one
entry ends at the time at which the next one begins, every moment belongs to exactly one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Generic, TypeVar, get_args
from zoneinfo import ZoneInfo

from monitor.line_rules import matches
from monitor.line_settings import Day, Weekly

DAYS: tuple[str, ...] = get_args(Day)
REACH_DAYS = 9
"""Every entry begins at least once a week: within so many days there is a beginning and an end."""
LATEST_NS = 4_102_444_800 * 10**9
"""2100; a camera's wrong clock beyond it is held for this."""
KEPT_STRETCHES = 4
MAX_REMEMBERED = 10_000

W = TypeVar("W", bound=Weekly)


@dataclass(frozen=True, slots=True)
class Stretch:
    """From from_ns until before until_ns, ns since the epoch, an entry holds or does not hold throughout. Looked at
    nine days each way: a stretch may go on beyond either end."""

    from_ns: int
    until_ns: int
    holds: bool


class Schedule(Generic[W]):
    """Answers for each frame, so it remembers the stretches that it found last, for each entry: cameras that lag behind
    may stand on the other side of a boundary. Thread-safe."""

    def __init__(self, entries: Sequence[W]) -> None:
        self._entries = tuple(entries)
        self._last: list[tuple[Stretch, ...]] = [()] * len(self._entries)
        self._of_camera: dict[str, tuple[int, ...]] = {}

    def at(self, camera: str, at_ns: int) -> tuple[W, Stretch] | None:
        """The first entry, in the order of the configuration, that holds for this camera then."""
        for index in self._matching(camera):
            entry = self._entries[index]
            known = next((s for s in self._last[index] if s.from_ns <= at_ns < s.until_ns), None)
            if known is None:
                known = stretch(entry, at_ns)
                self._last[index] = (known, *self._last[index][: KEPT_STRETCHES - 1])
            if known.holds:
                return entry, known
        return None

    def now(self, at_ns: int) -> list[tuple[W, Stretch]]:
        """All entries that hold then, for whichever camera."""
        found = [(entry, stretch(entry, at_ns)) for entry in self._entries]
        return [(entry, known) for entry, known in found if known.holds]

    def _matching(self, camera: str) -> tuple[int, ...]:
        found = self._of_camera.get(camera)
        if found is None:
            if len(self._of_camera) >= MAX_REMEMBERED:
                self._of_camera.clear()
            entries = enumerate(self._entries)
            found = tuple(i for i, e in entries if any(matches(camera, pattern) for pattern in e.cameras))
            self._of_camera[camera] = found
        return found


def stretch(entry: Weekly, at_ns: int) -> Stretch:
    """The longest stretch around a time in which the entry holds throughout, or does not."""
    at_ns = min(max(at_ns, 0), LATEST_NS)
    zone = ZoneInfo(entry.timezone)
    today = datetime.fromtimestamp(at_ns // 10**9, zone).date()
    days = [today + timedelta(days=n) for n in range(-REACH_DAYS, REACH_DAYS + 1)]
    before_ns, after_ns = moment_ns(days[0], "00:00", zone), moment_ns(days[-1], "00:00", zone)
    for from_ns, until_ns in _joined([window(entry, day, zone) for day in days if DAYS[day.weekday()] in entry.days]):
        if from_ns <= at_ns < until_ns:
            return Stretch(from_ns, until_ns, True)
        if until_ns <= at_ns:
            before_ns = until_ns
        else:
            after_ns = from_ns
            break
    return Stretch(before_ns, after_ns, False)


def window(entry: Weekly, day: date, zone: ZoneInfo) -> tuple[int, int]:
    """When the window that begins on this day begins and ends, ns since the epoch."""
    last = day if entry.end > entry.start else day + timedelta(days=1)
    return moment_ns(day, entry.start, zone), moment_ns(last, entry.end, zone)


def moment_ns(day: date, clock: str, zone: ZoneInfo) -> int:
    """The moment, ns since the epoch, at which the clock of the zone first shows a time like "06:00" of that day, or
    passes over it."""
    local = datetime.combine(day, time.fromisoformat(clock), zone)
    late_s = round(local.timestamp())
    if datetime.fromtimestamp(late_s, zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return late_s * 10**9
    # The clock never shows it: Python answers with the offset of before the jump, which lies after it, and with
    # fold=1 with that of after the jump, which lies before it.
    early_s = round(local.replace(fold=1).timestamp())
    offset = _offset(late_s, zone)
    while late_s - early_s > 1:
        middle_s = (early_s + late_s) // 2
        early_s, late_s = (early_s, middle_s) if _offset(middle_s, zone) == offset else (middle_s, late_s)
    return late_s * 10**9


def _offset(at_s: int, zone: ZoneInfo) -> timedelta | None:
    return datetime.fromtimestamp(at_s, UTC).astimezone(zone).utcoffset()


def _joined(windows: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Windows in order of time, those that touch or overlap as one, without empty ones."""
    joined: list[tuple[int, int]] = []
    for from_ns, until_ns in windows:
        if from_ns >= until_ns:
            continue
        if joined and from_ns <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], until_ns))
        else:
            joined.append((from_ns, until_ns))
    return joined
