"""The dashboard "linewatch: line": a line's cameras, scores, frames, and the way to the alert."""

from typing import Any

from dashboards.line_panels import sections
from dashboards.panels import DATASOURCE, layout

LINE_UID = "linewatch-line"
LINE_TITLE = "linewatch: line"
ALERT_ANNOTATION_TAG = "linewatch"
# A second data source of the provisioning: Grafana fetches the pictures with linewatch's token
# and hands them to the browser, which has no token, from Grafana's own address.
PICTURES_DATASOURCE_NAME = "linewatch pictures"
PICTURES_BASE_URL = "/api/datasources/proxy/uid/linewatch-pictures"


def line_dashboard() -> dict[str, Any]:
    """The classic JSON model, which spans most Grafana versions."""
    return {
        "uid": LINE_UID,
        "title": LINE_TITLE,
        "description": "Cameras, scores, frames and alerts of a line watched by linewatch.",
        "tags": ["linewatch"],
        "schemaVersion": 39,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": _variables()},
        "annotations": {"list": [_alert_regions()]},
        "links": [],
        "panels": layout(sections()),
    }


def _variables() -> list[dict[str, Any]]:
    return [
        {
            "name": "datasource",
            "label": "Data source",
            "type": "datasource",
            "query": "prometheus",
            # The data source for pictures is of the same type and holds no series.
            "regex": f"/^(?!{PICTURES_DATASOURCE_NAME}$).*/",
            "refresh": 1,
            "hide": 0,
        },
        {
            "name": "camera",
            "label": "Camera",
            "type": "query",
            "datasource": DATASOURCE,
            "definition": "label_values(linewatch_camera_up, camera)",
            "query": {
                "query": "label_values(linewatch_camera_up, camera)",
                "refId": "camera",
            },
            "multi": True,
            "includeAll": True,
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
            "refresh": 2,
            "sort": 3,
            "hide": 0,
        },
        {
            "name": "base_url",
            "label": "Pictures from",
            "description": "Where the browser finds linewatch's HTTP surface.",
            "type": "textbox",
            "query": PICTURES_BASE_URL,
            "current": {
                "selected": True,
                "text": PICTURES_BASE_URL,
                "value": PICTURES_BASE_URL,
            },
            "options": [{"selected": True, "text": PICTURES_BASE_URL, "value": PICTURES_BASE_URL}],
            "hide": 0,
        },
    ]


def _alert_regions() -> dict[str, Any]:
    return {
        "name": "Alerts",
        "enable": True,
        "iconColor": "red",
        "datasource": {"type": "grafana", "uid": "-- Grafana --"},
        "target": {
            "type": "tags",
            "tags": [ALERT_ANNOTATION_TAG],
            "matchAny": False,
            "limit": 200,
        },
    }
