"""The configuration of `linewatch ingest`: one frozen tree, read by monitor.settings_file as that of the monitor is."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from monitor.inputs import CameraInput, KafkaSecurity, each_camera_once
from monitor.section import Section, Servers, Topic


class KafkaOutput(Section):
    """Where the frames go."""

    bootstrap_servers: Servers = Field(description="host:port, several parted by commas.")
    topic: Topic = Field(description="The topic for the frames, keyed by camera.")
    max_message_bytes: int = Field(
        16 << 20,
        ge=1024,
        le=1 << 30,
        description="Larger pictures fail (`oversized`); above 1 MB the broker's own limit has to be raised, too.",
    )
    security: KafkaSecurity = KafkaSecurity()


class Encode(Section):
    """How pictures are encoded before they are sent."""

    quality: int = Field(90, ge=1, le=100, description="Of the JPEG.")
    max_width: int | None = Field(None, ge=16, le=65_535, description="Wider pictures are reduced, in proportion.")
    max_height: int | None = Field(None, ge=16, le=65_535, description="Likewise higher ones.")
    pass_through: bool = Field(
        True,
        description="Pictures that come encoded (files) go as they are, byte for byte, unless they are too large; "
        "otherwise they are encoded anew.",
    )
    max_pixels: int = Field(50_000_000, ge=4096, description="Pictures that claim more are refused undecoded.")
    threads: int = Field(0, ge=0, le=64, description="Threads that encode; 0 takes one a core, four at most.")


class Buffer(Section):
    """Frames on disk while the broker is away, or slower than the cameras."""

    dir: Path = Field(Path("buffer"), description="The folder; each ingest needs its own.")
    max_bytes: int = Field(
        1 << 30, ge=1 << 16, description="What the frames may take; then the oldest of live cameras are dropped."
    )


class MetricsAddress(Section):
    """Where Prometheus finds the metrics; without this section nothing listens."""

    host: str = Field("127.0.0.1", description="Where to listen. There is no login: whoever gets there may read.")
    port: int = Field(9109, ge=0, le=65_535, description="0 takes a free one.")


class IngestSettings(Section):
    """The whole configuration of an ingest."""

    sources: tuple[CameraInput, ...] = Field(min_length=1, description="One or more of rtsp, usb, files.")
    kafka: KafkaOutput
    encode: Encode = Encode()
    buffer: Buffer = Buffer()
    metrics: MetricsAddress | None = None

    @model_validator(mode="after")
    def _cameras_once(self) -> IngestSettings:
        each_camera_once(self.sources)
        return self
