"""The panels of Grafana's classic JSON model, as plain dictionaries.

A panel here has no `id` and no `gridPos`; `layout` gives both. Every expression is PromQL with
Grafana's variables in it; units are Grafana's unit ids.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Panel = dict[str, Any]
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
GRID_COLUMNS = 24


@dataclass(frozen=True)
class Query:
    """One target. `legend` is Grafana's legend format; `instant` asks for the newest value only."""

    expr: str
    legend: str
    instant: bool = False


@dataclass(frozen=True)
class GridLine:
    """Panels side by side, of equal width and of `height` grid cells."""

    height: int
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Section:
    """A titled row of the dashboard and the lines of panels under it."""

    title: str
    lines: Sequence[GridLine]


def timeseries(
    title: str,
    description: str,
    unit: str,
    queries: Sequence[Query],
    *,
    custom: Mapping[str, Any] | None = None,
    colours: Mapping[str, str] | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    repeat: str | None = None,
    limit: float | None = None,
) -> Panel:
    """`colours` maps a series' name to a colour; `repeat` names a variable to repeat over; `limit` is a dashed line."""
    defaults: dict[str, Any] = {
        "unit": unit,
        "custom": {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 5, "spanNulls": False} | dict(custom or {}),
    }
    if limit is not None:
        defaults["custom"]["thresholdsStyle"] = {"mode": "dashed"}
        steps = [{"value": None, "color": "transparent"}, {"value": limit, "color": "red"}]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    if minimum is not None:
        defaults["min"] = minimum
    if maximum is not None:
        defaults["max"] = maximum
    panel = _panel("timeseries", title, description, queries, defaults)
    panel["options"] = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    panel["fieldConfig"]["overrides"] = [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
        }
        for name, colour in (colours or {}).items()
    ]
    if repeat is not None:
        panel |= {"repeat": repeat, "repeatDirection": "h", "maxPerRow": 3}
    return panel


def stat(title: str, description: str, query: Query, steps: Sequence[tuple[float | None, str]]) -> Panel:
    """One big whole number; `steps` are (from this value on, colour), the first from None."""
    defaults = {
        "unit": "short",
        "decimals": 0,
        "thresholds": {
            "mode": "absolute",
            "steps": [{"value": value, "color": colour} for value, colour in steps],
        },
    }
    panel = _panel("stat", title, description, [query], defaults)
    panel["options"] = {
        "colorMode": "background",
        "graphMode": "none",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return panel


def state_timeline(title: str, description: str, query: Query, states: Mapping[str, Any]) -> Panel:
    """`states` are Grafana's value mappings: value as text -> {text, color}."""
    defaults = {
        "unit": "short",
        "custom": {"fillOpacity": 70, "lineWidth": 0},
        "mappings": [{"type": "value", "options": dict(states)}],
    }
    panel = _panel("state-timeline", title, description, [query], defaults)
    panel["options"] = {"mergeValues": True, "showValue": "auto", "rowHeight": 0.9}
    return panel


def html(title: str, description: str, content: str, *, repeat: str) -> Panel:
    """A text panel; Grafana sanitises the HTML, an <img> stays."""
    return {
        "type": "text",
        "title": title,
        "description": description,
        "options": {"mode": "html", "content": content},
        "repeat": repeat,
        "repeatDirection": "h",
        "maxPerRow": 3,
    }


def layout(sections: Iterable[Section]) -> list[Panel]:
    """The panels with ids unique from 1 on (older front ends crash without) and their places."""
    placed: list[Panel] = []
    y = 0
    for section in sections:
        row: Panel = {"type": "row", "title": section.title, "collapsed": False, "panels": []}
        placed.append(_place(row, len(placed) + 1, (0, y, GRID_COLUMNS, 1)))
        y += 1
        for line in section.lines:
            width = GRID_COLUMNS // len(line.panels)
            for column, panel in enumerate(line.panels):
                place = (column * width, y, width, line.height)
                placed.append(_place(panel, len(placed) + 1, place))
            y += line.height
    return placed


def _place(panel: Panel, panel_id: int, place: tuple[int, int, int, int]) -> Panel:
    x, y, width, height = place
    return {"id": panel_id, "gridPos": {"x": x, "y": y, "w": width, "h": height}, **panel}


def _panel(
    kind: str,
    title: str,
    description: str,
    queries: Sequence[Query],
    defaults: Mapping[str, Any],
) -> Panel:
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": DATASOURCE,
                "expr": query.expr,
                "legendFormat": query.legend,
                "instant": query.instant,
                "range": not query.instant,
            }
            for index, query in enumerate(queries)
        ],
        "fieldConfig": {"defaults": dict(defaults), "overrides": []},
    }
