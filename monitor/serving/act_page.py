"""The page behind the link in a message: what happened, and buttons to answer it. Plain HTML, without a script."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from jinja2 import Environment

from monitor.alerting.alert import ANOMALY, DRIFT, EVERYWHERE, MISSED, STORM, Alert
from monitor.links import LinkKind, LinkSigner, Permit
from monitor.orders.shelf import Shelf

WHY = "somebody is looking into it"
SHELVES: Final[dict[str, int]] = {"30 minutes": 30, "2 hours": 120}
"""What is offered, in minutes."""
NO_BREAK = "\N{NO-BREAK SPACE}"
OTHERS = {STORM: "alarm storm", MISSED: "missed defect", DRIFT: "drift"}

_FRAME = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <meta name="robots" content="noindex">
  <title>{{ title }}</title>
  <link rel="icon" href="data:,">
  <link rel="stylesheet" href="../static/act.css">
</head>
<body>
<main>
{% block content %}{% endblock %}
</main>
</body>
</html>
"""

_ALERT = """{% extends frame %}{% block content %}
<h1>{{ title }}</h1>
{% if trouble %}<p class="trouble" role="alert">{{ trouble }}</p>{% endif %}
<p class="state{% if lasting %} lasting{% endif %}">{{ state }}</p>
{% if evidence %}<a href="{{ evidence }}"><img src="{{ evidence }}" alt="The picture that triggered it"></a>
{% endif %}
<p class="more">
  {% if heatmap %}<a href="{{ heatmap }}">heat map</a>{% endif %}
  {% if clip %}<a href="{{ clip }}">clip</a>{% endif %}
</p>
<ul>{% for mark in marks %}<li>{{ mark }}</li>{% endfor %}</ul>
<form method="post">
  {# Enter in a field presses the first button: this one does nothing. #}
  <button type="submit" disabled hidden></button>
  <label>Your name <input name="by" value="{{ name }}" maxlength="60" autocomplete="name"></label>
  {% if not acknowledged %}<button class="first" name="do" value="acknowledge">Acknowledge</button>{% endif %}
  {% if can_be_shelved %}
  <fieldset>
    <legend>Call nobody for camera {{ camera }}</legend>
    <label>Why <input name="why" value="{{ why }}" maxlength="200"></label>
    {% for words, minutes in shelves.items() %}
    <button name="do" value="shelve-{{ minutes }}">Shelve {{ words }}</button>
    {% endfor %}
  </fieldset>
  {% endif %}
  <button name="do" value="escalate">Escalate</button>
  {% if can_be_false %}<button name="do" value="false-alarm">False alarm</button>{% endif %}
</form>
<p class="more"><a href="..">linewatch's page</a></p>
{% endblock %}"""

_REFUSAL = """{% extends frame %}{% block content %}
<h1>{{ title }}</h1>
<p class="trouble">{{ trouble }}</p>
<p class="more"><a href="..">linewatch's page</a></p>
{% endblock %}"""

_environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
_frame, _alert, _refusal = (_environment.from_string(text) for text in (_FRAME, _ALERT, _REFUSAL))


@dataclass(frozen=True, slots=True)
class ActPage:
    """Draws the page, whose pictures are signed by `links`."""

    links: LinkSigner

    def alert(
        self, alert: Alert, shelf: Shelf | None, permit: Permit, name: str, now_ns: int, trouble: str = ""
    ) -> str:
        """name: what the field for it holds. trouble: what did not work just now."""

        def signed(kind: LinkKind, there: bool) -> str | None:
            path = self.links.picture_path(alert.alert_id, kind, permit.until_s)  # no longer than the page itself
            return f"../{path}" if there else None

        pictured = alert.evidence_url is not None
        return _alert.render(
            frame=_frame,
            title=heading(alert),
            trouble=trouble,
            state=_state(alert, now_ns),
            lasting=alert.ended_at is None,
            evidence=signed("evidence", pictured),
            heatmap=signed("heatmap", pictured and alert.condition == ANOMALY),
            clip=signed("clip", alert.clip_url is not None),
            marks=_marks(alert, shelf),
            name=name,
            acknowledged=alert.acknowledged_at is not None,
            camera=alert.camera,
            can_be_shelved=alert.camera != EVERYWHERE,
            can_be_false=alert.false_alarm_at is None and alert.condition not in (STORM, MISSED),
            why=WHY,
            shelves=SHELVES,
        )


def refusal_page(title: str, trouble: str) -> str:
    """A page that says what is wrong and what to do."""
    return _refusal.render(frame=_frame, title=title, trouble=trouble)


def heading(alert: Alert) -> str:
    """Camera and what it is about."""
    camera = "All cameras" if alert.camera == EVERYWHERE else alert.camera
    if alert.condition == ANOMALY:
        return f"{camera}: {alert.severity.value} alert"
    return f"{camera}: {OTHERS.get(alert.condition, f'camera {alert.condition}')}"


def _state(alert: Alert, now_ns: int) -> str:
    if alert.condition == MISSED:
        return f"At {_clock(alert.started_at)}"
    if alert.ended_at is None:
        return f"Still lasts: since {_clock(alert.started_at)}, for {_duration(now_ns - alert.started_at)}"
    return f"Over: from {_clock(alert.started_at)}, for {_duration(alert.ended_at - alert.started_at)}"


def _marks(alert: Alert, shelf: Shelf | None) -> list[str]:
    marks = []
    if alert.acknowledged_at is not None:
        marks.append(f"Acknowledged by {alert.acknowledged_by}, {_clock(alert.acknowledged_at)}")
    if alert.escalated_at is not None:
        marks.append(f"Escalated to {alert.escalated_to} by {alert.escalated_by}, {_clock(alert.escalated_at)}")
    if alert.false_alarm_at is not None:
        marks.append(f"False alarm, says {alert.false_alarm_by}, {_clock(alert.false_alarm_at)}")
    if shelf is not None:
        marks.append(f"Shelved until {_clock(shelf.until_ms * 1_000_000)} by {shelf.by}: {shelf.why}")
    return marks or ["Nobody has answered yet"]


def _clock(at_ns: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at_ns / 1e9))


def _duration(span_ns: int) -> str:
    seconds = max(0, round(span_ns / 1e9))
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size}{NO_BREAK}{unit}"
    return f"{seconds}{NO_BREAK}s"
