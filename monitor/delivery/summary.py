"""Many events as few: those of one alert collapsed to its newest state, the worst ones first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from monitor.alerting.alert import EVERYWHERE
from monitor.delivery import alert_words as words
from monitor.delivery.delivery import Delivery
from monitor.delivery.foreign_text import harmless


@dataclass(frozen=True, slots=True)
class Summary:
    """latest: the newest event of each alert; open ones first, critical ones before others, newest before older."""

    latest: tuple[dict[str, Any], ...]
    events: int
    cameras: int
    critical: int
    open: int
    from_ns: int
    to_ns: int

    @property
    def mood(self) -> Literal["critical", "warning", "resolved"]:
        """critical where a critical alert is not over, resolved where all are."""
        if not self.open:
            return "resolved"
        first = self.latest[0]["data"]
        return "critical" if first.get("severity") == "critical" else "warning"

    @property
    def title(self) -> str:
        where = f"on {self.cameras} cameras"
        if self.cameras == 1:
            where = f"on {words.camera_words(self.latest[0]['data'])}"
        number = len(self.latest)
        return f"{number} {'alert' if number == 1 else 'alerts'} {where}, {self._how_bad}"

    @property
    def opening(self) -> str:
        count = f"{self.events} {'event' if self.events == 1 else 'events'} of {len(self.latest)} "
        count += "alert" if len(self.latest) == 1 else "alerts"
        return f"{count}, from {words.moment(self.from_ns)} to {words.moment(self.to_ns)}: {self._how_bad}."

    def row(self, event: dict[str, Any], heading: str) -> str:
        """An alert in one line: when it began, where, what, what became of it."""
        alert = event["data"]
        begun = alert["started_at"]
        at = words.clock(begun) if self._one_day else words.moment(begun)
        factor = ""
        if words.about_words(alert) == "part anomaly" and float(alert.get("threshold") or 0) > 0:
            factor = f", {alert['peak_score'] / alert['threshold']:.2f} × the limit"
        product = f", {harmless(alert['product'], 40)}" if alert.get("product") else ""
        return f"{at} {heading}{factor}{product}"

    @property
    def _how_bad(self) -> str:
        still = "all over" if not self.open else f"{self.open} not over"
        return f"{self.critical} critical, {still}"

    @property
    def _one_day(self) -> bool:
        first, last = min(e["data"]["started_at"] for e in self.latest), self.to_ns
        return datetime.fromtimestamp(first / 1e9).date() == datetime.fromtimestamp(last / 1e9).date()


def summary_of(delivery: Delivery) -> Summary:
    newest: dict[str, dict[str, Any]] = {}
    for event in delivery.events:  # oldest first
        name = str(event["data"]["alert_id"])
        newest.pop(name, None)
        newest[name] = event
    latest = sorted(reversed(newest.values()), key=_worst_first)
    times = [_time_ns(event) for event in delivery.events]
    return Summary(
        latest=tuple(latest),
        events=len(delivery.events) + delivery.omitted,
        cameras=len({event["data"]["camera"] for event in latest if event["data"]["camera"] != EVERYWHERE}) or 1,
        critical=sum(event["data"].get("severity") == "critical" for event in latest),
        open=sum(event["data"].get("ended_at") is None for event in latest),
        from_ns=min(times),
        to_ns=max(times),
    )


def _worst_first(event: dict[str, Any]) -> tuple[bool, bool]:
    alert = event["data"]
    return alert.get("ended_at") is not None, alert.get("severity") != "critical"


def _time_ns(event: dict[str, Any]) -> int:
    """When it happened; where that cannot be read, when its alert began."""
    try:
        return round(datetime.fromisoformat(str(event["time"])).timestamp() * 1e9)
    except (KeyError, ValueError):
        return int(event["data"]["started_at"])
