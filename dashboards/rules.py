"""Grafana's own alert rules, on the infrastructure only.

Anomalies are alerted by linewatch itself: a rule's evaluation interval would delay them, and the
picture would be the panel rather than the frame. Who is told is left to Grafana's default policy:
provisioning `policies` would replace the whole routing tree of the site.
"""

from dataclasses import dataclass
from typing import Any

PROMETHEUS_UID = "linewatch-prometheus"
# Not the dashboards' folder: that one is made with a fixed uid, which rules cannot ask for.
RULES_FOLDER = "linewatch alerts"
_EXPRESSION = "__expr__"
_LOOK_BACK_S = 600


@dataclass(frozen=True)
class Rule:
    """Fires when the newest value of `expr` has been above `above` for `lasting`.

    One alert instance per series of `expr`. `when_no_data` is Grafana's noDataState.
    """

    uid: str
    title: str
    expr: str
    above: float
    lasting: str
    severity: str
    summary: str
    description: str
    when_no_data: str = "OK"


RULES = (
    Rule(
        uid="linewatch-camera-down",
        title="Camera down",
        expr="1 - linewatch_camera_up",
        above=0.5,
        lasting="1m",
        severity="warning",
        summary="Camera {{ $labels.camera }} is down",
        description="No connection to the camera. Check its power, network and address.",
    ),
    Rule(
        uid="linewatch-camera-stale",
        title="Camera stale",
        expr="(time() - linewatch_last_frame_timestamp_seconds) and on (instance, camera) linewatch_camera_up == 1",
        above=60,
        lasting="1m",
        severity="warning",
        summary="Camera {{ $labels.camera }} sends no new frames",
        description="It counts as up, but its newest frame is over a minute old: a frozen "
        "picture, a producer at rest, or a clock that is wrong.",
    ),
    Rule(
        uid="linewatch-camera-trouble",
        title="Camera in trouble",
        expr="linewatch_camera_trouble",
        above=0.5,
        lasting="1m",
        severity="warning",
        summary="Camera {{ $labels.camera }}: {{ $labels.condition }}",
        description="The camera itself is not as it should be, so its alerts about parts are "
        "held back. docs/camera-health.md says what each condition means and what to do.",
    ),
    Rule(
        uid="linewatch-kafka-lag",
        title="Kafka lag high",
        expr="max by (topic, partition) (linewatch_kafka_lag)",
        above=1000,
        lasting="5m",
        severity="warning",
        summary="{{ $labels.topic }}/{{ $labels.partition }} is far behind",
        description="Frames arrive faster than they are scored, so alerts come late. Fewer "
        "frames per second, larger batches or a GPU help.",
    ),
    Rule(
        uid="linewatch-outbox-stuck",
        title="Outbox stuck",
        expr="max(linewatch_outbox_oldest_seconds)",
        above=300,
        lasting="1m",
        severity="critical",
        summary="Alerts wait in the outbox",
        description="The oldest has waited for minutes: a channel does not take its messages, or "
        "nothing delivers. The panel What waits, by channel shows which.",
    ),
    Rule(
        uid="linewatch-dead-letters",
        title="Alerts not delivered",
        expr="max by (channel) (linewatch_dead_letters)",
        above=0,
        lasting="1m",
        severity="warning",
        summary="Channel {{ $labels.channel }} refused messages",
        description="They are kept: `linewatch dead-letters list` says why each was refused, and "
        "sends them again when the cause is mended.",
    ),
    Rule(
        uid="linewatch-worker-gone",
        title="Worker gone",
        expr='1 - up{job="linewatch"}',
        above=0.5,
        lasting="1m",
        severity="critical",
        summary="linewatch {{ $labels.instance }} cannot be reached",
        description="Prometheus cannot scrape it: nothing watches its cameras, or the token "
        "that Prometheus sends is wrong.",
        when_no_data="Alerting",
    ),
    Rule(
        uid="linewatch-frames-failing",
        title="Frames failing",
        expr="sum by (camera) (rate(linewatch_frames_failed_total[5m]))"
        " / sum by (camera) (rate(linewatch_frames_captured_total[5m]) > 0)",
        above=0.01,
        lasting="5m",
        severity="warning",
        summary="Frames of camera {{ $labels.camera }} fail",
        description="Over 1 % of the frames cannot be decoded or scored. The panel Lost frames "
        "by reason and the dead-letter topic tell why.",
    ),
    Rule(
        uid="linewatch-configuration-refused",
        title="Configuration refused",
        expr="1 - linewatch_config_last_reload_successful",
        above=0.5,
        lasting="1m",
        severity="warning",
        summary="linewatch {{ $labels.instance }} refused its changed configuration",
        description="The last good one serves on. The page and the log name file, line and key.",
    ),
)


def alert_rules() -> dict[str, Any]:
    """The content of a file under Grafana's provisioning/alerting/."""
    return {
        "apiVersion": 1,
        "groups": [
            {
                "orgId": 1,
                "name": "linewatch",
                "folder": RULES_FOLDER,
                "interval": "30s",
                "rules": [_provisioned(rule) for rule in RULES],
            }
        ],
    }


def _provisioned(rule: Rule) -> dict[str, Any]:
    return {
        "uid": rule.uid,
        "title": rule.title,
        "condition": "C",
        "data": [
            _step("A", PROMETHEUS_UID, {"expr": rule.expr, "instant": True, "range": False}),
            _step("B", _EXPRESSION, {"type": "reduce", "expression": "A", "reducer": "last"}),
            _step(
                "C",
                _EXPRESSION,
                {
                    "type": "threshold",
                    "expression": "B",
                    "conditions": [{"evaluator": {"type": "gt", "params": [rule.above]}}],
                },
            ),
        ],
        "noDataState": rule.when_no_data,
        "execErrState": "Error",
        "for": rule.lasting,
        "labels": {"severity": rule.severity, "service": "linewatch"},
        "annotations": {"summary": rule.summary, "description": rule.description},
        "isPaused": False,
    }


def _step(ref_id: str, datasource_uid: str, model: dict[str, Any]) -> dict[str, Any]:
    kind = _EXPRESSION if datasource_uid == _EXPRESSION else "prometheus"
    return {
        "refId": ref_id,
        "datasourceUid": datasource_uid,
        "relativeTimeRange": {"from": _LOOK_BACK_S, "to": 0},
        "model": {
            "refId": ref_id,
            "datasource": {"type": kind, "uid": datasource_uid},
            **model,
        },
    }
