"""When a subscription may be told: working hours without the quiet ones, and the times of its digests.

Times of day are those of the clock on the wall. Where that is set forward over a time, the time means the moment of the
jump, and where it shows a time twice, the first of the two (monitor.orders.schedule). So an hour that a window asks
for is not told twice on the one day, and not forgotten on the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from monitor.orders.schedule import DAYS, LATEST_NS, moment_ns
from monitor.subscription_settings import Digest, Hours, When

SOON_DAYS, LATE_DAYS = 9, 45
"""Every window begins at least once a week; one that a jump of the clock swallows, a week later."""

Span = tuple[int, int]
"""From, and until before: ms since the epoch."""


class NeverOpen(ValueError):
    """The hours leave no time at all: the quiet ones cover all others."""


def allowed(when: When, at_ms: int) -> bool:
    """Whether events may be told then: in one of the working hours, where there are any, and in no quiet one. Takes
    some 20 µs for each window."""
    at_ms = _bounded(at_ms)
    working, quiet = _spans(when.working, when.timezone, at_ms, 1), _spans(when.quiet, when.timezone, at_ms, 1)
    return (not when.working or _end(working, at_ms) is not None) and _end(quiet, at_ms) is None


def opens_ms(when: When, at_ms: int) -> int:
    """The first moment, `at_ms` or later, at which events may be told. Raises NeverOpen."""
    at_ms = _bounded(at_ms)
    for days in (SOON_DAYS, LATE_DAYS):
        if (found := _opens(when, at_ms, days)) is not None:
            return found
    raise NeverOpen("its quiet hours cover all of its working hours, so nothing could ever be told; leave some time")


def digest_ms(digest: Digest, timezone: str, at_ms: int) -> int:
    """When the first digest after `at_ms` is due. With `every_s`, at the full multiples of it since the epoch: each
    hour on the hour (UTC), whenever what it tells of came."""
    at_ms = _bounded(at_ms)
    if digest.every_s is not None:
        step_ms = round(digest.every_s * 1000)
        return (at_ms // step_ms + 1) * step_ms
    zone = ZoneInfo(timezone)
    days = _days(_date(at_ms, zone), -1, 3)
    return min(ms for day in days for clock in digest.at if (ms := _moment_ms(day, clock, zone)) > at_ms)


def _opens(when: When, at_ms: int, days: int) -> int | None:
    working = _spans(when.working, when.timezone, at_ms, days)
    quiet = _spans(when.quiet, when.timezone, at_ms, days)
    horizon_ms = at_ms + (days - 1) * 86_400_000  # beyond it not every window was looked at
    while at_ms < horizon_ms:
        if (quiet_until := _end(quiet, at_ms)) is not None:
            at_ms = quiet_until
        elif not when.working or _end(working, at_ms) is not None:
            return at_ms
        else:
            later = [from_ms for from_ms, _ in working if from_ms > at_ms]
            if not later:
                return None
            at_ms = min(later)
    return None


def _end(spans: Iterable[Span], at_ms: int) -> int | None:
    """When the last of the windows ends that hold then; None where none does."""
    return max((until_ms for from_ms, until_ms in spans if from_ms <= at_ms < until_ms), default=None)


def _spans(hours: Sequence[Hours], timezone: str, at_ms: int, days: int) -> list[Span]:
    """The windows that begin from two days before `at_ms` until `days` after it. A window lasts a day at most, an
    hour more where a clock is set back."""
    if not hours:
        return []
    zone = ZoneInfo(timezone)
    spans = []
    for day in _days(_date(at_ms, zone), -2, days + 1):
        for one in hours:
            if DAYS[day.weekday()] in one.days:
                last = day if one.end > one.start else day + timedelta(days=1)
                spans.append((_moment_ms(day, one.start, zone), _moment_ms(last, one.end, zone)))
    return spans


def _days(around: date, first: int, behind: int) -> list[date]:
    return [around + timedelta(days=n) for n in range(first, behind)]


def _date(at_ms: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(at_ms // 1000, zone).date()


def _moment_ms(day: date, clock: str, zone: ZoneInfo) -> int:
    return moment_ns(day, clock, zone) // 1_000_000


def _bounded(at_ms: int) -> int:
    """A clock that is far off is no reason to fail."""
    return min(max(at_ms, 0), LATEST_NS // 1_000_000)
