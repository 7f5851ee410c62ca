"""The message that people read: title, plain text, Markdown and HTML of one delivery, the same in every try.

Read on a phone, at night: the title says where, what and how bad; the rest what was measured, since when, what to do.
Everything that comes from outside has gone through `foreign_text`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import jinja2

from monitor.alerting.alert import ACKNOWLEDGED, ANOMALY, ESCALATED, EVENT_TYPES, MISSED, ONLINE
from monitor.delivery import alert_words as words
from monitor.delivery.channels.readable import links_of_alert
from monitor.delivery.delivery import Delivery, Kind
from monitor.delivery.foreign_text import harmless
from monitor.delivery.materials import Materials
from monitor.delivery.summary import Summary, summary_of
from monitor.judging.episodes import Change

ALERTS_SHOWN = 20
"""So many alerts of a group or digest are told of one by one."""
TITLE_LENGTH = 150

Mood = Literal["critical", "warning", "resolved", "test"]
Link = tuple[str, str]
"""What it leads to, and the address: http(s), with nothing in it that could end it in Markdown or HTML."""


@dataclass(frozen=True, slots=True)
class Message:
    """`title` and `text` are plain and hold no markup. `markdown` and `html` say the same as `text`, the addresses
    behind words. `addresses`: those addresses, a line each, for mails whose text is made from the HTML."""

    title: str
    text: str
    markdown: str
    html: str
    addresses: str
    severity: Mood


@dataclass(frozen=True, slots=True)
class _Told:
    """What all renderings are made of. rows: one line each. facts: what, and its value."""

    opening: str
    facts: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, tuple[Link, ...]], ...]
    more: str
    advice: str
    links: tuple[Link, ...]


def message_of(delivery: Delivery, materials: Materials, *, alerts_shown: int = ALERTS_SHOWN) -> Message:
    """The message of any delivery. alerts_shown: so many alerts of a group or digest at most are told one by one."""
    summary = summary_of(delivery)
    if len(summary.latest) == 1 and delivery.kind in (Kind.EVENT, Kind.TEST, Kind.GROUP):
        title, told = _of_one(delivery, summary.latest[0], materials)
    else:
        title, told = _of_many(delivery, summary, materials, alerts_shown)
    title = title if len(title) <= TITLE_LENGTH else title[: TITLE_LENGTH - 1] + "…"
    mood: Mood = "test" if delivery.kind is Kind.TEST else summary.mood
    return Message(
        title,
        _text(told),
        _markdown(told),
        _page().render(title=title, told=told, mood=mood),
        "\n".join(f"{what}: {address}" for what, address in told.links),
        mood,
    )


def heading(event: dict[str, Any]) -> str:
    """Where, what, and what became of it: `line-3: part anomaly, critical`."""
    alert, kind = event["data"], event["type"]
    begin = f"{words.camera_words(alert)}: {words.about_words(alert)}"
    if kind == EVENT_TYPES[Change.RESOLVED] or kind == ONLINE:
        became = "resolved" if kind != ONLINE else "over"
        return f"{begin}, {became} after {words.duration(_lasted_s(event))}"
    if kind == EVENT_TYPES[Change.RAISED]:
        return f"{begin}, now {harmless(alert['severity'], 20)}"
    if kind == ACKNOWLEDGED:
        verb = "marked" if alert.get("condition") == MISSED else "seen"
        return f"{begin}, {verb} by {harmless(alert.get('acknowledged_by') or 'somebody', 40)}"
    if kind == ESCALATED:
        return f"{begin}, {harmless(alert['severity'], 20)}, escalated"
    return f"{begin}, {harmless(alert['severity'], 20)}"


def _of_one(delivery: Delivery, event: dict[str, Any], materials: Materials) -> tuple[str, _Told]:
    alert = event["data"]
    condition = str(alert.get("condition", ANOMALY))
    over = alert.get("ended_at") is not None
    title, opening = heading(event), ""
    if delivery.kind is Kind.TEST:
        title = f"Test: {title}"
        opening = "Somebody tries whether messages arrive. Nothing has happened."
    line = materials.place(str(alert["camera"])).line
    facts = [
        ("Camera", words.camera_words(alert) + (f", line {harmless(line)}" if line else "")),
        ("What", f"{words.about_words(alert)}, {harmless(alert['severity'], 20)}"),
        ("Began", words.moment(alert["started_at"])),
    ]
    if condition == MISSED:
        facts[2] = ("At", words.moment(alert["started_at"]))
    elif over:
        ended = f"{words.moment(alert['ended_at'])}, lasted {words.duration(_lasted_s(event))}"
        facts.append(("Ended", ended))
    measured = words.measured_words(alert)
    if measured:
        facts.append(("Peak" if condition == ANOMALY else "Measured", measured))
    if alert.get("product"):
        facts.append(("Product", harmless(alert["product"])))
    facts += _marks(alert)
    if delivery.omitted or len(delivery.events) > 1:
        facts.append(("Events", str(len(delivery.events) + delivery.omitted)))
    advice = "" if over or delivery.kind is Kind.TEST else words.ADVICE.get(condition, "")
    return title, _Told(opening, tuple(facts), (), "", advice, _links(delivery, alert, materials))


def _of_many(delivery: Delivery, summary: Summary, materials: Materials, shown: int) -> tuple[str, _Told]:
    rows = []
    for event in summary.latest[:shown]:
        links = dict(_links(delivery, event["data"], materials))
        to_do = event["data"].get("acknowledged_at") is None
        of_row = [("Acknowledge", links[ACT])] if ACT in links and to_do else []
        of_row += [(PICTURE, links[PICTURE])] if PICTURE in links else []
        rows.append((summary.row(event, heading(event)), tuple(of_row)))
    left = len(summary.latest) - len(rows)
    page = dict(_links(delivery, summary.latest[0]["data"], materials)).get(PAGE)
    title = ("Digest: " if delivery.kind is Kind.DIGEST else "") + summary.title
    opening = summary.opening + (f" {delivery.omitted} older events are left out." if delivery.omitted else "")
    more = f"and {left} more" if left else ""
    return title, _Told(opening, (), tuple(rows), more, "", ((PAGE, page),) if page else ())


def _marks(alert: dict[str, Any]) -> list[tuple[str, str]]:
    """What people did about it, with who and when."""
    marks = []
    for what, key in (("Seen by", "acknowledged"), ("False alarm, says", "false_alarm")):
        if alert.get(f"{key}_at") is not None:
            who = harmless(alert.get(f"{key}_by") or "somebody", 60)
            marks.append((what, f"{who}, {words.moment(alert[f'{key}_at'])}"))
    if alert.get("escalated_at") is not None:
        to = f" to {harmless(alert['escalated_to'])}" if alert.get("escalated_to") else ""
        by = alert.get("escalated_by") or "somebody"
        why = "nobody acknowledged it in time" if by == "linewatch" else f"by {harmless(by, 60)}"
        marks.append(("Escalated", f"{why}{to}, {words.moment(alert['escalated_at'])}"))
    return marks


ACT, PICTURE, PAGE = "Acknowledge, shelve or escalate", "Picture", "Live page"


def _links(delivery: Delivery, alert: dict[str, Any], materials: Materials) -> tuple[Link, ...]:
    links = links_of_alert(alert, delivery, materials)
    all_of_them = (
        (ACT, None if alert.get("condition") == MISSED else links.act),
        (PICTURE, links.picture),
        ("Heat map", links.heatmap),
        ("Clip", links.clip),
        (PAGE, links.alert),
    )
    return tuple((what, _safe(address)) for what, address in all_of_them if address and _safe(address))


def _safe(address: str) -> str:
    """Empty where it is no http address; what could end it in a text is quoted."""
    return quote(address, safe=":/?#@!$&+,;=%~-._") if address.startswith(("http://", "https://")) else ""


def _lasted_s(event: dict[str, Any]) -> float:
    alert = event["data"]
    return float((alert.get("ended_at") or alert["started_at"]) - alert["started_at"]) / 1e9


def _text(told: _Told) -> str:
    lines = [told.opening, *(f"{what}: {value}" for what, value in told.facts)]
    lines += [f"- {row}" for row, _ in told.rows] + [told.more, told.advice]
    return "\n".join(line for line in [*lines, *(f"{what}: {address}" for what, address in told.links)] if line)


def _markdown(told: _Told) -> str:
    """Lines end in two blanks, which keeps them apart."""
    lines = [told.opening, *(f"**{what}:** {value}" for what, value in told.facts)]
    lines += ["- " + " · ".join([row, *(f"[{what}]({at})" for what, at in links)]) for row, links in told.rows]
    lines += [told.more, told.advice, " · ".join(f"[{what}]({address})" for what, address in told.links)]
    return "  \n".join(line for line in lines if line)


@cache
def _page() -> jinja2.Template:
    source = Path(__file__).with_name("message.html").read_text(encoding="utf-8")
    return jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(source)
