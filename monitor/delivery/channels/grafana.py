"""Alerts as annotation regions in Grafana: opened when they fire, closed when they are resolved."""

from __future__ import annotations

from html import escape
from typing import Any

from dashboards.grafana import ALERT_TAG, GrafanaClient, GrafanaRejected, GrafanaUnavailable
from monitor.alerting.alert import ANOMALY, DEGRADED, EVENT_TYPES, OFFLINE, ONLINE, TEST
from monitor.delivery.channels.channel import DeliveryFailed, DeliveryRefused
from monitor.delivery.channels.readable import links_of
from monitor.delivery.delivery import Delivery
from monitor.delivery.materials import Materials
from monitor.judging.episodes import Change

ENDS = frozenset({EVENT_TYPES[Change.RESOLVED], ONLINE, TEST})
BEGINS = frozenset({*EVENT_TYPES.values(), OFFLINE, DEGRADED}) - ENDS


class GrafanaChannel:
    """One region an alert, found again by its tag `alert:<id>`, so that nothing is doubled."""

    parallel = 1  # looking for a region and making it are two requests, and the client is for one thread

    def __init__(self, name: str, client: GrafanaClient, materials: Materials) -> None:
        self.name = name
        self._client = client
        self._materials = materials

    def deliver(self, delivery: Delivery) -> None:
        """Of several events about one alert, the newest makes the whole region. Where Grafana refuses one, the others
        are delivered all the same."""
        said = {e["data"]["alert_id"]: e for e in delivery.events if e["type"] in BEGINS}
        said |= {e["data"]["alert_id"]: e for e in delivery.events if e["type"] in ENDS}
        refused: list[str] = []
        for event in said.values():
            try:
                self._show(event, delivery)
            except GrafanaUnavailable as error:
                raise DeliveryFailed(str(error)) from None
            except GrafanaRejected as error:
                refused.append(str(error))
        if refused:
            more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
            raise DeliveryRefused(f"{refused[0]}{more}")

    def close(self) -> None:
        self._client.close()

    def _show(self, event: dict[str, Any], delivery: Delivery) -> None:
        # Opening again finds the region by its tag, also where the first message never arrived.
        region = self._open(event, delivery)
        if event["type"] in ENDS:
            ended_at = event["data"]["ended_at"] or event["data"]["started_at"]
            self._client.close_region(region, ended_at // 1_000_000)

    def _open(self, event: dict[str, Any], delivery: Delivery) -> int:
        alert = event["data"]
        tags = ["linewatch", f"{ALERT_TAG}{alert['alert_id']}", f"camera:{alert['camera']}", alert["severity"]]
        camera, condition = alert["camera"], alert.get("condition", ANOMALY)  # events of older workers do not say
        if event["type"] == TEST:
            text = "A test: linewatch reaches this Grafana"
            tags.append("test")
        elif condition == ANOMALY:
            text = f"Anomaly on {camera} ({alert['severity']}), peak score {alert['peak_score']:.4g}"
        else:
            text = f"Camera {camera}: {condition}"
            tags.append(f"condition:{condition}")
        text = escape(text)
        picture = links_of(event, delivery, self._materials).picture
        if picture:
            text += f' <a href="{escape(picture)}">picture</a>'
        return self._client.open_region(alert["started_at"] // 1_000_000, tags, text)
