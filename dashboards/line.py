"""The dashboard "linewatch: line": a line's cameras, scores, frames, and the way to the alert."""

from typing import Any

from dashboards.frame import dashboard
from dashboards.line_panels import sections
from dashboards.panels import DATASOURCE

LINE_UID = "linewatch-line"
LINE_TITLE = "linewatch: line"
PICTURES_BASE_URL = "/api/datasources/proxy/uid/linewatch-pictures"


def line_dashboard() -> dict[str, Any]:
    """Where the operations engineer looks first."""
    return dashboard(
        LINE_UID,
        LINE_TITLE,
        "Cameras, scores, frames and alerts of a line watched by linewatch.",
        _variables(),
        sections(),
    )


def _variables() -> list[dict[str, Any]]:
    return [
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
