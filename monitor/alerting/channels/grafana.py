"""Alerts as annotation regions in Grafana: opened when they fire, closed when they are resolved."""

from __future__ import annotations

from typing import Any

from dashboards.grafana import GrafanaClient, GrafanaRejected, GrafanaUnavailable
from monitor.alerting.alert import ANOMALY, DEGRADED, EVENT_TYPES, OFFLINE, ONLINE
from monitor.alerting.channels.channel import DeliveryFailed, DeliveryRefused
from monitor.judging.episodes import Change

BEGINS = frozenset({EVENT_TYPES[Change.FIRING], OFFLINE, DEGRADED})
ENDS = frozenset({EVENT_TYPES[Change.RESOLVED], ONLINE})


class GrafanaChannel:
    """One region an alert, found again by its tag `alert:<id>`, so that nothing is doubled."""

    name = "grafana"

    def __init__(self, client: GrafanaClient) -> None:
        self._client = client

    def deliver(self, event: dict[str, Any]) -> None:
        alert = event["data"]
        try:
            if event["type"] in BEGINS:
                self._open(alert)
            elif event["type"] in ENDS:
                # Opening again finds the region by its tag, also where the first message never arrived.
                self._client.close_region(self._open(alert), alert["ended_at"] // 1_000_000)
        except GrafanaUnavailable as error:
            raise DeliveryFailed(str(error)) from None
        except GrafanaRejected as error:
            raise DeliveryRefused(str(error)) from None

    def close(self) -> None:
        """The client holds nothing open."""

    def _open(self, alert: dict[str, Any]) -> int:
        tags = ["linewatch", f"alert:{alert['alert_id']}", f"camera:{alert['camera']}", alert["severity"]]
        if alert.get("condition", ANOMALY) == ANOMALY:  # events of older workers do not say
            text = f"Anomaly on {alert['camera']} ({alert['severity']}), peak score {alert['peak_score']:.4g}"
        else:
            text = f"Camera {alert['camera']}: {alert['condition']}"
            tags.append(f"condition:{alert['condition']}")
        if alert.get("evidence_url"):
            text += f' <a href="{alert["evidence_url"]}">picture</a>'
        return self._client.open_region(alert["started_at"] // 1_000_000, tags, text)
