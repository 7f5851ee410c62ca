"""The live page in a real Chromium, served by the real application before a real Valkey."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Dialog,
    Error,
    Page,
    expect,
)

from monitor.embedded import EmbeddedValkey
from tests.monitor.page_line import Line

SCRIPT = Path(__file__).parents[2] / "scripts" / "page_picture.py"
WAIT_MS = 20_000
MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def valkey() -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture
def line(valkey: EmbeddedValkey, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Line]:
    made = Line(valkey, tmp_path, f"page-{request.node.name}")
    made.server.start()
    yield made
    made.server.stop()


@pytest.fixture
def page(browser: Browser, line: Line) -> Iterator[Page]:
    """A page that must not complain: errors on the console fail the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, base_url=line.server.url)
    context.set_default_timeout(WAIT_MS)
    expect.set_options(timeout=WAIT_MS)
    page = context.new_page()
    complaints: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        # The browser notes each request that fails; the page has to tell of those to the API.
        noted = message.text.startswith("Failed to load resource")
        if message.type == "error" and not (noted and "/static/" not in message.location["url"]):
            complaints.append(message.text)

    def broke(error: Error) -> None:
        complaints.append(str(error))

    def opened(dialog: Dialog) -> None:
        complaints.append(f"a dialog says {dialog.message}")
        dialog.dismiss()

    page.on("console", heard)
    page.on("pageerror", broke)
    page.on("dialog", opened)
    yield page
    keep = os.environ.get("LINEWATCH_PAGE_PICTURES")
    if keep:
        page.screenshot(path=Path(keep) / f"{line.prefix}.png")
    context.close()
    assert complaints == []


def until(page: Page, script: str, argument: object = None) -> None:
    """Wait until a script's function answers true; Playwright's own wait needs `eval`, which the
    page forbids."""
    end_s = time.monotonic() + WAIT_MS / 1000
    while not page.evaluate(script, argument):
        assert time.monotonic() < end_s, f"never became true: {script} {argument}"
        page.wait_for_timeout(50)


def wait_grey(page: Page, camera: str, grey: int) -> None:
    """Until the picture on the camera's card has this grey."""
    until(
        page,
        """([camera, grey]) => {
      const image = document.querySelector(`[data-camera="${camera}"] .frame img`);
      if (!image) return false;
      const pen = new OffscreenCanvas(1, 1).getContext("2d");
      pen.drawImage(image, 0, 0, 1, 1);
      return Math.abs(pen.getImageData(0, 0, 1, 1).data[0] - grey) < 4;
    }""",
        [camera, grey],
    )


def test_cards_show_picture_numbers_and_ledger(page: Page, line: Line) -> None:
    line.see("line-1", grey=200)
    line.see("line-2", score=0.02, grey=60)
    line.ledger.captured("line-1")
    line.ledger.dropped("line-1", "superseded")
    page.goto("/")
    card = page.locator('[data-camera="line-1"]')
    expect(card.locator("h3")).to_have_text("line-1")
    expect(card.locator(".badge")).to_have_text("up")
    expect(card.locator(".state")).to_have_text("ready")
    expect(card.locator(".score")).to_have_text("0.44")
    expect(card.locator("summary")).to_have_text("2 captured = 1 scored + 1 dropped + 0 failed")
    card.locator("summary").click()
    expect(card.locator(".reasons")).to_be_visible()
    expect(card.locator(".reasons")).to_contain_text("dropped: superseded")
    expect(page.locator('[data-camera="line-2"] .score')).to_have_class(re.compile("over"))
    expect(page.locator("#cameras-up")).to_have_text("2 / 2")
    expect(page.locator("#ready")).to_have_text("ready")
    wait_grey(page, "line-1", 200)
    wait_grey(page, "line-2", 60)


def test_picture_follows_and_old_ones_are_freed(page: Page, line: Line) -> None:
    page.add_init_script("""
      const make = URL.createObjectURL.bind(URL), free = URL.revokeObjectURL.bind(URL);
      window.held = new Set();
      URL.createObjectURL = (blob) => { const url = make(blob); held.add(url); return url; };
      URL.revokeObjectURL = (url) => { held.delete(url); free(url); };
    """)
    page.goto("/")
    for seq, grey in enumerate((30, 120, 210), start=1):
        line.see("line-1", grey=grey, seq=seq)
        wait_grey(page, "line-1", grey)
    until(page, "() => held.size === 1")


def test_hidden_tab_asks_for_no_pictures(page: Page, line: Line) -> None:
    page.clock.install()
    line.see("line-1", grey=40)
    page.goto("/")
    wait_grey(page, "line-1", 40)
    page.evaluate("""() => {
      const get = () => window.look ?? "hidden";
      Object.defineProperty(document, "visibilityState", { get, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }""")
    expect(page.locator("#live")).to_have_text("paused")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    line.see("line-1", grey=220, seq=2)
    for _ in range(3):  # What an answer leads to is asked before the next round.
        with page.expect_response("**/api/cameras"):
            page.clock.run_for(11_000)
    assert not [url for url in asked if url.endswith((".jpg", "/api/events")) or "/scores" in url]
    page.evaluate("() => { window.look = 'visible'; document.dispatchEvent(new Event('visibilitychange')); }")
    wait_grey(page, "line-1", 220)


def test_chart_draws_scores_limit_and_alert(page: Page, line: Line) -> None:
    line.alarm("a1", "line-1", ago_s=40, ended=True)
    for step in range(100):
        line.see("line-1", seq=step, ago_s=100 - step, score=0.02 if step in range(60, 64) else 0.004)
    page.goto("/")
    # Whether the canvas has pixels enough of a colour.
    count = """(colour) => {
      const canvas = document.querySelector('[data-camera="line-1"] canvas');
      if (!canvas?.width) return false;
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let found = 0;
      for (let i = 0; i < data.length; i += 4) {
        const near = [0, 1, 2].every((n) => Math.abs(data[i + n] - colour[n]) < 12);
        if (near && data[i + 3] > 200) found += 1;
      }
      return found > 20;
    }"""
    for colour in ([84, 199, 236], [243, 189, 78], [255, 90, 95]):
        until(page, count, colour)
    page.get_by_role("button", name="Raw").click()
    expect(page.locator('[data-camera="line-1"] .against')).to_have_text("limit 0.0100")
    expect(page.get_by_role("button", name="Raw")).to_have_attribute("aria-pressed", "true")
    page.reload()
    expect(page.get_by_role("button", name="Raw")).to_have_attribute("aria-pressed", "true")
    until(page, count, [84, 199, 236])


def test_alert_comes_live_and_once(page: Page, line: Line) -> None:
    line.see("line-1")
    page.goto("/")
    expect(page.locator("#no-alerts")).to_contain_text("No alerts yet")
    expect(page.locator("#live")).to_have_text("live")
    page.route("**/api/alerts?*", lambda route: route.abort())  # From here on only events can bring news.
    row = page.locator('[data-alert="beef"]')
    line.alarm("beef", "line-1")
    expect(row).to_be_visible()
    expect(row.locator(".severity")).to_have_text("critical")
    expect(row.locator(".lasting")).to_contain_text("firing for")
    expect(row.locator(".peak")).to_contain_text("peak 2.50")
    expect(page.locator("#announce")).to_have_text("New critical alert on camera line-1")
    expect(page.locator("#open-alerts")).to_have_text("1")
    expect(page).to_have_title("(1) linewatch")
    until(page, "() => document.querySelector('[data-alert=beef] .thumb img')?.naturalWidth === 160")
    line.alarm("beef", "line-1")  # Delivered again.
    line.alarm("beef", "line-1", ended=True)
    expect(row.locator(".lasting")).to_have_text("lasted 3 s")
    expect(page.locator(".alert")).to_have_count(1)
    expect(page.locator("#open-alerts")).to_have_text("0")


def test_alert_comes_by_the_poll_where_events_fail(page: Page, line: Line) -> None:
    page.clock.install()
    page.route("**/api/events", lambda route: route.abort())
    page.goto("/")
    expect(page.locator("#live")).to_have_text("every 10 s")
    line.alarm("beef", "line-1")
    page.clock.run_for(11_000)
    expect(page.locator('[data-alert="beef"]')).to_be_visible()


def test_border_is_red_while_firing(page: Page, line: Line) -> None:
    line.alarm("beef", "line-1")
    line.see("line-1", firing="beef")
    page.goto("/")
    card = page.locator('[data-camera="line-1"]')
    expect(card).to_have_class(re.compile("firing"))
    expect(card).to_have_css("border-top-color", "rgb(255, 90, 95)")
    line.see("line-1", seq=2)
    expect(card).not_to_have_class(re.compile("firing"))


def test_trouble_of_a_camera_is_kept_apart_from_its_parts(page: Page, line: Line) -> None:
    line.see("line-1")
    line.board.in_trouble("line-1", ("covered", "dark"))
    line.held_back["line-1"] = {"camera_trouble": 2}
    page.goto("/")
    card = page.locator('[data-camera="line-1"]')
    expect(card.locator(".trouble")).to_have_text("Camera covered, too dark: alerts held back")
    expect(card.locator("summary")).to_have_attribute("title", re.compile("alerts held back: camera trouble 2"))
    card.get_by_role("button", name="Accept this view").click()
    expect(card.get_by_role("button", name="Learning it")).to_be_visible()
    assert line.accepted == ["line-1"]
    expect(page.locator("#live")).to_have_text("live")
    line.alarm("c0de", "line-1", condition="covered")
    line.alarm("0ff", "line-2", condition="offline", picture=False)
    covered, offline = page.locator('[data-alert="c0de"]'), page.locator('[data-alert="0ff"]')
    expect(covered.locator(".severity")).to_have_text("camera covered")
    expect(covered.get_by_role("button", name="Heat map")).to_be_hidden()
    expect(offline.locator(".severity")).to_have_text("camera offline")
    expect(page.locator("#announce")).to_have_text("line-2: camera offline")
    covered.locator(".thumb").click()
    expect(page.locator("#viewer-title")).to_have_text("line-1: camera covered")
    expect(page.locator("#viewer-heatmap")).to_be_hidden()
    page.get_by_role("button", name="Close").click()
    offline.locator(".thumb").click()
    expect(page.locator("#viewer-facts")).to_contain_text("so for")
    line.alarm("0ff", "line-2", condition="offline", picture=False, ended=True)
    expect(offline.locator(".lasting")).to_have_text("lasted 3 s")
    line.board.in_trouble("line-1", ())
    expect(card.locator(".trouble")).to_be_hidden()


def test_acknowledge_and_false_alarm_survive_a_reload(page: Page, line: Line) -> None:
    line.alarm("beef", "line-1")
    page.goto("/")
    page.get_by_label("Your name").fill("Anna")
    row = page.locator('[data-alert="beef"]')
    row.get_by_role("button", name="Acknowledge").click()
    expect(row.locator(".marks")).to_contain_text("Seen by Anna")
    row.get_by_role("button", name="False alarm").press("Enter")
    expect(row.locator(".marks")).to_contain_text("False alarm, says Anna")
    line.alarm("beef", "line-1", ended=True)  # Knows nothing of what people did.
    expect(row.locator(".lasting")).to_contain_text("lasted")
    expect(row.locator(".marks")).to_contain_text("Seen by Anna")
    page.reload()
    expect(row.locator(".marks")).to_contain_text("Seen by Anna")
    expect(row.locator('[data-mark="acknowledge"]')).to_have_attribute("aria-disabled", "true")
    expect(page.get_by_label("Your name")).to_have_value("Anna")
    kept = line.outbox.get("beef")
    assert (kept.acknowledged_by, kept.false_alarm_by) == ("Anna", "Anna")


def test_large_view_shows_picture_and_heat_map(page: Page, line: Line) -> None:
    line.alarm("beef", "line-1", ended=True)
    page.goto("/")
    row = page.locator('[data-alert="beef"]')
    row.get_by_role("button", name="Heat map").click()
    expect(row.locator(".thumb img")).to_have_attribute("src", "/api/alerts/beef/heatmap.jpg")
    row.locator(".thumb").click()
    viewer = page.get_by_role("dialog")
    expect(viewer).to_be_visible()
    expect(viewer.locator("h2")).to_have_text("line-1: critical alert")
    for kind in ("evidence", "heatmap"):
        until(page, f"() => document.querySelector('#viewer-{kind} img').naturalWidth === 160")
    page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()


def test_alert_without_picture_says_so(page: Page, line: Line) -> None:
    line.alarm("beef", "line-1", picture=False)
    page.goto("/")
    expect(page.locator('[data-alert="beef"] .thumb')).to_have_text("no picture")


def test_older_alerts_are_loaded_on_demand(page: Page, line: Line) -> None:
    for number in range(60):
        line.alarm(f"{number:04x}", "line-1", ago_s=1000 - number, ended=True, picture=False)
    page.goto("/")
    rows = page.locator(".alert")
    expect(rows).to_have_count(50)
    expect(rows.first).to_have_attribute("data-alert", "003b")
    page.get_by_role("button", name="Load older alerts").click()
    expect(rows).to_have_count(60)
    expect(rows.last).to_have_attribute("data-alert", "0000")
    expect(page.locator("#older")).to_be_hidden()


def test_names_are_text_and_never_markup(page: Page, line: Line) -> None:
    line.see(MARKUP)
    line.alarm("beef", MARKUP)
    line.board.trouble("redis", MARKUP)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/")
    expect(page.locator(".card h3")).to_have_text(MARKUP)
    expect(page.locator(".alert .camera")).to_have_text(MARKUP)
    expect(page.locator("#reasons")).to_have_text(f"redis: {MARKUP}")
    expect(page.locator("img[onerror]")).to_have_count(0)
    expect(page.locator(".frame img")).to_be_visible()
    page.locator(".alert .thumb").click()
    expect(page.locator("#viewer-title")).to_have_text(f"{MARKUP}: critical alert")
    assert any(unquote(url).endswith(f"/{MARKUP}/latest.jpg") for url in asked)
    assert not [url for url in asked if url.endswith("/x")]


def test_old_picture_is_marked_stale_and_its_camera_down(
    page: Page, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.see("line-1")
    line.board.reported("line-1", up=False)
    monkeypatch.setattr("monitor.serving.board.STALE_AFTER_S", 0.0)
    page.goto("/")
    card = page.locator('[data-camera="line-1"]')
    expect(card.locator(".veil")).to_have_text(re.compile(r"Stale: \d+ s old"))
    expect(card.locator(".badge")).to_have_text("down")
    expect(card.locator(".fps")).to_have_text("no new frames")
    expect(page.locator("#cameras-up")).to_have_text("0 / 1")


def test_reasons_of_readiness_come_and_go(page: Page, line: Line) -> None:
    page.goto("/")
    band = page.locator("#reasons")
    expect(page.locator("#no-cameras")).to_contain_text("No cameras yet")
    expect(band).to_be_hidden()
    line.board.trouble("model", "the checkpoint is gone")
    expect(band).to_have_text("model: the checkpoint is gone")
    expect(page.locator("#ready")).to_have_text("not ready")
    line.board.trouble("model", None)
    expect(band).to_be_hidden()
    expect(page.locator("#ready")).to_have_text("ready")


def test_camera_without_a_picture(page: Page, line: Line) -> None:
    line.board.reported("line-9", up=False)
    page.goto("/")
    expect(page.locator('[data-camera="line-9"] .veil')).to_have_text("No picture yet: the camera is down")
    expect(page.locator('[data-camera="line-9"] .against')).to_have_text("no score yet")


def test_redis_away_is_told_and_what_is_known_stays(browser: Browser, tmp_path: Path) -> None:
    with EmbeddedValkey() as valkey:
        line = Line(valkey, tmp_path, "away")
        line.server.start()
        page = browser.new_page(base_url=line.server.url)
        try:
            line.see("line-1")
            line.alarm("beef", "line-1")
            page.goto("/")
            expect(page.locator('[data-alert="beef"]')).to_be_visible()
            valkey.stop()
            page.get_by_role("button", name="Acknowledge").click()
            expect(page.locator(".alert .note")).to_contain_text("Redis does not answer", timeout=WAIT_MS)
            expect(page.locator("#alerts-trouble")).to_contain_text("Redis does not answer", timeout=WAIT_MS)
            expect(page.locator('[data-alert="beef"]')).to_be_visible()
            expect(page.locator("#ready")).to_have_text("ready")
        finally:
            page.close()
            line.server.stop()


def test_lost_connection_is_told_and_found_again(page: Page, line: Line) -> None:
    line.see("line-1")
    page.goto("/")
    expect(page.locator("#ready")).to_have_text("ready")
    page.context.set_offline(True)
    expect(page.locator("#lost")).to_contain_text("No connection to linewatch since")
    expect(page.locator("#ready")).to_have_text("no connection")
    page.context.set_offline(False)
    expect(page.locator("#lost")).to_be_hidden()
    expect(page.locator("#ready")).to_have_text("ready")


def test_phone_needs_no_sideways_scrolling(page: Page, line: Line) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    line.see("a-camera-with-a-name-that-is-far-too-long-for-any-telephone-in-the-hall")
    line.alarm("beef", "a-camera-with-a-name-that-is-far-too-long-for-any-telephone-in-the-hall")
    page.goto("/")
    expect(page.locator(".alert")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_the_picture_for_the_readme(browser: Browser, line: Line, tmp_path: Path) -> None:
    line.see("line-1", firing="beef")
    line.alarm("beef", "line-1")
    target = tmp_path / "images" / "page.png"
    command = [sys.executable, str(SCRIPT), line.server.url, str(target), "--alert"]
    done = subprocess.run([*command, "--width", "640"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    picture = target.read_bytes()
    assert picture[:4] == b"\x89PNG"
    assert int.from_bytes(picture[16:20]) == 640
