"""Links that work without a token: what they permit, what they do not, and the page behind them in a real browser."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser

from monitor.embedded import EmbeddedValkey
from monitor.http_settings import Http
from monitor.links import PURPOSE, LinkRefused, LinkSigner, Permit, signing_key
from monitor.serving.routes.links import acting_as
from tests.monitor.guarded import OF_ALL, PEOPLE, Guarded
from tests.monitor.line_state import LineState

KEY = b"of-all-0123456789abcdef"
NOW_S = 1_800_000_000.0
HOUR_S = 3600
URL_SAFE = re.compile(r"[A-Za-z0-9._~?&=/-]+")


def signer(key: bytes | None = KEY, at_s: float = NOW_S) -> LinkSigner:
    return LinkSigner(key, "https://line.example/", HOUR_S, clock=lambda: at_s)


def check(url: str, at_s: float = NOW_S, key: bytes | None = KEY) -> object:
    """What the link permits, as its route asks for it."""
    parts = urlsplit(url)
    if parts.path.startswith("/act/"):
        return signer(key, at_s).check_act(parts.path.removeprefix("/act/"))
    found = re.fullmatch(r"/l/([^/]*)/([^/]*)", parts.path)
    query = re.fullmatch(r"until=(.*)&sig=(.*)", parts.query)
    if found is None or query is None:
        raise LinkRefused("no link")
    return signer(key, at_s).check_picture(found[1], found[2], query[1], query[2])


def test_a_link_permits_one_thing_until_it_expires() -> None:
    made, until_s = signer(), int(NOW_S) + HOUR_S
    picture, act = made.picture("a1", "picture"), made.act("a1", "night shift")
    assert act is not None and picture.startswith("https://line.example/l/a1/evidence?until=")
    assert check(picture) == HOUR_S and check(act) == Permit("a1", "night shift", until_s)
    assert check(made.picture("a1", "clip"), until_s - 0.5) == 0
    for url in (picture, act):
        assert URL_SAFE.fullmatch(url.removeprefix("https:"))
        with pytest.raises(LinkRefused, match=r"has expired \(on 2027-01-15 09:00 UTC\)"):
            check(url, until_s)
        for key in (b"another key altogether", None):
            with pytest.raises(LinkRefused, match="not valid"):
                check(url, key=key)
    later = made.picture_path("a1", "heatmap", until_s=5)
    with pytest.raises(LinkRefused, match="expired"):
        check(f"/{later}")


LINKS = [signer().picture("a1", "evidence"), signer().act("a1", "shift")]


@given(
    st.sampled_from(LINKS), st.integers(0, 400), st.characters(codec="utf-8"), st.sampled_from(["put", "add", "cut"])
)
def test_whatever_is_changed_about_a_link_ends_it(link: str, where: int, by: str, how: str) -> None:
    start = len("https://line.example/act/") if "/act/" in link else len("https://line.example/l/")
    at = start + where % (len(link) - start)
    changed = link[:at] + ("" if how == "cut" else by) + link[at + (how != "add") :]
    if changed == link or {by, link[at]} & {"#", "?", "\t", "\r", "\n"}:  # another address altogether
        return
    with pytest.raises(LinkRefused):
        check(changed)


def test_what_is_signed_for_one_thing_is_of_no_use_for_another() -> None:
    made = signer()
    signature = made.picture("a1", "evidence").partition("sig=")[2]
    until = str(int(NOW_S) + HOUR_S)
    made.check_picture("a1", "evidence", until, signature)
    for alert_id, kind, ends in (
        ("a2", "evidence", until),
        ("a1", "clip", until),
        ("a1", "evidence", "9" + until),
        ("a", "1evidence", until),
        ("a1", "evidence" + until, ""),
    ):
        with pytest.raises(LinkRefused, match="not valid"):
            made.check_picture(alert_id, kind, ends, signature)
    with pytest.raises(LinkRefused, match="not valid"):
        made.check_act(f"{until}.{signature}")


def test_without_a_key_links_ask_for_the_token() -> None:
    made = signer(key=signing_key(Http()))
    assert made.picture("a1", "picture") == "https://line.example/api/alerts/a1/evidence.jpg"
    assert made.picture("a1", "clip") == "https://line.example/api/alerts/a1/clip.mp4"
    assert made.act("a1", "shift") is None
    with pytest.raises(LinkRefused):
        made.check_picture("a1", "evidence", str(int(NOW_S) + 5), "")


def test_the_key_is_given_or_made_dearly_from_the_token() -> None:
    """A link goes to many, and lets each of them try tokens on its signature."""
    made = signing_key(Http(token="t"))
    assert made == signing_key(Http(token="t")) != signing_key(Http(token="u"))
    assert made == hashlib.scrypt(b"t", salt=PURPOSE, n=16_384, r=8, p=1, maxmem=64 << 20, dklen=32)
    assert signing_key(Http(token="t", link_key="k" * 16)) == b"k" * 16


def test_whose_message_it_was_belongs_to_the_name() -> None:
    assert acting_as("", "shift") == "shift" == acting_as("shift", "shift")
    assert acting_as("Ada\x00", "shift") == "Ada (link of shift)"
    assert len(acting_as("a" * 500, "s" * 64)) == 100


@pytest.fixture
def served(valkey: EmbeddedValkey, prefix: str, tmp_path: Path) -> Iterator[Guarded]:
    made = Guarded(LineState(tmp_path, valkey.address, prefix), {"token": OF_ALL, "access": PEOPLE}).start()
    made.alarm()
    yield made
    made.server.stop()


def test_a_signed_picture_needs_no_token_and_shows_anywhere(served: Guarded) -> None:
    url = served.links.picture("a1", "evidence")
    answer = httpx.get(url)
    assert answer.status_code == 200 and answer.content.startswith(b"\xff\xd8")
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "private, max-age=3600"
    assert httpx.get(url, headers={"Range": "bytes=0-1"}).status_code == 206
    for wrong in (url[:-1], url.replace("a1", "a2"), url.replace("evidence", "heatmap"), url.partition("?")[0]):
        assert httpx.get(wrong).status_code == 403, wrong
    served.line.evidence.put("a1", "clip", 0, b"the first seconds of it")
    clip = served.links.picture("a1", "clip")
    begun = httpx.get(clip, headers={"Range": "bytes=0-8"})
    assert begun.content == b"the first" and begun.headers["cache-control"] == "private, no-cache"
    served.line.evidence.put("a1", "clip", 0, b"all of it")
    rest = httpx.get(clip, headers={"Range": "bytes=9-", "If-Range": begun.headers["etag"]})
    assert (rest.status_code, rest.content) == (200, b"all of it"), "never a piece of each"
    absent = httpx.get(served.links.picture("a2", "evidence"))
    assert absent.status_code == 404 and "no evidence of this alert is kept" in absent.json()["detail"]


def test_the_page_acts_when_a_button_is_pressed_and_never_before(served: Guarded) -> None:
    url = served.links.act("a1", "shift") or ""
    outbox, client = served.line.outbox, httpx.Client(timeout=30)
    page = client.get(url)
    assert page.status_code == 200 and "Nobody has answered yet" in page.text
    assert page.headers["cache-control"] == "no-store"
    assert outbox.get("a1").acknowledged_at is None
    for form in ({}, {"do": "open the doors"}, {"do": "shelve-9999"}):
        answer = client.post(url, data=form)
        assert answer.status_code == 409 and "press one of the buttons" in answer.text
    assert client.post(url, data={"do": "acknowledge"}, headers={"Origin": "http://evil.example"}).status_code == 403
    assert outbox.get("a1").acknowledged_at is None

    done = client.post(url, data={"do": "acknowledge", "by": "Zoë <b>"}, follow_redirects=True)
    assert done.status_code == 200 and "Acknowledged by Zoë &lt;b&gt; (link of shift)" in done.text
    assert client.post(url, data={"do": "shelve-30", "by": "Zoë"}).status_code == 303
    shelf = served.orders.shelves()[0]
    assert (shelf.camera, shelf.by, shelf.why) == ("line-1", "Zoë (link of shift)", "somebody is looking into it")
    assert shelf.until_ms - shelf.from_ms == pytest.approx(1_800_000, abs=5000)
    assert client.post(url, data={"do": "escalate"}).status_code == 303
    assert client.post(url, data={"do": "false-alarm"}).status_code == 303
    alert = outbox.get("a1")
    assert (alert.escalated_to, alert.escalated_by, alert.false_alarm_by) == ("boss", "shift", "shift")

    for subscription in ("shift", "boss"):
        assert served.client(OF_ALL).post(f"/api/subscriptions/{subscription}/switch", json={"on": False}).is_success
    nobody = client.post(url, data={"do": "escalate"})
    assert nobody.status_code == 409 and "On linewatch&#39;s page you can choose whom to call" in nobody.text

    served.alarm("b2", camera="*", condition="storm")
    storm = served.links.act("b2", "shift") or ""
    assert "Shelve" not in client.get(storm).text
    refused = client.post(storm, data={"do": "shelve-30"})
    assert refused.status_code == 409 and "about all cameras" in refused.text
    assert client.get(served.links.act("cc", "shift") or "").status_code == 404
    for bad in (client.get(url[:-1]), client.post(url[:-1], data={"do": "acknowledge"})):
        assert bad.status_code == 403 and "open it from the message" in bad.text.lower()


def test_a_phone_without_javascript(served: Guarded, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 360, "height": 740})
    try:
        page, refused = context.new_page(), []
        page.on("response", lambda answer: refused.append(answer.url) if answer.status >= 400 else None)
        page.goto(served.links.act("a1", "shift") or "")
        picture = page.locator("img").bounding_box()
        assert picture is not None and picture["width"] > 300 and picture["height"] > 100, "signed, drawn, not hidden"
        assert page.locator("body").bounding_box()["width"] <= 360  # type: ignore[index]
        button = page.get_by_role("button", name="Acknowledge")
        assert button.evaluate("it => getComputedStyle(it).minHeight") == "48px", "the style sheet needs no token"
        page.get_by_label("Your name").fill("Ada")
        page.get_by_label("Your name").press("Enter")
        assert served.line.outbox.get("a1").acknowledged_at is None, "Enter presses nothing"
        button.click()
        page.get_by_text("Acknowledged by Ada (link of shift)").wait_for()
        assert refused == []
    finally:
        context.close()
