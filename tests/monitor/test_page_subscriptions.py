"""Who is told what, on the page: subscriptions, what is undelivered, what people do about an alert, and the live list.

In a real Chromium, before a stub that keeps to the contract, so that each refusal and each break can be had.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.monitor.page_delivery import channel, letter
from tests.monitor.page_stub import Stub

WAIT_MS = 20_000
MARKUP = "<img src=x onerror=alert(1)>"
NO_CLIP = "the clip of this alert is being made; ask again in some seconds"


@pytest.fixture
def stub() -> Iterator[Stub]:
    made = Stub()
    made.delivery.old = False
    made.delivery.channels = [
        channel("kafka", "kafka", built_in=True),
        channel("shift-mail", "apprise", queued=3, oldest_s=75.0),
        channel("mes", "mqtt"),
    ]
    made.server.start()
    yield made
    made.server.stop()


@pytest.fixture
def page(browser: Browser, stub: Stub) -> Iterator[Page]:
    """A page that must not complain, but for requests that the stub refuses."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, base_url=stub.server.url, timezone_id="Europe/Berlin"
    )
    context.set_default_timeout(WAIT_MS)
    expect.set_options(timeout=WAIT_MS)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda said: (
            complaints.append(said.text)
            if said.type == "error" and not said.text.startswith("Failed to load resource")
            else None
        ),
    )
    yield page
    context.close()
    assert complaints == []


def subscriptions(page: Page) -> Locator:
    """The dialog, opened."""
    page.get_by_role("button", name="Subscriptions", exact=True).click()
    return page.get_by_role("dialog")


def wait_for(page: Page, true: Callable[[], object], what: str) -> None:
    end_s = time.monotonic() + WAIT_MS / 1000
    while not true():
        assert time.monotonic() < end_s, f"never happened: {what}"
        page.wait_for_timeout(20)


def test_a_subscription_is_made_with_hours_and_escalation_and_changed(page: Page, stub: Stub) -> None:
    stub.see("line-3a")
    stub.see("line-3b")
    stub.see("line-4")
    stub.delivery.put("shift-lead", cameras=[MARKUP])
    page.goto("/")
    expect(page.locator(".card")).to_have_count(3)
    page.get_by_label("Your name").fill("Anna")
    dialog = subscriptions(page)
    expect(dialog.locator(".sub-words")).to_have_text(f"All events of {MARKUP}, at once, to shift-mail.")
    dialog.get_by_role("button", name="New subscription").click()
    expect(dialog.get_by_label("Name")).to_be_focused()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.locator(".fault:visible")).to_have_text(
        ["Expected letters, digits, . _ and -, beginning with a letter or digit.", "Choose at least one channel."]
    )
    expect(dialog.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_label("Name").fill("line-3-critical")
    dialog.get_by_label("shift-mail (apprise)").check()
    for other in ("Camera trouble", "Drift", "Alarm storms"):
        dialog.get_by_label(other).uncheck()
    dialog.get_by_label("Critical only").check()
    dialog.get_by_role("combobox", name="Cameras").fill("line-3*")
    page.keyboard.press("Enter")
    expect(dialog.get_by_text("Now 2 of 3 cameras: line-3a, line-3b.")).to_be_visible()
    dialog.get_by_role("group", name="Not in these hours").get_by_role("button", name="Add hours").click()
    dialog.get_by_label("Critical events are told at any time").uncheck()
    dialog.get_by_label("is not told at all").check()
    dialog.get_by_label("Tell somebody else").check()
    dialog.get_by_label("By the subscription").select_option("shift-lead")
    words = (
        "Critical anomalies of line-3*, not from 22:00 to 06:00 (Europe/Berlin), what comes meanwhile is dropped, "
        "at once, to shift-mail, after 10 min without acknowledgement to shift-lead."
    )
    expect(dialog.locator(".form-words")).to_have_text(words)
    dialog.get_by_role("button", name="Save").click()
    made = dialog.locator('[data-subscription="line-3-critical"]')
    expect(made.locator(".sub-words")).to_have_text(words)
    expect(made.get_by_role("button", name="Edit")).to_be_focused()
    method, path, body = stub.delivery.sent.pop()
    assert (method, path, body["by"]) == ("POST", "/api/subscriptions", "Anna")
    sent = body["subscription"]
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    assert sent == {
        "name": "line-3-critical",
        "to": ["shift-mail"],
        "enabled": True,
        "cameras": ["line-3*"],
        "lines": [],
        "tags": [],
        "from_severity": "critical",
        "kinds": ["anomaly"],
        "tell": ["begin", "end"],
        "when": {
            "timezone": "Europe/Berlin",
            "working": [],
            "quiet": [{"days": days, "start": "22:00", "end": "06:00"}],
            "critical_passes": False,
            "missed": "drop",
        },
        "how_often": {"group_s": None, "digest": None},
        "escalate": {"to": "shift-lead", "after_s": 600, "resolved_too": False},
    }

    made.get_by_role("button", name="Edit").click()
    expect(dialog.get_by_label("Name")).to_have_attribute("readonly", "")
    dialog.get_by_role("group", name="Not in these hours").get_by_label("Sun").uncheck()
    dialog.get_by_label("in a digest, at times of day").check()
    dialog.get_by_label("At", exact=True).fill("14:00")
    dialog.get_by_role("button", name="Save").click()
    expect(made.locator(".sub-words")).to_contain_text("not Mon to Sat from 22:00 to 06:00")
    expect(made.locator(".sub-words")).to_contain_text("in one digest at 14:00")
    method, path, body = stub.delivery.sent.pop()
    assert (method, path) == ("PUT", "/api/subscriptions/line-3-critical")
    assert body["subscription"]["when"]["quiet"][0]["days"] == days[:6]
    assert body["subscription"] == sent | {"when": body["subscription"]["when"]} | {
        "how_often": {"group_s": None, "digest": {"at": ["14:00"], "every_s": None}}
    }


def test_a_subscription_is_switched_tested_and_deleted(page: Page, stub: Stub) -> None:
    stub.delivery.put("shift")
    stub.delivery.put("night", origin="configuration")
    stub.delivery.results = [
        {"channel": "shift-mail", "outcome": "delivered", "detail": "", "took_s": 0.42},
        {"channel": "mes", "outcome": "failed", "detail": f"connection refused {MARKUP}", "took_s": 10.0},
    ]
    page.goto("/")
    page.get_by_label("Your name").fill("Anna")
    dialog = subscriptions(page)
    night, made = (dialog.locator(f'[data-subscription="{name}"]') for name in ("night", "shift"))
    expect(night.locator(".sub-origin")).to_have_text("configuration")
    expect(night.get_by_role("button")).to_have_text(["Test", "Copy…"])
    expect(dialog.locator('[data-channel="shift-mail"]')).to_contain_text("3 wait, the oldest for 1 min 15 s")
    made.get_by_role("switch").press("Space")
    expect(made.get_by_role("switch")).to_have_attribute("aria-checked", "false")
    expect(made.locator(".sub-state")).to_have_text("off")
    expect(made.locator(".sub-marks")).to_contain_text("switched off by Anna")
    made.get_by_role("button", name="Test").click()
    expect(made.locator(".sub-results li")).to_have_text(
        ["shift-mail delivered in 0.4 s", re.compile("mes did not get through.*10.0 s.*connection refused <img")]
    )

    made.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(made).to_have_count(0)
    expect(dialog.get_by_role("button", name="New subscription")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="Subscriptions", exact=True)).to_be_focused()
    assert page.locator("img[onerror]").count() == 0


def test_a_refusal_is_shown_at_its_field_and_nothing_typed_is_lost(page: Page, stub: Stub) -> None:
    stub.delivery.put("shift-lead")
    page.goto("/")
    dialog = subscriptions(page)
    dialog.get_by_role("button", name="Edit shift-lead").click()
    dialog.get_by_role("group", name="Only in these hours").get_by_role("button", name="Add hours").click()
    dialog.get_by_label("Time zone").fill("Mars/Olympus")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.locator(".fault:visible")).to_have_text(re.compile("^no time zone 'Mars/Olympus'; expected one like"))
    expect(dialog.get_by_label("Time zone")).to_be_focused()
    dialog.get_by_label("Time zone").fill("UTC")
    refusal = "subscription shift-lead: no channel shift-mail; there are: none"
    stub.delivery.refuse["PUT /api/subscriptions/shift-lead"] = (409, refusal)
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("group", name="To these channels").locator(".fault")).to_have_text(refusal)
    stub.delivery.refuse["PUT /api/subscriptions/shift-lead"] = (503, "Redis does not answer")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.locator(".form-foot .note")).to_have_text("Not saved: Redis does not answer.")
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="Leave without saving?")).to_be_visible()
    page.get_by_role("button", name="Do not save").click()
    expect(dialog.get_by_role("button", name="Edit shift-lead")).to_be_focused()
    assert stub.delivery.subscriptions["shift-lead"]["subscription"]["when"]["working"] == []


def test_what_is_undelivered_is_sent_again_or_discarded(page: Page, stub: Stub) -> None:
    stub.delivery.letters = [
        letter("a", "mes", f"not authorized {MARKUP}"),
        letter("b", "shift-mail", "550 no such mailbox", outcome="expired", tries=31, kind="digest", events=12),
        letter("c", "shift-mail", "552 too large"),
    ]
    page.goto("/")
    page.get_by_role("button", name="3 undelivered").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator('[data-letter="a"] .sub-words')).to_have_text(f"not authorized {MARKUP}")
    expect(dialog.locator('[data-letter="b"]')).to_contain_text("A digest (12) of line-1 · given up after 31 tries")
    dialog.locator('[data-letter="a"]').get_by_role("button", name="Send again").click()
    expect(dialog.get_by_role("status")).to_have_text("1 message will be sent again.")
    expect(dialog.locator(".dead")).to_have_count(2)
    assert stub.delivery.sent.pop()[1:] == (
        "/api/dead-letters/replay",
        {"ids": ["a"], "channel": None, "by": "operator"},
    )
    expect(page.locator("#undelivered")).to_have_text("2 undelivered")
    dialog.get_by_label("Of which channel").select_option("shift-mail")
    dialog.get_by_role("button", name="Discard all").click()
    page.get_by_role("button", name="Discard all", exact=True).click()
    expect(dialog.get_by_text("Nothing is undelivered")).to_be_visible()
    expect(dialog.get_by_role("heading", name="Undelivered")).to_be_focused()
    assert stub.delivery.sent.pop()[2] == {"ids": None, "channel": "shift-mail", "by": "operator"}
    page.keyboard.press("Escape")
    expect(page.locator("#undelivered")).to_be_hidden()
    expect(page.get_by_role("button", name="Subscriptions", exact=True)).to_be_focused()


def test_what_is_undelivered_again_comes_back_into_the_list(page: Page, stub: Stub) -> None:
    stub.delivery.letters = [letter("a", "mes", "not authorized"), letter("b", "mes", "too large")]
    page.goto("/")
    page.get_by_role("button", name="2 undelivered").click()
    dialog = page.get_by_role("dialog")
    dialog.locator('[data-letter="a"]').get_by_role("button", name="Send again").click()
    expect(dialog.get_by_role("status")).to_have_text("1 message will be sent again.")
    expect(dialog.locator(".dead")).to_have_count(1)
    dialog.locator('[data-letter="b"]').get_by_role("button", name="Send again").focus()
    stub.delivery.letters.insert(0, letter("a", "mes", "still not authorized"))
    expect(dialog.locator('[data-letter="a"] .sub-words')).to_have_text("still not authorized")
    expect(dialog.get_by_text("will be sent again")).to_be_hidden()
    expect(dialog.locator('[data-letter="b"]').get_by_role("button", name="Send again")).to_be_focused()
    expect(page.locator("#undelivered")).to_have_text("2 undelivered")


def test_an_alert_is_acknowledged_escalated_and_its_camera_shelved_from_its_row(page: Page, stub: Stub) -> None:
    stub.see("line-1")
    stub.alarm(
        "beef", "line-1", lasts_s=None, clip_url="http://elsewhere/clip.mp4", evidence_url="http://elsewhere/e.jpg"
    )
    stub.delivery.put("shift-lead")
    stub.delivery.me = {"name": "Bea", "role": "operator"}
    page.goto("/")
    row = page.locator('[data-alert="beef"]')
    expect(page.locator("#me")).to_have_text("Bea, operator")
    expect(page.get_by_label("Your name")).to_be_hidden()
    row.get_by_role("button", name="Acknowledge").click()
    expect(row.locator(".marks")).to_contain_text("Seen by Bea")

    more = row.get_by_role("button", name="More for the alert on camera line-1")
    more.click()
    page.get_by_role("menuitem", name="Escalate").click()
    page.get_by_label("Who is told").select_option("shift-lead")
    expect(page.get_by_label("Acting as")).to_be_hidden()
    stub.refuse["escalate"] = (409, "the subscription shift-lead is off")
    page.get_by_role("button", name="Escalate", exact=True).click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_have_text(
        "Not done: the subscription shift-lead is off."
    )
    stub.refuse.clear()
    page.get_by_role("button", name="Escalate", exact=True).click()
    expect(row.locator(".marks")).to_contain_text("Escalated to shift-lead by Bea")
    assert stub.sent[-1] == ("beef/escalate", {"by": "Bea", "to": "shift-lead"})
    expect(more).to_be_focused()

    more.click()
    page.get_by_role("menuitem", name="Shelve line-1").click()
    page.get_by_label("Why").fill("the lamp is changed")
    page.get_by_role("button", name="Shelve", exact=True).click()
    expect(row.get_by_text("line-1 is shelved until")).to_be_visible()
    assert stub.sent[-1] == ("line-1/shelve", {"minutes": 15, "by": "Bea", "why": "the lamp is changed"})

    stub.clips["beef"] = NO_CLIP
    row.locator(".thumb").click()
    expect(page.locator("#viewer-clip")).to_have_text(NO_CLIP)
    stub.clips["beef"] = b"a film"
    video = page.locator("#viewer-clip video")
    expect(video).to_have_attribute("src", "/api/alerts/beef/clip.mp4")
    expect(video).to_have_attribute("controls", "")
    page.keyboard.press("Escape")
    expect(video).to_have_count(0)


def test_a_viewer_sees_all_and_is_offered_nothing(page: Page, stub: Stub) -> None:
    stub.see("line-1", troubles=["covered"], shelved={"from_ms": 1, "until_ms": 2, "by": "Anna", "why": "lamp"})
    stub.alarm("beef", "line-1", lasts_s=None, evidence_url="http://elsewhere/e.jpg")
    stub.delivery.put("shift-lead")
    stub.delivery.letters = [letter("a", "mes", "not authorized")]
    stub.delivery.me = {"name": "", "role": "viewer"}
    page.goto("/")
    expect(page.locator("#me")).to_have_text("viewer")
    row = page.locator('[data-alert="beef"]')
    expect(row.locator(".answers").get_by_role("button")).to_have_text(["Heat map"])
    for name in ("Actions for camera", "Accept this view", "End shelving"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    dialog = subscriptions(page)
    expect(dialog.locator(".sub-words")).to_be_visible()
    expect(dialog.get_by_role("button")).to_have_text(["Close"])
    expect(dialog.get_by_role("switch")).to_have_count(0)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="1 undelivered").click()
    expect(dialog.locator(".dead")).to_be_visible()
    expect(dialog.get_by_role("button")).to_have_text(["Close"])
    page.keyboard.press("Escape")
    stub.delivery.me = {"name": "Bea", "role": "operator"}
    page.reload()
    subscriptions(page)
    expect(dialog.locator(".sub").get_by_role("button")).to_have_text(["Test"])
    expect(dialog.get_by_role("switch")).to_be_visible()
    expect(dialog.get_by_role("button", name="New subscription")).to_be_hidden()


def test_the_list_has_no_hole_after_breaks_refusals_and_gaps(page: Page, stub: Stub) -> None:
    alert = stub.alarm("a1", "line-1", lasts_s=None)
    stub.alarm("a2", "line-1", ago_s=90, lasts_s=None)
    page.goto("/")
    expect(page.locator("#live")).to_have_text("live")
    first, second = page.locator('[data-alert="a1"]'), page.locator('[data-alert="a2"]')
    expect(first).to_be_visible()
    # From here on the list says nothing new: what changes came by events, as others made them.
    listed: list[str] = []

    def stands_still(route: Any) -> None:
        listed.append(route.request.url)
        route.fulfill(body=json.dumps({"alerts": [alert, stub.alerts["a2"]], "next": None}))

    page.route("**/api/alerts?limit=50", stands_still)
    raised = alert | {"severity": "critical"}
    stub.events.tell("linewatch.alert.raised", raised)
    expect(first.locator(".severity")).to_have_text("critical")
    expect(page.locator("#announce")).to_have_text("New critical alert on camera line-1")
    told = raised | {"escalated_at": time.time_ns(), "escalated_by": "linewatch", "escalated_to": "shift-lead"}
    last = stub.events.tell("linewatch.alert.escalated", told)
    expect(first.locator(".marks")).to_contain_text("Escalated to shift-lead as nobody acknowledged in time")

    # The service goes away and then refuses twice: the page waits longer each time, and goes on where it was.
    stub.events.refuse = [503, 429]
    before = len(stub.events.asked)
    stub.events.cut()
    expect(page.locator("#live")).to_have_text("every 10 s")
    stub.events.tell(
        "linewatch.alert.acknowledged", told | {"acknowledged_at": time.time_ns(), "acknowledged_by": "Carl"}
    )
    expect(first.locator(".marks")).to_contain_text("Seen by Carl")
    assert stub.events.asked[before:] == [last] * 3

    # The tab sleeps, and what happened meanwhile is told when it wakes.
    page.evaluate("""() => {
      Object.defineProperty(document, "visibilityState", { get: () => window.look ?? "hidden", configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }""")
    expect(page.locator("#live")).to_have_text("paused")
    resolved = stub.alerts["a2"] | {"ended_at": time.time_ns()}
    last = stub.events.tell("linewatch.alert.resolved", resolved)
    page.evaluate("() => { window.look = 'visible'; document.dispatchEvent(new Event('visibilitychange')); }")
    expect(second.locator(".lasting")).to_have_text(re.compile("^lasted"))
    assert stub.events.asked[-1] == "3-0"

    # What was missed is not kept any more: the list is loaded anew, and what it does not hold is gone.
    page.unroute("**/api/alerts?limit=50")
    del stub.alerts["a2"]
    stub.alarm("a3", "line-1", ago_s=10, lasts_s=None)
    stub.events.tell("linewatch.gap", {})
    expect(page.locator('[data-alert="a3"]')).to_be_visible()
    expect(second).to_have_count(0)
    assert len(listed) >= 2


def test_light_and_narrow(page: Page, stub: Stub) -> None:
    page.set_viewport_size({"width": 390, "height": 780})
    stub.see("a-camera-with-a-name-that-is-far-too-long-for-any-telephone-in-the-hall")
    stub.delivery.put("a" * 64, cameras=["a-camera-with-a-name-that-is-far-too-long-for-any-telephone-in-the-hall*"])
    page.goto("/")
    page.get_by_role("button", name="Light").click()
    expect(page.locator("body")).to_have_css("background-color", "rgb(238, 242, 245)")
    page.reload()
    expect(page.get_by_role("button", name="Light")).to_have_attribute("aria-pressed", "true")
    dialog = subscriptions(page)
    expect(dialog.locator(".sub")).to_be_visible()
    wide = "() => document.querySelector('dialog[open]').scrollWidth"
    assert page.evaluate(wide) <= 390
    dialog.get_by_role("button", name="Edit").click()
    expect(dialog.get_by_role("button", name="Save")).to_be_in_viewport()
    assert page.evaluate(wide) <= 390
    assert page.evaluate("document.documentElement.scrollWidth") == 390
