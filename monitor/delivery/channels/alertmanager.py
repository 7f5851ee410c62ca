"""Alerts as Prometheus' Alertmanager tells them (its webhook, version 4) and as it takes them (its API, version 2)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from monitor.alerting.alert import ANOMALY, TEST
from monitor.delivery.channels.readable import links_of
from monitor.delivery.delivery import Delivery
from monitor.delivery.materials import Materials

OPEN_S = 7 * 86_400
"""An alert that is not over is posted with an end so far ahead: without one, Alertmanager ends it after five minutes
without a word, and an episode says nothing until it is over."""

TEST_S = 300
"""A test is over after so long."""

NEVER = "0001-01-01T00:00:00Z"
"""How Alertmanager's webhook says that there is no end yet."""


def webhook_body(delivery: Delivery, materials: Materials) -> dict[str, Any]:
    """What Alertmanager posts to webhooks, version 4; of an alert that several events tell of, how it stands last.

    `fingerprint` stays the same from firing to resolved, also where the severity rises.
    """
    newest = _newest(delivery.events)
    alerts: list[dict[str, Any]] = [
        {
            "status": "resolved" if _over(event) else "firing",
            "labels": _labels(event, materials),
            "annotations": _annotations(event, delivery, materials),
            "startsAt": _time(event["data"]["started_at"]),
            "endsAt": _time(event["data"]["ended_at"]) if _over(event) else NEVER,
            "generatorURL": links_of(event, delivery, materials).alert,
            "fingerprint": hashlib.sha256(event["data"]["alert_id"].encode()).hexdigest()[:16],
        }
        for event in newest
    ]
    common = _shared([alert["labels"] for alert in alerts])
    group = {"alert_id": common["alert_id"]} if len(alerts) == 1 else {}
    which = ",".join(delivery.subscriptions) or delivery.channel
    page = urlsplit(alerts[-1]["generatorURL"])
    return {
        "version": "4",
        "receiver": delivery.channel,
        "status": "firing" if any(alert["status"] == "firing" for alert in alerts) else "resolved",
        "alerts": alerts,
        "groupLabels": group,
        "commonLabels": common,
        "commonAnnotations": _shared([alert["annotations"] for alert in alerts]),
        "externalURL": f"{page.scheme}://{page.netloc}" if page.netloc else "",
        "groupKey": "{}/{" + which + "}:{" + ",".join(f'{name}="{value}"' for name, value in group.items()) + "}",
        "truncatedAlerts": delivery.omitted,
    }


def api_alerts(delivery: Delivery, materials: Materials, now_s: float) -> list[dict[str, Any]]:
    """What `POST /api/v2/alerts` takes. Alertmanager knows an alert by its labels, so the same again doubles nothing.

    The severity is one of them, for routes go by it: where it rises, the alert with the lower one is ended.
    """
    posted = []
    for event in _newest(delivery.events):
        data, labels = event["data"], _labels(event, materials)
        alert = {
            "labels": labels,
            "annotations": _annotations(event, delivery, materials),
            "startsAt": _time(data["started_at"]),
            "endsAt": _end(event, round((now_s + (TEST_S if event["type"] == TEST else OPEN_S)) * 1e9)),
            "generatorURL": links_of(event, delivery, materials).alert,
        }
        if labels["severity"] == "critical" and data.get("condition", ANOMALY) == ANOMALY and event["type"] != TEST:
            lower = {"labels": {**labels, "severity": "warning"}, "endsAt": _end(event, round(now_s * 1e9))}
            posted.append({**alert, **lower})
        posted.append(alert)
    return posted


def is_api(path: str) -> bool:
    """Whether the address is that of an Alertmanager itself."""
    return path.partition("?")[0].rstrip("/").endswith("/api/v2/alerts")


def _newest(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last event of each alert, in the order in which the alerts began to be told."""
    return list({event["data"]["alert_id"]: event for event in events}.values())


def _over(event: dict[str, Any]) -> bool:
    return event["data"].get("ended_at") is not None


def _end(event: dict[str, Any], else_ns: int) -> str:
    """Never before its start, which Alertmanager would refuse: a camera's clock may be ahead of ours."""
    data = event["data"]
    return _time(max(data["ended_at"] if _over(event) else else_ns, data["started_at"]))


def _labels(event: dict[str, Any], materials: Materials) -> dict[str, str]:
    """What an alert is known by. Nothing that changes while it lasts, but for the severity."""
    data = event["data"]
    condition = "test" if event["type"] == TEST else str(data.get("condition", ANOMALY))
    line = materials.place(data["camera"]).line
    labels = {
        "alertname": f"linewatch_{condition}",
        "alert_id": data["alert_id"],
        "camera": data["camera"],
        "condition": condition,
        "severity": data["severity"],
        "line": line or "",
        "product": data.get("product") or "",
    }
    return {name: value for name, value in labels.items() if value}


def _annotations(event: dict[str, Any], delivery: Delivery, materials: Materials) -> dict[str, str]:
    data, links = event["data"], links_of(event, delivery, materials)
    if event["type"] == TEST:
        summary = "A test: linewatch reaches you"
    elif data.get("condition", ANOMALY) == ANOMALY:
        summary = f"Anomaly on {data['camera']}"
    else:
        summary = f"{data['camera']}: {data['condition']}" if data["camera"] != "*" else str(data["condition"])
    found = {
        "summary": summary,
        "description": f"peak {data['peak_score']:.4g}, threshold {data['threshold']:.4g}",
        "picture": links.picture,
        "heatmap": links.heatmap,
        "clip": links.clip,
        "act": links.act,
        "acknowledged_by": data.get("acknowledged_by"),
        "escalated_by": data.get("escalated_by"),
        "escalated_to": data.get("escalated_to"),
    }
    return {name: value for name, value in found.items() if value}


def _shared(sets: list[dict[str, str]]) -> dict[str, str]:
    first, *others = sets
    return {name: value for name, value in first.items() if all(each.get(name) == value for each in others)}


def _time(at_ns: int) -> str:
    """RFC 3339, to the microsecond."""
    whole, rest = divmod(at_ns, 1_000_000_000)
    return datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest // 1000:06d}Z"
