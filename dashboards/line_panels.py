"""The sections of the dashboard "linewatch: line", from the state of the line to the way out."""

from dashboards.baseline_panels import baselines
from dashboards.latency import latency, quantile
from dashboards.panels import (
    GridLine,
    Query,
    Section,
    html,
    stat,
    state_timeline,
    timeseries,
)

_CAMERA = '{camera=~"$camera"}'
_ONE_CAMERA = '{camera="$camera"}'
_RATE = "$__rate_interval"
# A counter whose labels were never used has no series; the sum over it is then nothing, not 0.
_OR_NONE = "or vector(0)"
_BARS = {"drawStyle": "bars", "fillOpacity": 80}
_NONE_IS_GOOD: list[tuple[float | None, str]] = [(None, "green"), (1, "red")]
_SOME_IS_GOOD: list[tuple[float | None, str]] = [(None, "red"), (1, "green")]


def sections() -> list[Section]:
    return [_overview(), _pictures(), _scores(), baselines(), _frames(), _pipeline()]


def _overview() -> Section:
    numbers = [
        stat(
            "Cameras up",
            "Selected cameras that deliver frames now.",
            Query(f"sum(linewatch_camera_up{_CAMERA})", "up", instant=True),
            _SOME_IS_GOOD,
        ),
        stat(
            "Cameras down",
            "Selected cameras that deliver nothing now.",
            Query(f"count(linewatch_camera_up{_CAMERA} == 0) {_OR_NONE}", "down", instant=True),
            _NONE_IS_GOOD,
        ),
        stat(
            "Open alerts",
            "Alerts that are firing now.",
            Query(f"sum(linewatch_alert_active{_CAMERA})", "open", instant=True),
            _NONE_IS_GOOD,
        ),
        stat(
            "Ledger difference",
            "Frames captured less scored, dropped and failed: frames under way. "
            "It is 0 when the cameras rest; a number that stays is a lost frame.",
            Query(
                f"sum(linewatch_frames_captured_total{_CAMERA})"
                + "".join(
                    f" - (sum(linewatch_frames_{outcome}_total{_CAMERA}) {_OR_NONE})"
                    for outcome in ("scored", "dropped", "failed")
                ),
                "under way",
                instant=True,
            ),
            [(None, "blue")],
        ),
        stat(
            "Outbox",
            "Messages written and not yet delivered.",
            Query("sum(linewatch_outbox_depth)", "waiting", instant=True),
            [(None, "green"), (10, "orange"), (100, "red")],
        ),
        stat(
            "Workers",
            "linewatch processes that Prometheus reaches.",
            Query("count(linewatch_build_info)", "workers", instant=True),
            _SOME_IS_GOOD,
        ),
    ]
    alerts = timeseries(
        "Alerts",
        "Alerts raised, by camera and severity.",
        "short",
        [
            Query(
                f"sum by (camera, severity) (increase(linewatch_alerts_total{_CAMERA}[{_RATE}]))",
                "{{camera}} {{severity}}",
            )
        ],
        custom=_BARS,
        minimum=0,
    )
    states = state_timeline(
        "Camera state",
        "When each camera delivered frames.",
        Query(f"linewatch_camera_up{_CAMERA}", "{{camera}}"),
        {
            "0": {"text": "down", "color": "red", "index": 0},
            "1": {"text": "up", "color": "green", "index": 1},
        },
    )
    troubles = state_timeline(
        "Camera trouble",
        "What was wrong with the cameras themselves: covered, dark, moved, ... Alerts about parts are held back then.",
        Query(f"linewatch_camera_trouble{_CAMERA} == 1", "{{camera}} {{condition}}"),
        {"1": {"text": "trouble", "color": "orange", "index": 0}},
    )
    held_back = timeseries(
        "Alerts held back",
        "Alerts about parts that did not go out, by reason: cool-down, trouble of the camera, maintenance, storm.",
        "short",
        [
            Query(
                f"sum by (camera, reason) (increase(linewatch_alerts_held_back_total{_CAMERA}[{_RATE}]))",
                "{{camera}} {{reason}}",
            )
        ],
        custom=_BARS,
        minimum=0,
    )
    return Section("Line", [GridLine(4, numbers), GridLine(7, [alerts, states]), GridLine(6, [troubles, held_back])])


def _pictures() -> Section:
    address = "${base_url}/api/cameras/${camera:percentencode}/latest.jpg?t=${__to}"
    picture = html(
        "$camera",
        "The camera's newest picture. The variable 'Pictures from' says where the browser finds it.",
        f'<img src="{address}" alt="no picture of $camera" style="width:100%;height:100%;object-fit:contain">',
        repeat="camera",
    )
    return Section("Newest pictures", [GridLine(9, [picture])])


def _scores() -> Section:
    normalised = timeseries(
        "Score against threshold: $camera",
        "Anomaly score normalised to 0..1 against the camera's rolling window; "
        "at or above the threshold for long enough it is an alert.",
        "percentunit",
        [
            Query(f"linewatch_anomaly_score{_ONE_CAMERA}", "score"),
            Query(f"linewatch_threshold{_ONE_CAMERA}", "threshold"),
        ],
        colours={"score": "blue", "threshold": "red"},
        minimum=0,
        maximum=1,
        repeat="camera",
    )
    raw = timeseries(
        "Raw score and window: $camera",
        "The model's own score, the range of the camera's rolling window, and the limit above which it is anomalous.",
        "short",
        [
            Query(f"linewatch_anomaly_score_raw{_ONE_CAMERA}", "raw"),
            Query(f"linewatch_score_low{_ONE_CAMERA}", "low"),
            Query(f"linewatch_score_high{_ONE_CAMERA}", "high"),
            Query(f"linewatch_score_limit{_ONE_CAMERA}", "limit"),
        ],
        colours={"raw": "blue", "low": "green", "high": "orange", "limit": "red"},
        repeat="camera",
    )
    return Section("Scores", [GridLine(8, [normalised]), GridLine(8, [raw])])


def _frames() -> Section:
    flow = timeseries(
        "Frames per second",
        "Where the frames of the selected cameras went.",
        "reqps",
        [
            Query(f"sum(rate(linewatch_frames_{outcome}_total{_CAMERA}[{_RATE}]))", outcome)
            for outcome in ("captured", "scored", "dropped", "failed")
        ],
        colours={"dropped": "orange", "failed": "red"},
        minimum=0,
    )
    lost = timeseries(
        "Lost frames by reason",
        "Frames dropped or failed per second, by camera and reason.",
        "reqps",
        [
            Query(
                f"sum by (camera, reason) (rate(linewatch_frames_{outcome}_total{_CAMERA}[{_RATE}]))",
                f"{outcome}: {{{{camera}}}} {{{{reason}}}}",
            )
            for outcome in ("dropped", "failed")
        ],
        minimum=0,
    )
    age = timeseries(
        "Age of the newest frame",
        "Seconds since each camera's newest frame was captured.",
        "s",
        [Query(f"time() - linewatch_last_frame_timestamp_seconds{_CAMERA}", "{{camera}}")],
        minimum=0,
    )
    return Section("Frames", [GridLine(8, [flow, lost, age])])


def _pipeline() -> Section:
    stages = timeseries(
        "Stages, p95",
        "How long each stage takes for a batch or frame.",
        "s",
        [
            Query(
                "histogram_quantile(0.95, sum by (le, stage) "
                f"(rate(linewatch_stage_duration_seconds_bucket[{_RATE}])))",
                "{{stage}}",
            )
        ],
        minimum=0,
    )
    batches = timeseries(
        "Batch size",
        "Frames in a batch: mean and p95.",
        "short",
        [
            Query(
                f"sum(rate(linewatch_batch_size_sum[{_RATE}])) / sum(rate(linewatch_batch_size_count[{_RATE}]))",
                "mean",
            ),
            quantile("linewatch_batch_size", 0.95, "p95"),
        ],
        minimum=0,
    )
    lag = timeseries(
        "Kafka lag",
        "Frames on Kafka that linewatch has not read yet.",
        "short",
        [Query("max by (topic, partition) (linewatch_kafka_lag)", "{{topic}}/{{partition}}")],
        minimum=0,
    )
    verdict = latency(
        "Capture to verdict",
        "From the capture of a frame to its verdict.",
        "linewatch_capture_to_verdict_seconds",
    )
    alert = latency(
        "Capture to alert",
        "From the capture of the frame that fired to the alert in the outbox.",
        "linewatch_capture_to_alert_seconds",
    )
    return Section("Pipeline", [GridLine(8, [verdict, alert, stages]), GridLine(8, [batches, lag])])
