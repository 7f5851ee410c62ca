"""Every setting, once: one frozen tree with a description for each field. Nothing else reads the environment.

The values come from a YAML file and from environment variables `LINEWATCH_<SECTION>__<KEY>`;
`monitor.settings_file` reads both and names file, line and key where something is wrong.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from monitor.health_settings import CameraHealth
from monitor.inputs import Input, KafkaSecurity, each_camera_once
from monitor.section import Section, Servers


class Model(Section):
    """The network that scores frames."""

    checkpoint: Path = Field(description="The model.safetensors that `linewatch train` wrote.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where it runs; auto takes a GPU if one is there."
    )
    threads: int = Field(0, ge=0, le=256, description="Processor threads of the network; 0 takes half the cores.")


class Redis(Section):
    """Where windows, alerts and the outbox are kept. Redis 7 or Valkey."""

    url: SecretStr = Field(SecretStr("redis://localhost:6379/0"), description="redis://user:password@host:port/db")
    prefix: str = Field("linewatch", pattern=r"^[A-Za-z0-9_.:-]{1,64}$", description="First part of every key.")
    timeout_s: float = Field(2.0, ge=1, le=60, description="How long one answer may take.")

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
    live_frames: int = Field(4, ge=1, le=1000, description="Waiting frames kept per live camera; the newest win.")


class Window(Section):
    """The rolling window of each camera's scores."""

    max_frames: int = Field(2000, ge=2, le=1_000_000, description="The last N frames.")
    max_age_s: float = Field(3600, gt=0, le=31_536_000, description="And none older than this.")
    mode: Literal["minmax"] = Field("minmax", description="minmax: the paper's normalisation over the window.")
    warm_up_frames: int = Field(
        100, ge=2, description="So many frames make a window ready; before that the checkpoint's calibration serves."
    )
    relearn_after_frames: int = Field(
        2000, ge=1, description="Anomalous frames stay out of the window, but so many in a row are the new normal."
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


class FireAfter(Section):
    """On-delay: so many anomalous frames of the last so many."""

    frames: int = Field(3, ge=1, le=1000, description="Anomalous frames that start an episode ...")
    of: int = Field(5, ge=1, le=1000, description="... among so many in a row.")

    @model_validator(mode="after")
    def _possible(self) -> FireAfter:
        if self.of < self.frames:
            raise ValueError(f"{self.frames} anomalous frames cannot be among {self.of}")
        return self


class ResolveAfter(Section):
    """Off-delay."""

    frames: int = Field(10, ge=1, le=100_000, description="So many normal frames in a row end an episode.")


class Alerts(Section):
    """When an anomaly becomes an alert."""

    threshold: Literal["auto"] | float = Field(
        "auto", description="auto: the checkpoint's calibration and the window; a number: on the normalised score."
    )
    max_false_alarms_per_day: float = Field(
        3, gt=0, description="Accepted, and not used yet: auto takes the calibration and the window alone."
    )
    fire_after: FireAfter = FireAfter()
    resolve_after: ResolveAfter = ResolveAfter()
    cooldown_s: float = Field(30, ge=0, description="After an episode, no new one of that camera starts for so long.")

    @field_validator("threshold")
    @classmethod
    def _in_range(cls, value: str | float) -> str | float:
        if isinstance(value, float) and not 0 < value <= 1:
            raise ValueError(f"a threshold on the normalised score lies in (0, 1], not {value}")
        return value


class Publish(Section):
    """Scores and alerts on Kafka."""

    bootstrap_servers: Servers = Field(description="host:port, several parted by commas.")
    scores_topic: str = Field("scores", min_length=1, description="One JSON a frame.")
    alerts_topic: str = Field("alerts", min_length=1, description="CloudEvents, keyed by camera.")
    security: KafkaSecurity = KafkaSecurity()


class Grafana(Section):
    """Where alerts become annotations and `linewatch dashboards push` goes."""

    url: str = Field(pattern=r"^https?://", description="http(s)://host:port")
    token: SecretStr = Field(description="A service account's token; better given as token_file.")
    timeout_s: float = Field(5.0, gt=0, le=60, description="How long one request may take.")
    library: Literal["auto", "grafana-client", "grafana-api"] = Field("auto", description="Which client library.")


class Http(Section):
    """The page, the API and the metrics."""

    host: str = Field("127.0.0.1", description="Where to listen; anything but loopback needs a token.")
    port: int = Field(8090, ge=0, le=65535, description="0 takes a free one.")
    token: SecretStr | None = Field(None, description="What callers must show, except for /healthz.")
    public_url: str | None = Field(
        None, pattern=r"^https?://", description="How others reach the page; links in alerts begin with it."
    )

    @model_validator(mode="after")
    def _not_open_to_all(self) -> Http:
        if self.token is not None and not self.token.get_secret_value():
            raise ValueError("the token is empty")
        if self.token is None and self.host not in {"127.0.0.1", "localhost", "::1"}:
            raise ValueError(
                f"listening on {self.host} needs http.token or http.token_file; without one only "
                "loopback addresses are served"
            )
        return self


class Evidence(Section):
    """Pictures of alerts on disk."""

    dir: Path = Field(Path("evidence"), description="The folder.")
    keep_days: float = Field(30, gt=0, description="Older pictures are deleted.")


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
    subscriptions: tuple[dict[str, Any], ...] = Field(
        (), max_length=0, description="Not served yet: alerts go to the topic, the page and Grafana."
    )
    publish: Publish | None = None
    grafana: Grafana | None = None
    http: Http = Http()
    evidence: Evidence = Evidence()
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _cameras_once(self) -> Settings:
        each_camera_once(self.sources)
        return self
