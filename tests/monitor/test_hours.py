"""When a subscription may be told, on clocks that are set forward and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.delivery.hours import NeverOpen, allowed, digest_ms, opens_ms
from monitor.orders.schedule import DAYS
from monitor.subscription_settings import Digest, Hours, When

ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "UTC"]
"""Lord Howe's clocks are set by half an hour, Casablanca's go back for Ramadan."""
JUMPS = [
    "2026-03-29T01:00",  # Berlin
    "2026-10-25T01:00",
    "2026-03-08T07:00",  # New York
    "2026-11-01T06:00",
    "2026-04-04T15:00",  # Lord Howe
    "2026-10-03T15:30",
    "2026-02-15T02:00",  # Casablanca
    "2026-03-22T02:00",
]
MINUTE = 60_000
DAY = 86_400_000


def ms(text: str) -> int:
    """A moment, UTC unless it is written with its offset."""
    at = datetime.fromisoformat(text)
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()) * 1000


def clock(at_ms: int, zone: str) -> datetime:
    """What the clock on the wall shows then."""
    return datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone)).replace(tzinfo=None)


near_jumps = st.builds(
    lambda jump, s: ms(jump) + s * 1000, st.sampled_from(JUMPS), st.integers(-100_000, 100_000) | st.integers(-120, 120)
)
moments = near_jumps | st.integers(ms("2024-01-01T00:00") // 1000, ms("2030-01-01T00:00") // 1000).map(
    lambda s: s * 1000
)
zones = st.sampled_from(ZONES)
# Near the hours at which clocks are set, and anywhere.
minutes = (st.integers(0, 1439) | st.integers(60, 240)).map(lambda m: f"{m // 60:02}:{m % 60:02}")
days = st.lists(st.sampled_from(DAYS), min_size=1, unique=True).map(tuple)
stretches = st.builds(Hours, days=st.just(tuple(DAYS)) | days, start=minutes, end=minutes)
some = st.lists(stretches, max_size=3).map(tuple)
whens = st.builds(When, timezone=zones, working=some, quiet=some)


def plain(hours: Hours, shows: datetime) -> bool:
    """Whether a clock that is never set, and shows this, is in these hours."""
    today, yesterday = DAYS[shows.weekday()], DAYS[(shows - timedelta(days=1)).weekday()]
    now = f"{shows:%H:%M}"
    if hours.start < hours.end:
        return today in hours.days and hours.start <= now < hours.end
    return (today in hours.days and now >= hours.start) or (yesterday in hours.days and now < hours.end)


def set_at_all(at_ms: int, zone: str) -> bool:
    """Whether the clock is set within two hours of it: what it shows may then mean two moments."""
    around = [datetime.fromtimestamp(at_ms / 1000 + h * 3600, ZoneInfo(zone)).utcoffset() for h in range(-2, 3)]
    return len(set(around)) > 1


@given(when=whens, at_ms=moments)
def test_every_moment_is_what_the_clock_on_the_wall_says(when: When, at_ms: int) -> None:
    shows = clock(at_ms, when.timezone)
    if not set_at_all(at_ms, when.timezone):
        working = not when.working or any(plain(one, shows) for one in when.working)
        assert allowed(when, at_ms) == (working and not any(plain(one, shows) for one in when.quiet))


@given(at_ms=near_jumps, zone=zones, start=minutes, end=minutes)
def test_what_working_hours_allow_quiet_hours_forbid(at_ms: int, zone: str, start: str, end: str) -> None:
    """Also while clocks are set: no moment belongs to both, or to neither, of two stretches that fill the day."""
    one, other = Hours(start=start, end=end), Hours(start=end, end=start)
    if start == end:
        assert allowed(When(timezone=zone, working=(one,)), at_ms)
        return
    assert allowed(When(timezone=zone, working=(one,)), at_ms) != allowed(When(timezone=zone, quiet=(one,)), at_ms)
    assert allowed(When(timezone=zone, working=(one,)), at_ms) != allowed(When(timezone=zone, working=(other,)), at_ms)


@given(when=whens, at_ms=moments, samples=st.lists(st.floats(0, 1), max_size=20))
@example(
    when=When(timezone="Europe/Berlin", working=(Hours(days=("sun",), start="02:10", end="02:50"),)),
    at_ms=ms("2026-03-28T12:00"),
    samples=[0.1, 0.5, 0.9],
)
def test_it_opens_when_it_is_allowed_and_at_no_moment_before(when: When, at_ms: int, samples: list[float]) -> None:
    try:
        opens = opens_ms(when, at_ms)
    except NeverOpen:
        assert when.quiet
        assert not any(allowed(when, at_ms + quarter * 15 * MINUTE) for quarter in range(0, 14 * 96, 5))
        return
    assert opens >= at_ms and allowed(when, opens)
    assert (opens == at_ms) == allowed(when, at_ms)
    last_minutes = [opens - minute * MINUTE for minute in (1, 2, 30) if opens - minute * MINUTE >= at_ms]
    before = [at_ms + int((opens - at_ms) * share) for share in samples]
    for sampled in (*last_minutes, *(one for one in before if one < opens), *([opens - 1] if opens > at_ms else [])):
        assert not allowed(when, sampled), clock(sampled, when.timezone)


@given(at=st.lists(minutes, min_size=1, max_size=4), zone=zones, at_ms=moments)
def test_a_digest_is_due_in_the_future_at_the_time_that_was_asked_for(at: list[str], zone: str, at_ms: int) -> None:
    due = digest_ms(Digest(at=tuple(at)), zone, at_ms)
    assert at_ms < due <= at_ms + DAY + 2 * 3_600_000
    shown = f"{clock(due, zone):%H:%M}"
    # Only where the clock jumps over the time it is due at another one: at the moment of the jump.
    jumped = clock(due, zone) - clock(due - 1000, zone) > timedelta(minutes=1)
    assert shown in at or (jumped and any(f"{clock(due - 1000, zone):%H:%M}" < one < shown for one in at))
    # None is left out: the same is found from every moment between.
    assert digest_ms(Digest(at=tuple(at)), zone, (at_ms + due) // 2) == due
    assert digest_ms(Digest(at=tuple(at)), zone, due) > due


@given(every_s=st.integers(60, 604_800), at_ms=moments)
def test_a_digest_every_so_often_is_due_within_that_time(every_s: int, at_ms: int) -> None:
    due = digest_ms(Digest(every_s=every_s), "UTC", at_ms)
    assert at_ms < due <= at_ms + every_s * 1000 and due % (every_s * 1000) == 0


def test_quiet_nights_when_the_clock_is_set() -> None:
    night = When(timezone="Europe/Berlin", quiet=(Hours(start="22:00", end="06:00"),))
    for evening, morning, hours in [
        ("2026-03-28T22:00+01:00", "2026-03-29T06:00+02:00", 7),
        ("2026-10-24T22:00+02:00", "2026-10-25T06:00+01:00", 9),
    ]:
        assert allowed(night, ms(evening) - 1) and not allowed(night, ms(evening))
        assert opens_ms(night, ms(evening)) == ms(morning) == ms(evening) + hours * 3_600_000
    twice = When(timezone="Europe/Berlin", working=(Hours(start="02:30", end="02:45"),))
    assert allowed(twice, ms("2026-10-25T02:30+02:00"))  # the first of the two
    assert not allowed(twice, ms("2026-10-25T02:30+01:00"))
    assert opens_ms(twice, ms("2026-03-29T00:00+01:00")) == ms("2026-03-30T02:30+02:00")  # the jump leaves none


def test_a_digest_is_told_once_when_the_clock_shows_its_time_twice_or_never() -> None:
    at = Digest(at=("02:30",))
    first = digest_ms(at, "Europe/Berlin", ms("2026-10-25T00:00+02:00"))
    assert first == ms("2026-10-25T02:30+02:00")
    assert digest_ms(at, "Europe/Berlin", first) == ms("2026-10-26T02:30+01:00")
    assert digest_ms(at, "Europe/Berlin", ms("2026-03-29T00:00+01:00")) == ms("2026-03-29T03:00+02:00")


def test_hours_that_leave_no_time_say_so() -> None:
    working = (Hours(days=("mon", "tue"), start="08:00", end="16:00"),)
    with pytest.raises(NeverOpen, match="quiet hours cover all"):
        opens_ms(When(working=working, quiet=(Hours(start="07:00", end="17:00"),)), ms("2026-06-01T00:00"))
    left = When(working=working, quiet=(Hours(start="07:00", end="15:59"),))
    assert opens_ms(left, ms("2026-06-03T00:00")) == ms("2026-06-08T15:59")
