"""Every setting, once: one frozen tree with a description for each field. Nothing else reads the environment.

The values come from a YAML file and from environment variables `LINEWATCH_<SECTION>__<KEY>`;
`monitor.settings_file` reads both and names file, line and key where something is wrong.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from monitor.alert_settings import Alerts
from monitor.channel_settings import ChannelSettings, Delivery, Grafana
from monitor.evidence_settings import Evidence
from monitor.health_settings import CameraHealth
from monitor.http_settings import Http
from monitor.inputs import Input, KafkaSecurity, each_camera_once
from monitor.line_settings import CameraRules, Maintenance, ProductPlan
from monitor.section import Section, Servers
from monitor.subscription_settings import Subscription, check_subscriptions


class Model(Section):
    """The network that scores frames."""

    checkpoint: Path = Field(description="The model.safetensors that `linewatch train` wrote.")
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:[0-9]{1,3})?)$",
        description="Where it runs: auto, cpu, cuda or cuda:N; auto takes a GPU if one is there.",
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto",
        description="Of the network's arithmetic. auto: bf16 where the processor or GPU has units for it, else fp32. "
        "bf16 is three to five times as fast there and moves scores by some tenths of a percent (docs/performance.md).",
    )
    threads: int = Field(
        0, ge=0, le=256, description="Processor threads of the network, each with batches of its own; 0 takes all."
    )


class Redis(Section):
    """Where windows, alerts and the outbox are kept. Redis 7 or Valkey."""

    url: SecretStr = Field(SecretStr("redis://localhost:6379/0"), description="redis://user:password@host:port/db")
    prefix: str = Field("linewatch", pattern=r"^[A-Za-z0-9_.:-]{1,64}$", description="First part of every key.")
    timeout_s: float = Field(2.0, ge=1, le=60, description="How long one answer may take.")
    cluster: bool = Field(False, description="Whether this is a Redis Cluster. All keys but the windows share a slot.")
    shards: int = Field(
        1,
        ge=1,
        le=256,
        description="The windows are spread over so many hash slots, each asked in a call of its own: 1 up to about "
        "200 cameras, more on a cluster.",
    )

    @field_validator("url")
    @classmethod
    def _address(cls, value: SecretStr) -> SecretStr:
        try:
            parts = urlsplit(value.get_secret_value())
            good = parts.scheme in {"redis", "rediss", "unix"} and parts.port != 0
        except ValueError:
            good = False
        if not good:
            raise ValueError(
                "expected redis://host:port/db (rediss:// for TLS); a password's / and @ are written %2F and %40"
            )
        return value


class Batching(Section):
    """How frames are gathered for the network."""

    max_size: int = Field(64, ge=1, le=4096, description="Frames in a batch at most.")
    max_wait_ms: float = Field(10, ge=0, le=10_000, description="How long the oldest frame of a batch waits.")
    decode_threads: int = Field(0, ge=0, le=64, description="Threads that decode; 0 takes one a core, four at most.")
    reduced_decoding: bool = Field(
        True,
        description="Decode JPEG pictures at a half, a quarter or an eighth of their sides where neither the network "
        "nor the camera's health needs more (docs/performance.md tells what that does to scores).",
    )
    live_frames: int = Field(4, ge=1, le=1000, description="Waiting frames kept per live camera; the newest win.")


class Window(Section):
    """The rolling window of each camera's scores."""

    max_frames: int = Field(2000, ge=2, le=1_000_000, description="The last N frames.")
    max_age_s: float = Field(3600, gt=0, le=31_536_000, description="And none older than this.")
    mode: Literal["minmax", "quantile", "frozen"] = Field(
        "minmax",
        description="The range that scores are normalised by. minmax: the paper's, from the least to the greatest "
        "score of the window; quantile: the recommended, which one odd frame does not move (docs/thresholds.md); "
        "frozen: that of the checkpoint's calibration, for ever.",
    )
    warm_up_frames: int = Field(
        100, ge=2, description="So many frames make a window ready; before that the checkpoint's calibration serves."
    )
    relearn_after_frames: int = Field(
        2000,
        ge=1,
        description="Anomalous frames stay out of the window; where so many more of them came than normal ones, they "
        "are the new normal. From a quarter of it on the camera counts as drifting.",
    )
    keep_days: float = Field(
        30, gt=0, le=3650, description="So long the baseline of a camera or product is kept that nothing is added to."
    )

    @model_validator(mode="after")
    def _can_get_ready(self) -> Window:
        if self.warm_up_frames > self.max_frames:
            if "warm_up_frames" in self.model_fields_set:
                raise ValueError(
                    f"warm_up_frames ({self.warm_up_frames}) is more than max_frames ({self.max_frames}): "
                    "the window could never be ready"
                )
            object.__setattr__(self, "warm_up_frames", self.max_frames)
        return self


class Publish(Section):
    """Scores and alerts on Kafka."""

    bootstrap_servers: Servers = Field(description="host:port, several parted by commas.")
    scores_topic: str = Field("scores", min_length=1, description="One JSON a frame.")
    alerts_topic: str = Field("alerts", min_length=1, description="CloudEvents, keyed by camera.")
    security: KafkaSecurity = KafkaSecurity()


class Recording(Section):
    """Every score as a line of JSON, for `linewatch replay`."""

    dir: Path = Field(description="The folder; a file a day, `scores-2026-05-31.jsonl`.")
    keep_days: float = Field(14, gt=0, le=3650, description="Older files are deleted.")


class Limits(Section):
    """What bad input may cost."""

    max_pixels: int = Field(50_000_000, ge=4096, description="Pictures that claim more are refused undecoded.")
    queue_bytes: int = Field(256 << 20, ge=1 << 20, description="Frames waiting for the network, in memory.")


class Settings(Section):
    """The whole configuration."""

    model: Model
    sources: tuple[Input, ...] = Field(min_length=1, description="One or more of kafka, rtsp, usb, files.")
    redis: Redis = Redis()
    batching: Batching = Batching()
    window: Window = Window()
    alerts: Alerts = Alerts()
    health: CameraHealth = CameraHealth()
    cameras: tuple[CameraRules, ...] = Field((), description="What holds for some cameras alone.")
    products: tuple[ProductPlan, ...] = Field((), description="What the line makes when.")
    maintenance: tuple[Maintenance, ...] = Field((), description="When nobody is to be called.")
    channels: tuple[ChannelSettings, ...] = Field((), max_length=200, description="Where messages go.")
    subscriptions: tuple[Subscription, ...] = Field((), max_length=1000, description="Who is told what, and when.")
    delivery: Delivery = Delivery()
    publish: Publish | None = None
    grafana: Grafana | None = None
    http: Http = Http()
    evidence: Evidence = Evidence()
    recording: Recording | None = None
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _cameras_once(self) -> Settings:
        each_camera_once(self.sources)
        return self

    @model_validator(mode="after")
    def _subscriptions_fit(self) -> Settings:
        names = [channel.name for channel in self.channels]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"channels: two are called {twice[0]}; names must differ")
        check_subscriptions(self.subscriptions, frozenset(names))
        return self
