"""What both dashboards share: their place, their times, and the choice of a data source."""

from collections.abc import Iterable, Sequence
from typing import Any

from dashboards.panels import Section, layout

ALERT_ANNOTATION_TAG = "linewatch"
# A second data source of the provisioning: Grafana fetches the pictures with linewatch's token
# and hands them to the browser, which has no token, from Grafana's own address.
PICTURES_DATASOURCE_NAME = "linewatch pictures"


def dashboard(
    uid: str, title: str, description: str, variables: Sequence[dict[str, Any]], sections: Iterable[Section]
) -> dict[str, Any]:
    """The classic JSON model, which spans most Grafana versions."""
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["linewatch"],
        "schemaVersion": 39,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_datasource(), *variables]},
        "annotations": {"list": [_alert_regions()]},
        # From each dashboard to the others, at the same time.
        "links": [
            {
                "title": "linewatch",
                "type": "dashboards",
                "tags": ["linewatch"],
                "asDropdown": False,
                "includeVars": False,
                "keepTime": True,
            }
        ],
        "panels": layout(sections),
    }


def _datasource() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        # The data source for pictures is of the same type and holds no series.
        "regex": f"/^(?!{PICTURES_DATASOURCE_NAME}$).*/",
        "refresh": 1,
        "hide": 0,
    }


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
