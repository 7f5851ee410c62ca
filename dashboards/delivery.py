"""The dashboard "linewatch: delivery": whether alerts arrive, how soon, and whether they are too many."""

from typing import Any

from dashboards.frame import dashboard
from dashboards.latency import latency, latency_by
from dashboards.panels import DATASOURCE, GridLine, Query, Section, stat, timeseries

DELIVERY_UID = "linewatch-delivery"
DELIVERY_TITLE = "linewatch: delivery"
_CHANNEL = '{channel=~"$channel"}'
_RATE = "$__rate_interval"
_OR_NONE = "or vector(0)"
_BARS = {"drawStyle": "bars", "fillOpacity": 80, "stacking": {"mode": "normal"}}
_NONE_IS_GOOD: list[tuple[float | None, str]] = [(None, "green"), (1, "red")]
_MINUTES_ARE_BAD: list[tuple[float | None, str]] = [(None, "green"), (60, "yellow"), (300, "red")]
# EEMUA 191: an operator can deal with one alarm in ten minutes for long; ten are a flood.
_EEMUA: list[tuple[float | None, str]] = [(None, "green"), (1.01, "yellow"), (10, "red")]


def delivery_dashboard() -> dict[str, Any]:
    """Where to look when somebody says that an alert did not come."""
    return dashboard(
        DELIVERY_UID,
        DELIVERY_TITLE,
        "Deliveries by channel, how long they take, what waits and what was given up, and the rate of alarms.",
        [_channels()],
        [_now(), _arriving(), _waiting(), _rate_of_alarms()],
    )


def _channels() -> dict[str, Any]:
    query = "label_values(linewatch_deliveries_total, channel)"
    return {
        "name": "channel",
        "label": "Channel",
        "type": "query",
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": "channel"},
        "multi": True,
        "includeAll": True,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "refresh": 2,
        "sort": 1,
        "hide": 0,
    }


def _now() -> Section:
    return Section(
        "Now",
        [
            GridLine(
                4,
                [
                    stat(
                        "Waiting",
                        "Events not yet given to channels, and what waits at the channel that is furthest behind.",
                        Query("max(linewatch_outbox_depth)", "waiting", instant=True),
                        _NONE_IS_GOOD,
                    ),
                    stat(
                        "Oldest, seconds",
                        "For how long the oldest of what is not delivered has waited.",
                        Query("max(linewatch_outbox_oldest_seconds)", "oldest", instant=True),
                        _MINUTES_ARE_BAD,
                    ),
                    stat(
                        "Dead letters",
                        "Messages that were refused or given up. They are kept, and can be sent again.",
                        Query(f"sum(max by (channel) (linewatch_dead_letters)) {_OR_NONE}", "dead", instant=True),
                        _NONE_IS_GOOD,
                    ),
                    stat(
                        "Alarms in 10 min, worst camera",
                        "EEMUA 191 calls one in ten minutes what an operator can deal with for long.",
                        Query(
                            f"max(sum by (camera) (increase(linewatch_alerts_total[10m]))) {_OR_NONE}",
                            "alarms",
                            instant=True,
                        ),
                        _EEMUA,
                    ),
                ],
            )
        ],
    )


def _arriving() -> Section:
    tries = timeseries(
        "Deliveries by channel and outcome",
        "Tries: delivered; failed are tried again; refused and expired became dead letters.",
        "short",
        [
            Query(
                f"sum by (channel, outcome) (increase(linewatch_deliveries_total{_CHANNEL}[{_RATE}]))",
                "{{channel}} {{outcome}}",
            )
        ],
        custom=_BARS,
        minimum=0,
    )
    to_outbox = latency(
        "Capture to outbox",
        "From the capture of the frame that fired to the alert in the outbox.",
        "linewatch_capture_to_alert_seconds",
    )
    to_channel = latency_by(
        "channel",
        "Capture to delivery",
        "From the capture of the frame that fired to the channel's word that it has the alert; alerts told at once.",
        "linewatch_capture_to_delivery_seconds",
        _CHANNEL,
    )
    return Section("Arriving", [GridLine(9, [tries, to_channel, to_outbox])])


def _waiting() -> Section:
    queues = timeseries(
        "What waits, by channel",
        "Messages in each channel's queue. One that does not sink shows a channel that takes nothing.",
        "short",
        [Query(f"max by (channel) (linewatch_delivery_queue{_CHANNEL})", "{{channel}}")],
        minimum=0,
    )
    depth = timeseries(
        "Outbox depth",
        "Events not yet given to channels, and what waits at the channel that is furthest behind.",
        "short",
        [Query("max(linewatch_outbox_depth)", "waiting")],
        minimum=0,
    )
    oldest = timeseries(
        "Oldest that waits",
        "Age of the oldest of what is not delivered.",
        "s",
        [Query("max(linewatch_outbox_oldest_seconds)", "oldest")],
        minimum=0,
    )
    dead = timeseries(
        "Dead letters by channel",
        "Refused or given up, and kept: `linewatch dead-letters list` says why.",
        "short",
        [Query(f"max by (channel) (linewatch_dead_letters{_CHANNEL})", "{{channel}}")],
        minimum=0,
    )
    return Section("Waiting", [GridLine(8, [depth, oldest]), GridLine(8, [queues, dead])])


def _rate_of_alarms() -> Section:
    rate = timeseries(
        "Alarms in ten minutes, by camera",
        "EEMUA 191 calls one in ten minutes what an operator can deal with for long: the dashed line.",
        "short",
        [
            Query("sum by (camera) (increase(linewatch_alerts_total[10m])) > 0", "{{camera}}"),
        ],
        limit=1,
        minimum=0,
    )
    held = timeseries(
        "Held back",
        "Episodes that did not become alerts, by reason: cool-down, storm, maintenance, trouble of the camera.",
        "short",
        [Query(f"sum by (reason) (increase(linewatch_alerts_held_back_total[{_RATE}]))", "{{reason}}")],
        custom=_BARS,
        minimum=0,
    )
    return Section("Rate of alarms", [GridLine(8, [rate, held])])
