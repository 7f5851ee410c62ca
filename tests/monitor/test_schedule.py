"""Hours of the week, on clocks that are set forward and back."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.line_rules import matches
from monitor.line_settings import Maintenance, ProductPlan, Weekly
from monitor.orders.schedule import DAYS, Schedule, moment_ns, stretch, window

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia"]
BERLIN = ZoneInfo("Europe/Berlin")
FORWARD, BACK = date(2026, 3, 29), date(2026, 10, 25)
"""Berlin's clocks go from 2:00 to 3:00 on the one day, and from 3:00 back to 2:00 on the other."""

minutes = st.integers(0, 24 * 60 - 1).map(lambda m: f"{m // 60:02}:{m % 60:02}")
JUMPS = [
    f"{year}-{day}T{hour}:00"
    for year in (2011, 2026)
    for day, hour in [
        ("03-29", "01"),
        ("10-25", "01"),
        ("03-08", "07"),
        ("11-01", "06"),
        ("04-04", "15"),
        ("10-03", "15"),
        ("12-30", "10"),
    ]
]
"""When clocks of the zones above are set, and the days around them (UTC)."""
near_jumps = st.builds(
    lambda jump, s: (round(datetime.fromisoformat(f"{jump}+00:00").timestamp()) + s) * 10**9,
    st.sampled_from(JUMPS),
    st.integers(-100_000, 100_000),
)
moments = near_jumps | st.integers(1_262_304_000, 1_893_456_000).map(lambda s: s * 10**9)  # 2010 to 2030
zones = st.sampled_from(ZONES)
days = st.lists(st.sampled_from(DAYS), min_size=1, unique=True)


def ns(text: str) -> int:
    """A moment written with its offset."""
    return round(datetime.fromisoformat(text).timestamp()) * 10**9


def clock(at_ns: int, zone: str) -> datetime:
    """What the clock on the wall shows then."""
    return datetime.fromtimestamp(at_ns // 10**9, ZoneInfo(zone)).replace(tzinfo=None)


def weekly(start: str, end: str, timezone: str = "Europe/Berlin", days: tuple[str, ...] = DAYS) -> Weekly:
    return Weekly(days=days, start=start, end=end, timezone=timezone)


def night(product: str, start: str, end: str, *cameras: str) -> ProductPlan:
    return ProductPlan(product=product, cameras=cameras or ("*",), start=start, end=end, timezone="Europe/Berlin")


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    friday_night = weekly("22:00", "06:00", days=("fri",))
    for text, holds in {
        "2026-05-29T21:59:59+02:00": False,  # a Friday
        "2026-05-29T22:00:00+02:00": True,
        "2026-05-30T05:59:59+02:00": True,
        "2026-05-30T06:00:00+02:00": False,
        "2026-05-30T23:00:00+02:00": False,
    }.items():
        assert stretch(friday_night, ns(text)).holds is holds, text
    found = stretch(friday_night, ns("2026-05-30T01:00:00+02:00"))
    assert (found.from_ns, found.until_ns) == (ns("2026-05-29T22:00:00+02:00"), ns("2026-05-30T06:00:00+02:00"))
    assert stretch(friday_night, ns("2026-05-31T12:00:00+02:00")).until_ns == ns("2026-06-05T22:00:00+02:00")


def test_a_time_that_the_clock_jumps_over_is_the_moment_of_the_jump() -> None:
    jump = ns("2026-03-29T03:00:00+02:00")
    assert [moment_ns(FORWARD, t, BERLIN) for t in ("02:00", "02:30", "02:59", "03:00")] == [jump] * 4
    assert moment_ns(FORWARD, "01:59", BERLIN) == jump - 60 * 10**9
    assert window(weekly("02:30", "04:00"), FORWARD, BERLIN) == (jump, ns("2026-03-29T04:00:00+02:00"))
    assert not stretch(weekly("02:00", "03:00"), jump).holds, "there is no such hour on that day"


def test_a_time_that_the_clock_shows_twice_is_the_first_one() -> None:
    assert moment_ns(BACK, "02:30", BERLIN) == ns("2026-10-25T02:30:00+02:00")
    night_shift = window(weekly("22:00", "06:00"), BACK - timedelta(days=1), BERLIN)
    assert night_shift[1] - night_shift[0] == 9 * 3600 * 10**9, "that night has an hour more"
    twice = weekly("02:00", "02:45")
    assert [stretch(twice, ns(f"2026-10-25T02:30:00+0{offset}:00")).holds for offset in (2, 1)] == [True, False]


def test_a_day_that_a_zone_left_out_has_no_hours() -> None:
    apia = ZoneInfo("Pacific/Apia")  # went from 29 to 31 December 2011
    jump = ns("2011-12-31T00:00:00+14:00")
    assert [moment_ns(date(2011, 12, 30), t, apia) for t in ("00:00", "12:00", "23:59")] == [jump] * 3


@given(at_ns=moments, start=minutes, end=minutes, zone=zones, on=days)
def test_stretches_agree_with_the_clock_on_the_wall(at_ns: int, start: str, end: str, zone: str, on: list[str]) -> None:
    """Away from days on which clocks are set, an entry holds exactly when the clock says so."""
    entry = weekly(start, end, zone, tuple(on))
    day_ns = 86_400 * 10**9
    offsets = {datetime.fromtimestamp((at_ns + n * day_ns) // 10**9, ZoneInfo(zone)).utcoffset() for n in range(-2, 3)}
    if len(offsets) > 1:
        return
    shown = clock(at_ns, zone)
    now, yesterday = DAYS[shown.weekday()], DAYS[shown.weekday() - 1]
    time = f"{shown:%H:%M}"
    if start < end:
        holds = now in on and start <= time < end
    else:
        holds = (now in on and time >= start) or (yesterday in on and time < end)
    assert stretch(entry, at_ns).holds is holds


@given(at_ns=moments, start=minutes, end=minutes, zone=zones, on=days)
def test_a_stretch_is_right_from_its_first_to_its_last_moment(
    at_ns: int, start: str, end: str, zone: str, on: list[str]
) -> None:
    """So it may be remembered: asked anywhere inside it the answer is the same, and it changes at its ends."""
    entry = weekly(start, end, zone, tuple(on))
    found = stretch(entry, at_ns)
    assert found.from_ns <= at_ns < found.until_ns
    for inside in (found.from_ns, (found.from_ns + found.until_ns) // 2, found.until_ns - 1):
        assert stretch(entry, inside).holds is found.holds
    whole_week = found.until_ns - found.from_ns > 7 * 86_400 * 10**9
    if not whole_week:
        assert stretch(entry, found.until_ns).holds is not found.holds
        assert stretch(entry, found.from_ns - 1).holds is not found.holds


@given(at_ns=moments, cuts=st.lists(minutes, min_size=2, max_size=6, unique=True), zone=zones)
def test_shifts_that_follow_each_other_leave_no_gap_and_never_overlap(at_ns: int, cuts: list[str], zone: str) -> None:
    """On every day, also those on which clocks are set: each moment belongs to exactly one shift."""
    cuts = sorted(cuts)
    shifts = [weekly(start, end, zone) for start, end in zip(cuts, [*cuts[1:], cuts[0]], strict=True)]
    assert sum(stretch(shift, at_ns).holds for shift in shifts) == 1


@given(day=st.dates(date(2010, 1, 2), date(2030, 1, 1)), first=minutes, second=minutes, zone=zones)
def test_a_later_time_is_never_an_earlier_moment(day: date, first: str, second: str, zone: str) -> None:
    earlier, later = sorted((first, second))
    place = ZoneInfo(zone)
    assert moment_ns(day, earlier, place) <= moment_ns(day, later, place)
    assert moment_ns(day, later, place) <= moment_ns(day + timedelta(days=1), "00:00", place)


@given(at_ns=moments, order=st.permutations(range(4)))
def test_the_first_entry_that_matches_wins(at_ns: int, order: list[int]) -> None:
    plans = [
        night("a", "06:00", "14:00"),
        night("b", "12:00", "20:00"),
        night("c", "18:00", "08:00"),
        night("d", "00:00", "00:00", "line-?"),
    ]
    plans = [plans[i] for i in order]
    schedule = Schedule(plans)
    for camera in ("line-1", "hall"):
        expected = next(
            (p for p in plans if any(matches(camera, c) for c in p.cameras) and stretch(p, at_ns).holds), None
        )
        for _ in range(2):  # found, and remembered
            found = schedule.at(camera, at_ns)
            assert (found and found[0]) == expected


def test_what_is_remembered_is_not_held_for_other_times() -> None:
    schedule = Schedule([night("late", "22:00", "06:00")])
    begin = ns("2026-05-29T22:00:00+02:00")
    for at_ns, holds in [(begin, True), (begin - 1, False), (begin, True), (begin + 8 * 3600 * 10**9, False)]:
        assert (schedule.at("line-1", at_ns) is not None) is holds


@pytest.mark.parametrize("at_ns", [-(10**18), 0, 10**19, 2**63])
def test_a_camera_with_an_absurd_clock_gets_an_answer(at_ns: int) -> None:
    assert Schedule([night("a", "00:00", "00:00")]).at("line-1", at_ns) is not None


def test_all_entries_that_hold_now_are_listed() -> None:
    noon = datetime(2026, 5, 29, 12, tzinfo=UTC)
    entries = [
        Maintenance(start="11:00", end="13:00", why="cleaning", cameras=("line-1",)),
        Maintenance(start="13:00", end="14:00", why="oil"),
    ]
    assert [e.why for e, _ in Schedule(entries).now(round(noon.timestamp()) * 10**9)] == ["cleaning"]
