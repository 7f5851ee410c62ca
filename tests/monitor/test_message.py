"""What people read: what it says, how short it is, and that names from outside stay names."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.delivery.channels.rendering import rendered
from monitor.delivery.delivery import Kind
from monitor.delivery.foreign_text import harmless
from monitor.delivery.message import Message, message_of
from monitor.judging.episodes import Severity
from tests.monitor.told import BEGAN_NS, MadeUp, event, many, one


@pytest.fixture
def berlin() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


def test_an_anomaly_says_where_what_when_how_bad_and_what_to_do(berlin: None) -> None:
    message = message_of(one(event(0, product="bottle 0.5")), MadeUp())
    assert message.title == "line-3: part anomaly, critical"
    assert message.severity == "critical"
    assert message.text.splitlines() == [
        "Camera: line-3, line north",
        "What: part anomaly, critical",
        "Began: 2026-11-24 04:12:07 CET (+01:00)",
        "Peak: 2.31 × the limit, raw 0.0231 against 0.0100",
        "Product: bottle 0.5",
        "Look at the part and the picture, then acknowledge.",
        "Acknowledge, shelve or escalate: https://plant.example/act/0000000000000000.x_y",
        "Picture: https://plant.example/l/0000000000000000/evidence?until=1795500000&sig=a_b-c",
        "Live page: https://plant.example/#alert=0000000000000000",
    ]
    assert "[Picture](https://plant.example/l/0000000000000000/evidence?until=1795500000&sig=a_b-c)" in message.markdown
    assert _Page.of(message).links["Picture"].endswith("until=1795500000&sig=a_b-c")


@pytest.mark.parametrize(
    ("told", "title", "mood"),
    [
        (
            event(0, "linewatch.alert.resolved", ended_at=BEGAN_NS + 12 * 10**9),
            "line-3: part anomaly, resolved after 12 s",
            "resolved",
        ),
        (event(0, "linewatch.alert.raised"), "line-3: part anomaly, now critical", "critical"),
        (
            event(0, "linewatch.alert.acknowledged", acknowledged_by="anna", acknowledged_at=BEGAN_NS),
            "line-3: part anomaly, seen by anna",
            "critical",
        ),
        (event(0, "linewatch.camera.offline", condition="offline"), "line-3: camera offline, critical", "critical"),
        (
            event(0, "linewatch.camera.degraded", condition="dark", severity=Severity.WARNING),
            "line-3: camera too dark, warning",
            "warning",
        ),
        (
            event(0, "linewatch.camera.online", condition="dark", ended_at=BEGAN_NS + 125 * 10**9),
            "line-3: camera too dark, over after 2 min 05 s",
            "resolved",
        ),
        (
            event(0, camera="*", condition="storm", held_back={"line-3": 20, "line-4": 3}),
            "All cameras: alarm storm, critical",
            "critical",
        ),
    ],
)
def test_titles_tell_it_in_a_glance(told: dict[str, object], title: str, mood: str) -> None:
    message = message_of(one(told), MadeUp())
    assert (message.title, message.severity) == (title, mood)


def test_what_was_measured_has_its_unit() -> None:
    told = {
        condition: message_of(one(event(0, condition=condition, peak_score=value, threshold=limit)), MadeUp()).text
        for condition, value, limit in (
            ("offline", 16.2, 15),
            ("covered", 0.52, 0.35),
            ("blurred", 0.31, 0.45),
            ("moved", 0.041, 0.02),
            ("relit", 1.8, 1.12),
            ("drift", 130, 500),
        )
    }
    assert "no picture for 16 s, 15 s allowed" in told["offline"]
    assert "52% of the picture, 35% allowed" in told["covered"]
    assert "31% of the usual sharpness, at least 45% wanted" in told["blurred"]
    assert "4.1% of the picture's width, 2.0% allowed" in told["moved"]
    assert "1.80 × the usual light, 1.12 × is the limit" in told["relit"]
    assert "130 frames refused, a new normal after 500" in told["drift"]


def test_an_escalation_says_who_called_whom() -> None:
    told = event(0, "linewatch.alert.escalated", escalated_at=BEGAN_NS, escalated_by="linewatch", escalated_to="boss")
    assert "Escalated: nobody acknowledged it in time to boss, " in message_of(one(told), MadeUp()).text


def test_a_trial_says_that_it_is_one() -> None:
    message = message_of(one(event(0, "linewatch.test"), Kind.TEST), MadeUp())
    assert message.title == "Test: line-3: part anomaly, critical" and message.severity == "test"
    assert "Nothing has happened." in message.text and "Look at the part" not in message.text


def test_a_group_has_one_line_for_each_alert_the_worst_first() -> None:
    begun = [event(n, camera=f"line-{n}", severity=Severity.WARNING) for n in range(36)]
    begun.append(event(36, camera="line-36"))
    over = event(5, "linewatch.alert.resolved", 60, camera="line-5", ended_at=BEGAN_NS + 65 * 10**9)
    message = message_of(many(*begun, over, omitted=3), MadeUp())
    lines = message.text.splitlines()
    assert message.title == "37 alerts on 37 cameras, 2 critical, 36 not over"
    assert lines[0].startswith("41 events of 37 alerts, from 2026-") and lines[0].endswith(
        "2 critical, 36 not over. 3 older events are left out."
    )
    assert "line-36: part anomaly, critical, 2.31 × the limit" in lines[1] and "line-35: " in lines[2]
    assert lines[21] == "and 17 more" and len([line for line in lines if line.startswith("- ")]) == 20
    assert not any("line-5: " in line for line in lines)  # it is over, so others come first
    links = _Page.of(message).links
    assert "and 17 more" in message.html and "Acknowledge" in links and "Picture" in links


def test_a_group_of_one_alert_reads_like_one() -> None:
    over = event(0, "linewatch.alert.resolved", 12, ended_at=BEGAN_NS + 12 * 10**9)
    message = message_of(many(event(0), over), MadeUp())
    assert message.title == "line-3: part anomaly, resolved after 12 s" and "Events: 2" in message.text


def test_a_small_service_gets_fewer_lines_and_then_less_text() -> None:
    delivery = many(*(event(n, camera=f"line-{n}") for n in range(60)), kind=Kind.DIGEST)
    shorter = rendered(delivery, MadeUp(), "html", 4000, mail=False)
    assert shorter.format == "html" and len(shorter.body) <= 4000 and "and 52 more" in shorter.body
    sms = rendered(delivery, MadeUp(), "text", 140, mail=False)
    assert sms.format == "text" and 0 < len(sms.body) <= 140
    assert sms.message.title == "Digest: 60 alerts on 60 cameras, 60 critical, 60 not over"


@given(st.text(min_size=1, max_size=200), st.text(max_size=200), st.text(min_size=1, max_size=200))
def test_names_from_outside_stay_names(camera: str, product: str, person: str) -> None:
    told = event(
        0,
        "linewatch.alert.acknowledged",
        camera=camera,
        product=product,
        acknowledged_by=person,
        acknowledged_at=BEGAN_NS,
    )
    message = message_of(one(told), MadeUp(line=None))
    plain = message_of(
        one(event(0, told["type"], acknowledged_by="x", acknowledged_at=BEGAN_NS, product="x")), MadeUp()
    )
    for text in (message.title, message.text, message.markdown):
        assert not {c for c in text if not c.isprintable()} - {"\n"}
    assert len(message.title.splitlines()) == 1 and len(message.title) <= 150
    assert len(message.text.splitlines()) <= len(plain.text.splitlines())  # without a product one line less
    assert not set(message.title) & set("<>[]`*@#~|\\")
    assert message.markdown.count("[") == 3 == message.markdown.count("](https://plant.example/")
    page = _Page.of(message)
    assert page.tags <= {"h3", "p", "b", "br", "a"} and len(page.links) == 3
    assert all(link.startswith("https://plant.example/") for link in page.links.values())


@given(
    st.sampled_from(["<!channel>", "[x](http://e.example)", "@everyone", "<b>", "&lt;b&gt;", "_x_", "a\r\nBcc: b@c"])
)
def test_what_others_take_for_markup_is_none(name: str) -> None:
    said = harmless(f"cam {name}")
    assert not any(mark in said for mark in ("<", "[", "@", "://", "&lt;", "_x", "\n", "\r"))
    assert harmless("cam_1_a.north-2 R&D") == "cam_1_a.north-2 R&D"


class _Page(HTMLParser):
    """The tags of a message's HTML, and where its links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: dict[str, str] = {}
        self._at = ""

    @classmethod
    def of(cls, message: Message) -> _Page:
        page = cls()
        page.feed(message.html)
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._at = dict(attrs).get("href") or ""

    def handle_data(self, data: str) -> None:
        if self._at:
            self.links[data] = self._at
            self._at = ""
