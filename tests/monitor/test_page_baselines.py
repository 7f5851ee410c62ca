"""What the page shows and takes of baselines, shelves, regions, episodes and storms, in a real Chromium.

The service behind it is a stub that keeps to the contract, so that each state can be had and each refusal asked for.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from monitor.embedded import EmbeddedValkey
from monitor.judging.baseline.port import BaselineKey
from tests.monitor.page_line import Line
from tests.monitor.page_stub import FOUND, SOUGHT, Stub, baseline, now_ms, polygon

WAIT_MS = 20_000
MARKUP = "<img src=x onerror=alert(1)>"
LONG = "a-camera-with-a-name-that-is-far-too-long-for-any-telephone-in-the-hall"


@pytest.fixture
def stub() -> Iterator[Stub]:
    made = Stub()
    made.server.start()
    yield made
    made.server.stop()


@pytest.fixture
def page(browser: Browser, stub: Stub) -> Iterator[Page]:
    """A page that must not complain, but for requests that the stub refuses."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=stub.server.url)
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


def card_of(page: Page, camera: str = "line-1") -> Locator:
    return page.locator(f'[data-camera="{camera}"]')


def choose(page: Page, item: str, camera: str = "line-1") -> None:
    """An item of a camera's menu."""
    card_of(page, camera).get_by_role("button", name="Actions for").click()
    page.get_by_role("menuitem", name=item).click()


def wait_for(page: Page, true: Any, what: str) -> None:
    end_s = time.monotonic() + WAIT_MS / 1000
    while not true():
        assert time.monotonic() < end_s, f"never happened: {what}"
        page.wait_for_timeout(50)


def polls(page: Page, times: int = 3) -> None:
    """Until the page has asked for the cameras so many times more, and has drawn what it got."""
    for _ in range(times):
        with page.expect_response("**/api/cameras"):
            pass
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


# What is shown


def test_life_cycle_in_plain_words(page: Page, stub: Stub) -> None:
    kept_ms = now_ms()
    at = time.strftime("%H:%M", time.localtime(kept_ms / 1000))
    expected = {
        "a": (baseline("cold"), "nothing learnt yet", "cold"),
        "b": (baseline("warming"), "warming 43 of 100", "warming"),
        "c": (baseline("ready"), "ready", "ready"),
        "d": (baseline("stale"), "stale: 12 of 100 new", "stale"),
        "e": (baseline("stale", kept_ms=kept_ms), f"stale: learnt before {at}, 12 of 100 new", "stale"),
        "f": (baseline("drifting"), "drifting: 612 of 2 000 refused", "drifting"),
        "g": (baseline("ready", frozen=True), "frozen", "frozen"),
        "h": (baseline("warming", frozen=True), "frozen, warming 43 of 100", "frozen"),
    }
    for camera, (told, _, _) in expected.items():
        stub.see(camera, baseline=told)
    stub.see("i", state="degraded")
    stub.see("j", baseline=None, state=None, captured_at=None, score=None, age_s=None, threshold_from=None)
    page.goto("/")
    for camera, (_, words, phase) in expected.items():
        expect(card_of(page, camera).locator(".state")).to_have_text(words)
        expect(card_of(page, camera).locator(".state")).to_have_class(f"state {phase}")
        expect(card_of(page, camera).locator(".state")).to_have_attribute("title", re.compile("."))
    expect(card_of(page, "i").locator(".state")).to_have_text("degraded")
    expect(card_of(page, "j").locator(".against")).to_have_text("no score yet")


def test_where_the_threshold_comes_from(page: Page, stub: Stub) -> None:
    stub.see("a", threshold_from=FOUND)
    stub.see("b", threshold_from=SOUGHT)
    stub.see("c", threshold_from=None)
    stub.see("d", threshold_from=FOUND | {"wished_per_day": 1.0, "watched_s": 100_000.0})
    stub.see("e", threshold_from=FOUND | {"wished_per_day": 0.25, "peaks": 1200})
    page.goto("/")
    for camera, words in {
        "a": "threshold from 3 false alarms a day: 84 peaks in 9 h 12 min watched",
        "b": "model's calibration until 30 peaks and 2 h are seen; now 4 and 12 min",
        "c": "threshold as set in the configuration",
        "d": "threshold from 1 false alarm a day: 84 peaks in 1 d 3 h watched",
        "e": "threshold from 1 false alarm in 4 days: 1 200 peaks in 9 h 12 min watched",
    }.items():
        expect(card_of(page, camera).locator(".threshold-from")).to_have_text(words)


COLOURED = """([canvas, colour]) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let found = 0;
  for (let i = 0; i < data.length; i += 4) {
    if ([0, 1, 2].every((n) => Math.abs(data[i + n] - colour[n]) < 12) && data[i + 3] > 200) found += 1;
  }
  return found;
}"""


@pytest.mark.slow
def test_distribution_is_fetched_only_while_it_is_open(page: Page, stub: Stub) -> None:
    stub.see("line-1")
    page.goto("/")
    fold = card_of(page).locator(".fold")
    expect(fold).to_have_attribute("aria-expanded", "false")
    polls(page)
    assert "line-1/baseline" not in stub.asked
    fold.press("Enter")
    canvas = card_of(page).locator("canvas.histogram")
    expect(canvas).to_be_visible()
    expect(canvas).to_have_attribute(
        "aria-label", re.compile(r"1 553 scores from 0.00200 to 0.00900, most of them at 0.00331")
    )
    handle = canvas.element_handle()
    for colour in ([84, 199, 236], [243, 189, 78]):  # the bars, the limit
        assert page.evaluate(COLOURED, [handle, colour]) > 50
    expect(card_of(page).locator(".facts-list")).to_contain_text("Frames in the window1 832")
    expect(card_of(page).locator(".facts-list")).to_contain_text("31 % of the window")
    before = stub.asked.count("line-1/baseline")
    wait_for(page, lambda: stub.asked.count("line-1/baseline") > before, "the distribution is read again")
    fold.click()
    expect(canvas).to_be_hidden()
    polls(page, 1)
    before = stub.asked.count("line-1/baseline")
    polls(page, 8)  # 4 s; open it is read every 3 s
    assert stub.asked.count("line-1/baseline") == before


@pytest.mark.slow
def test_baseline_that_cannot_be_read_says_so_where_it_stands(page: Page, stub: Stub) -> None:
    stub.see("line-1")
    page.goto("/")
    card_of(page).locator(".fold").click()
    expect(card_of(page).locator(".facts-list")).to_contain_text("1 832")
    stub.refuse["/baseline"] = (503, "Redis does not answer")
    expect(card_of(page).locator(".fold-body .note")).to_contain_text(
        "Redis does not answer. What is shown is what was"
    )
    expect(card_of(page).locator("canvas.histogram")).to_be_visible()
    stub.refuse.clear()
    expect(card_of(page).locator(".fold-body .note")).to_be_hidden()


def test_empty_and_odd_distributions_do_no_harm(page: Page, stub: Stub) -> None:
    stub.see("a", baseline=baseline("cold"), score=None, low=None, high=None, limit=None)
    stub.counts["a"] = [0]
    stub.see("b", low=0.002, high=0.002)
    stub.counts["b"] = [1]
    stub.see("c", limit=1e6)
    page.goto("/")
    for camera in "abc":
        card_of(page, camera).locator(".fold").click()
        expect(card_of(page, camera).locator(".facts-list")).to_contain_text("Limit")
    expect(card_of(page, "a").locator("canvas.histogram")).to_be_hidden()
    expect(card_of(page, "b").locator("canvas.histogram")).to_be_visible()
    expect(card_of(page, "c").locator("canvas.histogram")).to_be_visible()


def test_episode_is_told_on_the_picture(page: Page, stub: Stub) -> None:
    stub.see("line-1")
    page.goto("/")
    chip = card_of(page).locator(".episode")
    expect(card_of(page).locator(".frame img")).to_be_visible()
    expect(chip).to_be_hidden()
    stub.see("line-1", episode="pending")
    expect(chip).to_have_text("pending")
    expect(card_of(page)).not_to_have_class(re.compile("firing"))
    stub.see("line-1", episode="firing", firing="beef")
    expect(chip).to_have_text("ALERT")
    stub.see("line-1", episode="recovering", firing="beef")
    expect(chip).to_have_text("ALERT, recovering")
    expect(card_of(page)).to_have_class(re.compile("firing"))


def test_region_lies_on_the_picture_and_takes_no_click(page: Page, stub: Stub) -> None:
    region = {
        "inside": [polygon((0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9))],
        "outside": [polygon((0.4, 0.4), (0.6, 0.4), (0.6, 0.6), (0.4, 0.6))],
    }
    stub.see("line-1", region=region)
    stub.see("line-2")
    page.goto("/")
    expect(card_of(page).locator(".region-inside")).to_be_visible()
    expect(card_of(page, "line-2").locator(".region")).to_be_hidden()

    def grey(x: float, y: float) -> int:
        """Of a point of the picture, in shares of it; the picture is 16:9 and fitted into its frame."""
        box = card_of(page).locator(".frame img").bounding_box()
        assert box is not None
        taken = cv2.imdecode(np.frombuffer(page.screenshot(clip=box), np.uint8), cv2.IMREAD_GRAYSCALE)
        assert taken is not None
        height, width = taken.shape
        shown = min(width, height * 16 / 9)
        return int(taken[round(y * height), round((width - shown) / 2 + x * shown)])

    assert abs(grey(0.2, 0.2) - 90) < 6, "what counts is as bright as the camera sees it"
    assert grey(0.5, 0.5) < 60, "what is masked is dimmed"
    assert grey(0.04, 0.5) < 60, "what lies outside of the region is dimmed"
    hit = """() => {
      const box = document.querySelector('[data-camera="line-1"] .frame').getBoundingClientRect();
      return document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2).tagName;
    }"""
    assert page.evaluate(hit) == "IMG"
    page.get_by_role("button", name="Regions").click()
    assert abs(grey(0.5, 0.5) - 90) < 6
    page.reload()
    expect(page.get_by_role("button", name="Regions")).to_have_attribute("aria-pressed", "false")
    expect(card_of(page).locator(".frame img")).to_be_visible()
    expect(card_of(page).locator(".region-inside")).to_be_hidden()
    stub.see("line-1", region=None)
    expect(page.get_by_role("button", name="Regions")).to_be_hidden()


@pytest.mark.slow
def test_notes_are_told_calmly_and_go(page: Page, stub: Stub) -> None:
    stub.see("line-1")
    page.goto("/")
    expect(page.locator("#ready")).to_have_text("ready")
    expect(page.locator("#notes")).to_be_hidden()
    stub.notes["configuration"] = "line.yaml:3: window.mode: the changed file was refused"
    expect(page.locator("#notes")).to_have_text("configuration: line.yaml:3: window.mode: the changed file was refused")
    expect(page.locator("#ready")).to_have_text("ready")
    expect(page.locator("#notes")).to_have_css("background-color", "rgb(74, 56, 15)")
    stub.notes.clear()
    expect(page.locator("#notes")).to_be_hidden()


def test_alerts_that_are_not_about_a_part(page: Page, stub: Stub) -> None:
    stub.see("line-1")
    held = {f"line-{number}": number for number in (1, 2, 3, 4, 5, 8)}
    stub.alarm("aa", "*", condition="storm", severity="critical", lasts_s=None, frame=None, held_back=held)
    stub.alarm("bb", "line-1", condition="drift", lasts_s=None)
    stub.alarm("cc", "line-1", condition="missed", lasts_s=0)
    page.goto("/")
    storm, drift, missed = (page.locator(f'[data-alert="{name}"]') for name in ("aa", "bb", "cc"))
    expect(storm.locator(".severity")).to_have_text("alarm storm")
    expect(storm.locator(".camera")).to_have_text("All cameras")
    expect(storm.locator(".peak")).to_have_text("23 more alerts held back on 6 cameras")
    expect(storm.locator(".thumb")).to_have_text("+23")
    expect(storm.get_by_role("button", name="False alarm")).to_be_hidden()
    expect(drift.locator(".severity")).to_have_text("drift")
    expect(drift.locator(".peak")).to_contain_text("moved away from what was learnt")
    expect(missed.locator(".severity")).to_have_text("missed defect")
    expect(missed.get_by_role("button", name="Acknowledge")).to_be_hidden()
    storm.locator(".thumb").click()
    expect(page.locator("#viewer-title")).to_have_text("All cameras: alarm storm")
    expect(page.locator("#viewer-facts")).to_contain_text("held back: line-8 8, line-5 5")


def test_an_older_service_is_shown_as_before(page: Page, stub: Stub) -> None:
    stub.old = True
    stub.see("line-1", state="warming", count=43)
    stub.alarm("aa", "line-1")
    page.goto("/")
    expect(card_of(page).locator(".state")).to_have_text("warming 43 of 100")
    expect(card_of(page).locator(".fold")).to_be_disabled()
    expect(card_of(page).locator(".more")).to_be_hidden()
    expect(page.locator('[data-alert="aa"] .peak')).to_contain_text("peak 1.80 × limit")
    expect(page.locator('[data-episode="aa"]')).to_be_visible()
    polls(page)
    assert "line-1/baseline" not in stub.asked


# What is done


def test_shelve_with_a_name_a_reason_and_an_end(page: Page, stub: Stub) -> None:
    stub.see("line-1")
    page.goto("/")
    page.get_by_label("Your name").fill("Anna")
    choose(page, "Shelve…")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Shelve").click()
    expect(dialog.get_by_role("alert")).to_have_text("Say why, so that the next shift knows.")
    expect(dialog.get_by_label("Why")).to_be_focused()
    dialog.get_by_label("Why").fill("mould change")
    dialog.get_by_label("Minutes").fill("0")
    dialog.get_by_role("button", name="Shelve").click()
    expect(dialog.get_by_role("alert")).to_contain_text("expected a whole number from 1 to 10080")
    assert stub.sent == []
    dialog.get_by_label("Minutes").fill("45")
    dialog.get_by_role("button", name="Shelve").click()
    expect(dialog).to_be_hidden()
    assert stub.sent == [("line-1/shelve", {"minutes": 45, "by": "Anna", "why": "mould change"})]
    line = card_of(page).locator(".shelf-words")
    expect(line).to_have_text(
        re.compile(r"^Shelved until .*\((44 min \d\d s|45 min 00 s) left\) by Anna: mould change$")
    )
    button = card_of(page).get_by_role("button", name="End shelving")
    button.focus()
    button.press("Enter")
    expect(line).to_be_hidden()
    expect(card_of(page).locator(".more")).to_be_focused()
    expect(card_of(page).locator(".notice")).to_contain_text("No longer shelved")
    assert stub.sent[1:] == [("line-1/unshelve", {"by": "Anna"})]


def test_refusal_is_told_in_the_dialog_and_what_was_typed_stays(page: Page, stub: Stub) -> None:
    stub.see("line-1")
    stub.refuse["/shelve"] = (503, "Redis does not answer")
    page.goto("/")
    choose(page, "Shelve…")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("8 h").check()
    dialog.get_by_label("Why").fill("mould change")
    dialog.get_by_label("Acting as").fill("Ben")
    dialog.get_by_label("Why").press("Enter")
    expect(dialog.get_by_role("alert")).to_have_text("Not done: Redis does not answer.")
    polls(page, 2)
    expect(dialog.get_by_label("Why")).to_have_value("mould change")
    stub.refuse.clear()
    dialog.get_by_role("button", name="Shelve").click()
    expect(dialog).to_be_hidden()
    assert stub.sent[-1] == ("line-1/shelve", {"minutes": 480, "by": "Ben", "why": "mould change"})
    expect(page.get_by_label("Your name")).to_have_value("Ben")


def test_freeze_and_thaw_and_their_refusal_on_the_card(page: Page, stub: Stub) -> None:
    stub.see("line-1")
    stub.refuse["/freeze"] = (503, "Redis does not answer")
    page.goto("/")
    choose(page, "Freeze baseline")
    expect(card_of(page).locator(".notice.bad")).to_contain_text("Not done: Redis does not answer.")
    stub.refuse.clear()
    choose(page, "Freeze baseline")
    expect(card_of(page).locator(".state")).to_have_text("frozen")
    expect(card_of(page).locator(".notice")).to_contain_text("neither learns nor forgets")
    choose(page, "Thaw baseline")
    expect(card_of(page).locator(".state")).to_have_text("ready")
    names = [name for name, _ in stub.sent]
    assert names == ["line-1/baseline/freeze", "line-1/baseline/freeze", "line-1/baseline/thaw"]
    assert all(body == {"product": "", "by": "operator"} for _, body in stub.sent)


def test_reset_asks_first_and_says_what_it_means(page: Page, stub: Stub) -> None:
    stub.see("line-1", product="Flange 40")
    page.goto("/")
    choose(page, "Reset baseline…")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("What was learnt of this camera with Flange 40 is thrown away, for good.")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    assert stub.sent == []
    choose(page, "Reset baseline…")
    dialog.get_by_role("button", name="Reset baseline").click()
    expect(card_of(page).locator(".state")).to_have_text("warming 0 of 100")
    assert stub.sent == [("line-1/baseline/reset", {"product": "Flange 40", "by": "operator"})]


def test_order_is_about_the_baseline_that_was_on_the_screen(page: Page, stub: Stub) -> None:
    stub.see("line-1", product="Flange 40")
    page.goto("/")
    card_of(page).locator(".fold").click()
    expect(card_of(page).locator(".facts-list")).to_contain_text("Flange 40")
    choose(page, "Reset baseline…")
    stub.see("line-1", product="Flange 60")
    expect(card_of(page).locator(".product")).to_have_text("Flange 60")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Reset baseline").click()
    expect(dialog.get_by_role("alert")).to_contain_text("it is Flange 60 by now")
    meant = {"product": "Flange 40", "model": "0123456789ab", "by": "operator"}
    assert stub.sent == [("line-1/baseline/reset", meant)]
    assert stub.cameras["line-1"]["baseline"]["epoch"] == 1


def test_marks_that_were_withdrawn_elsewhere_go(page: Page, stub: Stub) -> None:
    stub.see("line-1")
    mark = {"false_alarm_at": time.time_ns(), "false_alarm_by": "Ada"}
    stub.alarm("aa", "line-1", ago_s=100, **mark)
    stub.alarm("bb", "line-1", ago_s=90, lasts_s=0, condition="missed", acknowledged_at=1, acknowledged_by="Ada")
    stub.alarm("cc", "line-1", ago_s=80, lasts_s=0, condition="missed", acknowledged_at=1, acknowledged_by="Ada")
    page.goto("/")
    expect(page.locator('[data-alert="aa"]')).to_contain_text("alse alarm, says Ada")
    expect(page.locator(".alert")).to_have_count(3)
    stub.alerts["aa"] |= dict.fromkeys(mark)
    del stub.alerts["bb"]
    expect(page.locator('[data-alert="bb"]')).to_have_count(0)
    expect(page.locator('[data-alert="aa"]')).not_to_contain_text("alse alarm, says Ada")
    expect(page.locator(".alert")).to_have_count(2)


STORE = """async () => {
  const { AlertStore } = await import("/static/alert_store.js");
  const alert = (id, at, more) => ({ alert_id: id, started_at: at, ended_at: at, peak_score: 1, severity: "warning",
    condition: "missed", false_alarm_at: null, false_alarm_by: null, acknowledged_at: null, ...more });
  const store = new AlertStore();
  const ids = () => store.sorted.map((one) => one.alert_id).join("");
  const said = [];
  store.mergeHead({ alerts: [alert("d", 4), alert("c", 3)], next: 2 }, store.turn);
  store.mergeOlder({ alerts: [alert("b", 2), alert("a", 1)], next: 4 }, store.turn);
  store.mergeHead({ alerts: [alert("d", 4), alert("b", 2)], next: 2 }, store.turn);
  said.push(ids(), store.next);
  const asked = store.turn;
  store.answer(alert("d", 4, { false_alarm_at: 9 }));
  store.answer(alert("e", 5));
  store.mergeHead({ alerts: [alert("d", 4), alert("b", 2)], next: 2 }, asked);
  said.push(ids(), store.get("d").false_alarm_at);
  store.merge(alert("d", 4));
  said.push(store.get("d").false_alarm_at);
  store.answer(alert("d", 4));
  said.push(store.get("d").false_alarm_at);
  return said;
}"""


def test_which_account_of_an_alert_counts(page: Page, stub: Stub) -> None:
    page.goto("/")
    # Gone from the head, though older ones stay; what was heard after the list was asked for counts more than the
    # list; an event takes no mark away, an answer does.
    assert page.evaluate(STORE) == ["dba", 3, "edba", 9, 9, None]


def test_missed_defect_is_the_picture_that_was_on_the_screen(page: Page, stub: Stub) -> None:
    # A whole millisecond, in ns, that a double rounds to less: as a number it would name the millisecond before.
    seen_ms = next(ms for ms in range(now_ms() - 5000, now_ms()) if int(float(ms * 1_000_000)) < ms * 1_000_000)
    stub.see("line-1", captured_at=seen_ms * 1_000_000, seq=1)
    page.goto("/")
    expect(card_of(page).locator(".frame img")).to_be_visible()
    card_of(page).get_by_role("button", name="Actions for").click()
    stub.see("line-1", seq=2)
    with page.expect_response("**/latest.jpg"):
        pass
    polls(page, 1)
    page.get_by_role("menuitem", name="Missed defect…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("canvas")).to_be_visible()
    dialog.get_by_label("30 s").check()
    dialog.get_by_role("button", name="Mark it").click()
    expect(page.locator('[data-alert="d0d0"] .severity')).to_have_text("missed defect")
    assert stub.sent == [("line-1/missed", {"by": "operator", "seconds": 30, "at_ms": seen_ms})]
    expect(page.locator('[data-episode="d0d0"]')).to_have_class(re.compile("missed"))


def test_product_is_offered_where_products_are_used(page: Page, stub: Stub) -> None:
    stub.see("line-1")
    page.goto("/")
    more = card_of(page).locator(".more")
    more.click()
    expect(page.get_by_role("menuitem", name="Shelve…")).to_be_visible()
    expect(page.get_by_role("menuitem", name="Product…")).to_have_count(0)
    page.keyboard.press("Escape")
    stub.see("line-1", product="Flange 40")
    stub.see("line-2", product="Flange 60")
    expect(card_of(page).locator(".product")).to_have_text("Flange 40")
    choose(page, "Product…")
    dialog = page.get_by_role("dialog")
    assert dialog.locator("datalist option").evaluate_all("(all) => all.map((one) => one.value)") == [
        "Flange 40",
        "Flange 60",
    ]
    dialog.get_by_label("Product", exact=True).fill("")
    dialog.get_by_role("button", name="Set product").click()
    expect(dialog.get_by_role("alert")).to_have_text("Name the product.")
    dialog.get_by_label("Product", exact=True).fill("Flange 60")
    dialog.get_by_role("button", name="Set product").click()
    expect(card_of(page).locator(".product")).to_have_text("Flange 60")
    choose(page, "Product…")
    dialog.get_by_label("as its frames or the plan say").check()
    dialog.get_by_role("button", name="Set product").click()
    expect(dialog).to_be_hidden()
    assert stub.sent == [
        ("line-1/product", {"product": "Flange 60", "by": "operator"}),
        ("line-1/product", {"product": None, "by": "operator"}),
    ]


def test_menu_with_the_keyboard_alone(page: Page, stub: Stub) -> None:
    stub.see("line-1")
    page.goto("/")
    more = card_of(page).locator(".more")
    expect(more).to_be_visible()  # once the page knows who sits there; what is hidden takes no key
    more.press("Enter")
    expect(more).to_have_attribute("aria-expanded", "true")
    expect(page.get_by_role("menuitem", name="Shelve…")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitem", name="Freeze baseline")).to_be_focused()
    page.keyboard.press("End")
    expect(page.get_by_role("menuitem", name="Reset baseline…")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitem", name="Shelve…")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_be_hidden()
    expect(more).to_be_focused()
    expect(more).to_have_attribute("aria-expanded", "false")
    more.press("Enter")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("Shelve line-1")
    page.keyboard.press("Escape")
    expect(more).to_be_focused()


# The timeline


def test_timeline_has_a_lane_a_camera_and_a_bar_an_alert(page: Page, stub: Stub) -> None:
    stub.see("line-1")
    stub.see("line-2")
    stub.alarm("aa", "line-1", ago_s=1800, lasts_s=300, severity="critical")
    stub.alarm("bb", "line-2", ago_s=900, condition="covered")
    stub.alarm("cc", "line-2", ago_s=600, false_alarm_at=1, false_alarm_by="Anna")
    stub.alarm("dd", "*", ago_s=1200, lasts_s=240, condition="storm", held_back={"line-1": 3})
    stub.alarm("ee", "line-3", ago_s=3 * 3600)
    page.goto("/")
    lanes = page.locator("#timeline .lane-name")
    expect(lanes).to_have_text(["all cameras", "line-1", "line-2"])
    bar = {name: page.locator(f'[data-episode="{name}"]') for name in ("aa", "bb", "cc", "dd", "ee")}
    expect(bar["aa"]).to_have_class("bar critical")
    expect(bar["bb"]).to_have_class("bar trouble")
    expect(bar["cc"]).to_have_class("bar warning false")
    expect(bar["ee"]).to_have_count(0)
    track = page.locator("#timeline .track").nth(1).bounding_box()
    box = bar["aa"].bounding_box()
    band = page.locator(".storm-band").bounding_box()
    assert track is not None and box is not None and band is not None
    assert abs((box["x"] - track["x"]) / track["width"] - 0.5) < 0.01, "half an hour ago is the middle of an hour"
    assert abs(box["width"] / track["width"] - 300 / 3600) < 0.01
    assert abs((band["x"] - track["x"]) / track["width"] - 2 / 3) < 0.01
    bar["aa"].hover()
    expect(page.locator(".tip")).to_contain_text("line-1: critical alert")
    expect(page.locator(".tip")).to_contain_text("lasted 5 min 00 s · peak 1.80 × limit")
    page.get_by_role("button", name="8 h", exact=True).click()
    expect(bar["ee"]).to_be_visible()
    expect(lanes).to_have_text(["all cameras", "line-1", "line-2", "line-3"])
    expect(page.locator("#timeline-sum")).to_have_text("5 alerts in the last 8 hours")
    page.reload()
    expect(page.get_by_role("button", name="8 h", exact=True)).to_have_attribute("aria-pressed", "true")
    page.locator("#timeline-fold").click()
    expect(bar["aa"]).to_be_hidden()
    page.reload()
    expect(page.locator("#timeline-fold")).to_have_attribute("aria-expanded", "false")


def test_bar_opens_an_alert_that_the_list_does_not_hold(page: Page, stub: Stub) -> None:
    stub.see("line-1")
    for number in range(60):
        stub.alarm(f"{number:04x}", "line-1", ago_s=60 + 50 * number)
    page.goto("/")
    expect(page.locator(".alert")).to_have_count(50)
    page.locator('[data-episode="003b"]').click()
    viewer = page.get_by_role("dialog")
    expect(viewer.locator("h2")).to_have_text("line-1: warning alert")
    viewer.get_by_role("button", name="False alarm").click()
    expect(page.locator("#viewer-facts")).to_contain_text("False alarm, says operator")
    expect(page.locator('[data-episode="003b"]')).to_have_class("bar warning false")
    expect(page.locator(".alert")).to_have_count(50)


def test_timeline_with_the_keyboard_alone(page: Page, stub: Stub) -> None:
    stub.see("line-1")
    stub.see("line-2")
    for name, camera, ago in (("aa", "line-1", 1500), ("bb", "line-1", 500), ("cc", "line-2", 1400)):
        stub.alarm(name, camera, ago_s=ago)
    page.goto("/")
    bar = {name: page.locator(f'[data-episode="{name}"]') for name in ("aa", "bb", "cc")}
    expect(bar["bb"]).to_be_visible()
    expect(page.locator('#timeline .bar[tabindex="0"]')).to_have_count(1)
    page.get_by_role("button", name="24 h").focus()
    page.keyboard.press("Tab")
    expect(bar["bb"]).to_be_focused()
    expect(page.locator(".tip")).to_contain_text("line-1: warning alert")
    page.keyboard.press("ArrowLeft")
    expect(bar["aa"]).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(bar["cc"]).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#viewer-title")).to_have_text("line-2: warning alert")
    page.keyboard.press("Escape")
    expect(bar["cc"]).to_be_focused()


def test_timeline_reads_page_by_page_and_not_without_end(page: Page, stub: Stub) -> None:
    stub.see("line-1")
    for number in range(2600):
        stub.alarm(f"{number:04x}", "line-1", ago_s=60 + number)
    page.goto("/")
    expect(page.locator("#timeline-trouble")).to_contain_text("There are more alerts than fit here")
    expect(page.locator("#timeline-sum")).to_have_text("2 000 alerts in the last hour")
    assert "/api/alerts?None+1500" in stub.asked
    assert "/api/alerts?None+2000" not in stub.asked


def test_timeline_that_cannot_be_read_says_so(page: Page, stub: Stub) -> None:
    stub.see("line-1")
    stub.alarm("aa", "line-1")
    stub.refuse["/api/alerts"] = (503, "Redis does not answer")
    page.goto("/")
    expect(page.locator("#timeline-trouble")).to_have_text("The timeline cannot be read now: Redis does not answer.")
    stub.refuse.clear()
    page.get_by_role("button", name="8 h", exact=True).click()
    expect(page.locator('[data-episode="aa"]')).to_be_visible()
    expect(page.locator("#timeline-trouble")).to_be_hidden()


# All of it


@pytest.mark.slow
def test_nothing_moves_or_loses_focus_while_the_page_polls(page: Page, stub: Stub) -> None:
    for number in range(1, 7):
        stub.see(f"line-{number}", product="Flange 40")
    for number in range(10):
        stub.alarm(f"{number:02x}", f"line-{number % 6 + 1}", ago_s=60 + 90 * number)
    page.goto("/")
    expect(page.locator(".frame img")).to_have_count(6)
    card_of(page).locator(".fold").click()
    expect(card_of(page).locator(".facts-list")).to_contain_text("Model")
    places = """() => [...document.querySelectorAll(".card, .fold, .more, .lane, .alert")].map((node) => {
      const { left, top, width, height } = node.getBoundingClientRect();
      return [left, top, width, height].map(Math.round).join(" ");
    })"""
    before = page.evaluate(places)
    page.locator('[data-episode="00"]').focus()
    for turn in range(4):
        for number in range(1, 7):
            stub.see(
                f"line-{number}",
                product="Flange 40",
                score=0.003 + 0.001 * turn,
                normalised=0.1 * turn,
                seq=100 + turn,
                p_value=0.2 + 0.1 * turn,
                baseline=baseline(count=1832 + turn),
            )
        polls(page, 2)
        expect(page.locator('[data-episode="00"]')).to_be_focused()
    assert page.evaluate(places) == before
    choose(page, "Shelve…", "line-2")
    why = page.get_by_role("dialog").get_by_label("Why")
    why.press_sequentially("mould")
    stub.see("line-2", baseline=baseline("drifting"))
    stub.see("line-0")
    expect(card_of(page, "line-0")).to_be_visible()
    expect(why).to_be_focused()
    expect(why).to_have_value("mould")


def test_what_people_and_cameras_say_is_text(page: Page, stub: Stub) -> None:
    shelf = {"from_ms": now_ms(), "until_ms": now_ms() + 600_000, "by": MARKUP, "why": MARKUP}
    stub.see(MARKUP, product=MARKUP, shelved=shelf)
    stub.alarm("aa", MARKUP, ago_s=60, acknowledged_at=1, acknowledged_by=MARKUP)
    stub.alarm("bb", "*", condition="storm", lasts_s=None, held_back={MARKUP: 2})
    stub.notes[MARKUP] = MARKUP
    stub.refuse["/freeze"] = (422, MARKUP)
    page.goto("/")
    card = page.locator(".card")
    expect(card.locator(".shelf-words")).to_contain_text(f"by {MARKUP}: {MARKUP}")
    expect(card.locator(".product")).to_have_text(MARKUP)
    expect(page.locator("#notes")).to_have_text(f"{MARKUP}: {MARKUP}")
    expect(page.locator(".lane-name")).to_have_text(["all cameras", MARKUP])
    page.locator('[data-episode="aa"]').hover()
    expect(page.locator(".tip")).to_contain_text(f"Seen by {MARKUP}")
    card.locator(".more").click()
    page.get_by_role("menuitem", name="Freeze").click()
    expect(card.locator(".notice")).to_contain_text(f"Not done: {MARKUP}")
    card.locator(".fold").click()
    expect(card.locator(".facts-list")).to_contain_text(f"Product{MARKUP}")
    choose_product = page.get_by_role("menuitem", name="Product…")
    card.locator(".more").click()
    choose_product.click()
    expect(page.get_by_role("dialog").locator("h2")).to_have_text(f"Product of {MARKUP}")
    expect(page.locator("img[onerror]")).to_have_count(0)


@pytest.mark.parametrize("width", [360, 768, 1280, 1920])
def test_no_width_needs_sideways_scrolling(page: Page, stub: Stub, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 760})
    shelf = {"from_ms": now_ms(), "until_ms": now_ms() + 600_000, "by": "Anna" * 20, "why": "because" * 20}
    stub.see(
        LONG,
        product="a product of which nobody can remember the name",
        shelved=shelf,
        baseline=baseline("drifting"),
        threshold_from=SOUGHT,
        episode="recovering",
        firing="aa",
    )
    stub.see("line-2")
    stub.alarm("aa", LONG, lasts_s=None)
    stub.alarm("bb", "*", condition="storm", lasts_s=None, held_back={LONG: 2})
    stub.notes["configuration"] = "x" * 300
    page.goto("/")
    card = card_of(page, LONG)
    card.locator(".fold").click()
    expect(card.locator(".facts-list")).to_contain_text("Model")
    expect(page.locator('[data-episode="aa"]')).to_be_visible()

    def sideways() -> list[str]:
        found: list[str] = page.evaluate("""() => [document.documentElement, ...document.querySelectorAll(
          "main > section, .card, .alert, dialog, .menu, .shelf, .notice, .fold, #timeline-body")]
          .filter((node) => node.scrollWidth > node.clientWidth + 1 && node.clientWidth > 0)
          .map((node) => `${node.tagName}.${node.className} ${node.scrollWidth} > ${node.clientWidth}`)""")
        return found

    assert sideways() == []
    card.locator(".more").click()
    menu = page.get_by_role("menu").bounding_box()
    assert menu is not None and menu["x"] >= 0 and menu["x"] + menu["width"] <= width
    page.get_by_role("menuitem", name="Missed defect…").click()
    box = page.get_by_role("dialog").bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= width
    assert sideways() == []


@pytest.mark.slow
def test_sixty_four_cameras_do_not_stutter(page: Page, stub: Stub) -> None:
    region = {"inside": [polygon((0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9))], "outside": []}
    for number in range(64):
        stub.see(f"line-{number:02}", product="Flange 40", region=region)
    for number in range(1500):
        stub.alarm(f"{number:04x}", f"line-{number % 64:02}", ago_s=60 + 2 * number)
    page.goto("/")
    expect(page.locator(".card")).to_have_count(64)
    expect(page.locator("#timeline .track .bar")).to_have_count(1500)
    for fold in page.locator(".baseline .fold").all()[:6]:
        fold.click()
    polls(page)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")

    def busy_s() -> float:
        """How long the page's own thread has worked: scripts, styles, layout and paint."""
        told = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
        return float(told["TaskDuration"])

    began, busy = time.monotonic(), busy_s()
    for _ in range(10):
        for view in stub.cameras.values():
            view["seq"] += 1
            view["captured_at"] = time.time_ns()
            view["score"] = 0.003 + 0.0001 * (view["seq"] % 20)
        polls(page, 1)
    share = (busy_s() - busy) / (time.monotonic() - began)
    print(f"64 cameras, 1500 bars, 6 open distributions: the page's thread works {share:.1%} of the time")
    assert share < 0.5


# On the real service


def test_the_real_service_answers_what_the_page_asks(
    browser: Browser, valkey: EmbeddedValkey, tmp_path: Path, prefix: str
) -> None:
    line = Line(valkey, tmp_path, prefix)
    line.server.start()
    page = browser.new_page(base_url=line.server.url)
    expect.set_options(timeout=WAIT_MS)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        line.see("line-1", window=line.learn("line-1"))
        line.notes["configuration"] = "line.yaml:3: window.mode: refused"
        page.goto("/")
        card = card_of(page)
        expect(card.locator(".state")).to_have_text("ready")
        expect(page.locator("#notes")).to_contain_text("line.yaml:3")
        page.get_by_label("Your name").fill("Anna")
        card.locator(".fold").click()
        expect(card.locator("canvas.histogram")).to_have_attribute("aria-label", re.compile("200 scores from 0.00"))
        choose(page, "Freeze baseline")
        expect(card.locator(".notice")).to_contain_text("Frozen")
        key = line.store.list()[0]
        assert (key.camera, line.store.life(key).frozen) == ("line-1", True)
        choose(page, "Shelve…")
        page.get_by_label("Why").fill("mould change")
        page.get_by_role("dialog").get_by_role("button", name="Shelve").click()
        expect(card.locator(".shelf-words")).to_contain_text("by Anna: mould change")
        card.get_by_role("button", name="End shelving").click()
        expect(card.locator(".shelf-words")).to_be_hidden()
        choose(page, "Missed defect…")
        page.get_by_role("dialog").get_by_role("button", name="Mark it").click()
        row = page.locator(".alert")
        expect(row.locator(".severity")).to_have_text("missed defect")
        expect(row.locator(".marks")).to_contain_text("Marked by Anna")
        wait_for(
            page, lambda: row.locator(".thumb img").evaluate("(image) => image.naturalWidth") == 160, "its picture"
        )
        line.see("line-1", window=line.learn("line-1"))
        choose(page, "Reset baseline…")
        page.get_by_role("dialog").get_by_role("button", name="Reset baseline").click()
        expect(card.locator(".notice")).to_contain_text("Reset")
        assert line.store.life(BaselineKey("line-1", key.model)).count == 0
    finally:
        page.close()
        line.server.stop()
    assert complaints == []
