"""Every metric of the service, declared here and nowhere else. The contract is in docs/metrics.md.

`camera` is a bounded label; nothing is labelled with an alert, a frame or an address, and no histogram with a camera.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
DELIVERY_BUCKETS_S = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)


class Metrics:
    """The metrics of one running service, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = r = CollectorRegistry()
        camera = ["camera"]
        self.captured = Counter(
            "linewatch_frames_captured_total", "Frames that reached the service.", camera, registry=r
        )
        self.scored = Counter("linewatch_frames_scored_total", "Frames that got a verdict.", camera, registry=r)
        self.dropped = Counter(
            "linewatch_frames_dropped_total", "Frames let go on purpose.", ["camera", "reason"], registry=r
        )
        self.failed = Counter(
            "linewatch_frames_failed_total", "Frames that could not be used.", ["camera", "reason"], registry=r
        )
        self.camera_up = Gauge("linewatch_camera_up", "1 while the camera delivers pictures.", camera, registry=r)
        self.last_frame = Gauge(
            "linewatch_last_frame_timestamp_seconds", "Capture time of the newest scored frame.", camera, registry=r
        )
        self.score = Gauge(
            "linewatch_anomaly_score", "Newest score, normalised to 0..1 in its window.", camera, registry=r
        )
        self.score_raw = Gauge(
            "linewatch_anomaly_score_raw", "Newest score as the network gave it.", camera, registry=r
        )
        self.low = Gauge("linewatch_score_low", "Low end of the window, raw.", camera, registry=r)
        self.high = Gauge("linewatch_score_high", "High end of the window, raw.", camera, registry=r)
        self.threshold = Gauge(
            "linewatch_threshold", "Threshold on the scale of linewatch_anomaly_score.", camera, registry=r
        )
        self.limit = Gauge("linewatch_score_limit", "Threshold on the raw score.", camera, registry=r)
        self.baseline_phase = Gauge(
            "linewatch_baseline_phase",
            "1 for the phase of the camera's baseline: cold, warming, ready, stale or drifting.",
            ["camera", "phase"],
            registry=r,
        )
        self.baseline_frames = Gauge("linewatch_baseline_frames", "Frames in the camera's window.", camera, registry=r)
        self.baseline_refused = Gauge(
            "linewatch_baseline_refused_frames", "Refused frames, counted towards a new normal.", camera, registry=r
        )
        self.relearnt = Counter(
            "linewatch_baselines_relearnt_total", "Baselines that became what was refused before.", camera, registry=r
        )
        self.shelved = Gauge(
            "linewatch_camera_shelved", "1 while the camera is shelved or under maintenance.", camera, registry=r
        )
        self.alerts = Counter("linewatch_alerts_total", "Episodes that began.", ["camera", "severity"], registry=r)
        self.alert_active = Gauge("linewatch_alert_active", "1 while an episode is firing.", camera, registry=r)
        self.held_back = Counter(
            "linewatch_alerts_held_back_total",
            "Episodes kept from beginning, by a cool-down, trouble of the camera, maintenance or a storm.",
            ["camera", "reason"],
            registry=r,
        )
        self.camera_trouble = Gauge(
            "linewatch_camera_trouble",
            "1 while this trouble of the camera holds.",
            ["camera", "condition"],
            registry=r,
        )
        self.camera_troubles = Counter(
            "linewatch_camera_troubles_total", "Troubles that began.", ["camera", "condition"], registry=r
        )
        self.stage = Histogram(
            "linewatch_stage_duration_seconds",
            "Time a batch spends in a stage.",
            ["stage"],
            buckets=LATENCY_BUCKETS_S,
            registry=r,
        )
        self.scorer_chunk = Gauge(
            "linewatch_scorer_chunk", "The most frames in one forward pass; halved where memory runs out.", registry=r
        )
        self.memory_shortages = Gauge(
            "linewatch_scorer_memory_shortages",
            "How often memory of the device ran out since the model was loaded; its batches were made smaller.",
            registry=r,
        )
        self.batch_size = Histogram("linewatch_batch_size", "Frames in a batch.", buckets=BATCH_BUCKETS, registry=r)
        self.to_verdict = Histogram(
            "linewatch_capture_to_verdict_seconds",
            "From a frame's capture to its verdict.",
            buckets=LATENCY_BUCKETS_S,
            registry=r,
        )
        self.to_alert = Histogram(
            "linewatch_capture_to_alert_seconds",
            "From the capture of an alert's frame to its event in the outbox.",
            buckets=LATENCY_BUCKETS_S,
            registry=r,
        )
        self.kafka_lag = Gauge(
            "linewatch_kafka_lag", "Messages behind the last one read.", ["topic", "partition"], registry=r
        )
        self.outbox_depth = Gauge(
            "linewatch_outbox_depth",
            "Events not yet given to channels, and what waits at the channel that is furthest behind.",
            registry=r,
        )
        self.outbox_oldest = Gauge(
            "linewatch_outbox_oldest_seconds", "Age of the oldest of what is not yet delivered.", registry=r
        )
        self.queued = Gauge("linewatch_delivery_queue", "Messages that wait for a channel.", ["channel"], registry=r)
        self.dead_letters = Gauge(
            "linewatch_dead_letters", "Messages that could not be delivered, and are kept.", ["channel"], registry=r
        )
        self.deliveries = Counter(
            "linewatch_deliveries_total",
            "Tries to deliver, by what became of them: delivered, failed (tried again), refused or expired (dead "
            "letters), dropped.",
            ["channel", "outcome"],
            registry=r,
        )
        self.to_delivery = Histogram(
            "linewatch_capture_to_delivery_seconds",
            "From the capture of an alert's frame to the channel's word that it has the alert; of alerts told at once.",
            ["channel"],
            buckets=DELIVERY_BUCKETS_S,
            registry=r,
        )
        self.clips_skipped = Counter("linewatch_clips_skipped_total", "Clips that were not made.", registry=r)
        self._of_a_camera = (
            self.camera_up,
            self.last_frame,
            self.score,
            self.score_raw,
            self.low,
            self.high,
            self.threshold,
            self.alert_active,
            self.limit,
            self.baseline_frames,
            self.baseline_refused,
            self.shelved,
        )
        self.reloads = Counter(
            "linewatch_config_reloads_total",
            "Changed configurations, by what became of them: taken or refused.",
            ["outcome"],
            registry=r,
        )
        self.config_good = Gauge(
            "linewatch_config_last_reload_successful",
            "0 while the last changed configuration was refused and an earlier one serves.",
            registry=r,
        )
        self.config_loaded = Gauge(
            "linewatch_config_loaded_timestamp_seconds", "When the configuration that serves was taken.", registry=r
        )
        self.recording_dropped = Counter(
            "linewatch_recording_dropped_total", "Scores that could not be recorded.", registry=r
        )
        self.build = Gauge(
            "linewatch_build_info", "Always 1; what is running is in the labels.", ["version", "model"], registry=r
        )

    def forget(self, camera: str) -> None:
        """Another worker shows this camera now: the gauges end here, the counters stay."""
        for gauge in self._of_a_camera:
            gauge.remove_by_labels({"camera": camera})
        self.camera_trouble.remove_by_labels({"camera": camera})
        self.baseline_phase.remove_by_labels({"camera": camera})


class IngestMetrics:
    """The metrics of one running `linewatch ingest`, in a registry of its own.

    The names differ from those of the monitor, whose counters must not mix with ours where both are scraped.
    """

    def __init__(self) -> None:
        self.registry = r = CollectorRegistry()
        camera = ["camera"]
        self.captured = Counter(
            "linewatch_ingest_frames_captured_total", "Frames that the cameras delivered.", camera, registry=r
        )
        self.restored = Counter(
            "linewatch_ingest_frames_restored_total",
            "Frames found in the buffer of an earlier run.",
            camera,
            registry=r,
        )
        self.sent = Counter(
            "linewatch_ingest_frames_sent_total", "Frames that the broker acknowledged.", camera, registry=r
        )
        self.dropped = Counter(
            "linewatch_ingest_frames_dropped_total", "Frames let go on purpose.", ["camera", "reason"], registry=r
        )
        self.failed = Counter(
            "linewatch_ingest_frames_failed_total", "Frames that could not be sent.", ["camera", "reason"], registry=r
        )
        self.camera_up = Gauge(
            "linewatch_ingest_camera_up", "1 while the camera delivers pictures.", camera, registry=r
        )
        self.broker_up = Gauge("linewatch_ingest_broker_up", "1 while the broker takes frames.", registry=r)
        self.buffer_frames = Gauge("linewatch_ingest_buffer_frames", "Frames in the buffer on disk.", registry=r)
        self.buffer_bytes = Gauge("linewatch_ingest_buffer_bytes", "What they take there.", registry=r)


def declared_names() -> frozenset[str]:
    """The names of all samples that can be exposed, `_bucket`, `_sum` and `_count` included."""
    names: set[str] = set()
    for metric in vars(Metrics()).values():
        if not isinstance(metric, MetricWrapperBase):
            continue
        (family,) = metric.describe()
        if family.type == "counter":
            names.add(f"{family.name}_total")
        elif family.type == "histogram":
            names |= {f"{family.name}_{part}" for part in ("bucket", "sum", "count")}
        else:
            names.add(family.name)
    return frozenset(names)


DECLARED = declared_names()
