"""Which events a subscription wants, held against a plain reading of the settings."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import event as seen
from hypothesis import given
from hypothesis import strategies as st

from monitor.alerting.alert import EVENT_KINDS, TEST
from monitor.delivery.matching import EventUnknown, kind_of, telling_of, wants
from monitor.delivery.materials import Place
from monitor.judging.health import Condition
from monitor.subscription_settings import Subscription

CAMERAS = ["a", "b", "line-1", "line-2", "line[1]", "LINE-1", "hall/3"]
PATTERNS = [*CAMERAS, "*", "line-?", "line*", "l*[*", "?", "*/*", "none"]
CONDITIONS = ["anomaly", "missed", "drift", "storm", *(one.value for one in Condition)]
PLACES = {
    camera: Place(("L1", "L2", None)[n % 3], (("hot", "wet"), ("wet",), ())[n % 3]) for n, camera in enumerate(CAMERAS)
}


def place(camera: str) -> Place:
    return PLACES[camera]


def few(values: list[str]) -> st.SearchStrategy[list[str]]:
    return st.just([]) | st.lists(st.sampled_from(values), max_size=3, unique=True)


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    condition = draw(st.sampled_from(CONDITIONS))
    camera = "*" if condition == "storm" else draw(st.sampled_from(CAMERAS))
    held_back = {name: 1 for name in draw(few(CAMERAS))} if condition == "storm" else None
    data = {
        "alert_id": "a1",
        "camera": camera,
        "condition": condition,
        "severity": draw(st.sampled_from(["warning", "critical"])),
        "held_back": held_back,
    }
    return {"id": "a1.x", "type": draw(st.sampled_from(EVENT_KINDS)), "subject": camera, "data": data}


subscriptions = st.builds(
    Subscription,
    name=st.just("one"),
    to=st.just(("mail",)),
    cameras=few(PATTERNS),
    lines=few(["L1", "L2", "L3"]),
    tags=few(["hot", "wet", "dry"]),
    from_severity=st.sampled_from(["warning", "critical"]),
    kinds=few(["anomaly", "camera", "drift", "system"]),
    tell=st.just(("begin", "end", "acknowledged", "escalated"))
    | st.lists(st.sampled_from(["begin", "end", "acknowledged", "escalated"]), min_size=1, unique=True),
)


def meant(camera: str, pattern: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), camera) is not None


def plainly(one: Subscription, event: dict[str, Any]) -> bool:
    """All conditions must hold; an empty list means every one."""
    data = event["data"]
    word = event["type"].rsplit(".", 1)[1]
    telling = {"resolved": "end", "online": "end", "acknowledged": "acknowledged", "escalated": "escalated"}
    kind = {"anomaly": "anomaly", "missed": "anomaly", "drift": "drift", "storm": "system"}
    about = data["held_back"] if event["subject"] == "*" else [event["subject"]]
    there = [
        camera
        for camera in about
        if (not one.cameras or [p for p in one.cameras if meant(camera, p)])
        and (not one.lines or PLACES[camera].line in one.lines)
        and (not one.tags or [tag for tag in one.tags if tag in PLACES[camera].tags])
    ]
    return (
        telling.get(word, "begin") in one.tell
        and (one.from_severity == "warning" or data["severity"] == "critical")
        and (not one.kinds or kind.get(data["condition"], "camera") in one.kinds)
        and (bool(there) or not (one.cameras or one.lines or one.tags))
    )


@given(one=subscriptions, event=events())
def test_as_a_plain_reading_of_the_settings(one: Subscription, event: dict[str, Any]) -> None:
    wanted = plainly(one, event)
    seen(f"wanted: {wanted}")
    assert wants(one, event, place) == wanted


def test_a_storm_concerns_those_whose_cameras_it_held_back() -> None:
    storm = {
        "id": "s.firing",
        "type": "linewatch.alert.firing",
        "subject": "*",
        "data": {"condition": "storm", "severity": "critical", "held_back": {"line-1": 3, "b": 1}},
    }

    def wanted(**says: Any) -> bool:
        return wants(Subscription(name="x", to=("mail",), **says), storm, place)

    assert kind_of(storm) == "system" and wanted() and wanted(cameras=("line-?",)) and wanted(lines=(PLACES["b"].line,))
    assert not wanted(cameras=("a",)) and not wanted(kinds=("anomaly",))
    # It takes one camera for which all holds.
    assert PLACES["b"].line != PLACES["line-1"].line
    assert not wanted(cameras=("line-1",), lines=(PLACES["b"].line,))


def test_each_kind_of_event_says_something_of_its_alert() -> None:
    told = {kind.rsplit(".", 1)[1]: telling_of({"type": kind}) for kind in EVENT_KINDS}
    assert [name for name, telling in told.items() if telling == "end"] == ["resolved", "online"]
    assert told["raised"] == told["degraded"] == "begin"
    with pytest.raises(EventUnknown, match=r"unknown type linewatch\.test"):
        telling_of({"id": "x", "type": TEST})
