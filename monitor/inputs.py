"""The settings of everything frames come from: topics, network cameras, USB cameras, files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from monitor.section import CameraId, Section, Servers, Topic


class KafkaSecurity(Section):
    """TLS and SASL, as kafka-python knows them."""

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How to talk to the brokers."
    )
    ca_file: Path | None = Field(
        None, description="The authority that signed the brokers' certificates, PEM; else the system's."
    )
    certificate_file: Path | None = Field(None, description="Our certificate, PEM, where brokers ask for one.")
    key_file: Path | None = Field(None, description="The key of our certificate, PEM.")
    key_password: SecretStr | None = Field(None, description="What the key is locked with.")
    check_hostname: bool = Field(True, description="Whether the certificate must name the broker's host.")
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        None, description="How to log in; needed with SASL_PLAINTEXT and SASL_SSL."
    )
    username: str | None = Field(None, description="Who logs in.")
    password: SecretStr | None = Field(None, description="Their password; better given as password_file.")

    @model_validator(mode="after")
    def _goes_together(self) -> KafkaSecurity:
        login = {"mechanism": self.mechanism, "username": self.username, "password": self.password}
        if self.protocol.startswith("SASL"):
            missing = [name for name, value in login.items() if value is None]
            if missing:
                raise ValueError(f"{self.protocol} needs {', '.join(missing)} as well")
        elif any(value is not None for value in login.values()):
            raise ValueError(f"a login is given, but {self.protocol} has none: use SASL_SSL or SASL_PLAINTEXT")
        tls = (self.ca_file, self.certificate_file, self.key_file)
        if not self.protocol.endswith("SSL") and any(value is not None for value in tls):
            raise ValueError(f"certificates are given, but {self.protocol} uses none: use SSL or SASL_SSL")
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file belong together")
        return self


class KafkaInput(Section):
    """Frames from a topic; the messages name their cameras."""

    bootstrap_servers: Servers = Field(description="host:port, several parted by commas.")
    topic: Topic = Field(description="The topic with the frames.")
    group_id: str = Field("linewatch", min_length=1, description="The consumer group.")
    auto_offset_reset: Literal["earliest", "latest"] = Field(
        "earliest", description="Where a new group starts: earliest misses nothing, latest skips what was there."
    )
    max_message_bytes: int = Field(16 << 20, ge=1024, description="Larger messages go to the dead-letter topic.")
    max_age_ms: int | None = Field(
        None, ge=1, description="Frames captured longer ago are let go and counted (`stale`); without it, none is."
    )
    session_timeout_ms: int = Field(
        10_000, ge=6_000, description="After so long without a word a worker's partitions go to another."
    )
    security: KafkaSecurity = KafkaSecurity()


class RtspInput(Section):
    """One network camera, captured in a process of its own."""

    camera: CameraId = Field(description="The camera's id.")
    url: SecretStr = Field(description="rtsp://user:password@host:port/path; shown nowhere with its password.")
    fps: float | None = Field(None, gt=0, le=1000, description="At most so many frames a second; the rest is let go.")
    open_timeout_s: float = Field(5.0, gt=0, le=60, description="How long a connection may take.")
    read_timeout_s: float = Field(5.0, gt=0, le=60, description="How long a frame may take; then it is reconnected.")
    transport: Literal["tcp", "udp"] = Field("tcp", description="tcp loses nothing on the way; udp where it must be.")
    low_latency: bool = Field(False, description="Ask FFmpeg not to buffer; costs pictures on a bad network.")
    key_frames_only: bool = Field(
        False, description="Decode key frames alone, one a second or so: the cheapest way to a low rate."
    )
    hardware_decoding: Literal["none", "any", "cuda", "vaapi", "d3d11", "mfx"] = Field(
        "none",
        description="Decode on the graphics hardware where FFmpeg can; otherwise in software, and the log says so.",
    )
    reconnect_if_frozen_s: float = Field(
        30.0, ge=0, description="Reconnect after so long of pictures equal to the last bit; 0 never."
    )

    @field_validator("url")
    @classmethod
    def _scheme(cls, value: SecretStr) -> SecretStr:
        """No message holds any of the address, since each part of it can be one of a password."""
        expected = "expected rtsp://host:port/path or rtsps://host:port/path"
        url = value.get_secret_value()
        if not url.startswith(("rtsp://", "rtsps://")):
            raise ValueError(expected)
        authority = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]
        if "@" in url and "@" not in authority:
            raise ValueError(
                "found an @ only after the host; in a password write / as %2F, ? as %3F, # as %23, @ as %40"
            )
        try:
            parts = urlsplit(url)
            host, known = parts.hostname, parts.port != 0
        except ValueError:
            known = False
        if not known:
            raise ValueError(f"{expected}, with a port of 1 to 65535")
        if not host:
            raise ValueError(f"{expected}; found no host")
        return value


class UsbInput(Section):
    """One camera on this machine, by its index, captured in a process of its own."""

    camera: CameraId = Field(description="The camera's id.")
    device: int | str = Field(0, description="Its index, 0 for the first, or on Linux its path such as /dev/video0.")
    fps: float | None = Field(None, gt=0, le=1000, description="At most so many frames a second; the rest is let go.")
    width: int | None = Field(None, ge=16, le=16384, description="Pixels to ask the camera for; else its own choice.")
    height: int | None = Field(None, ge=16, le=16384, description="Likewise.")
    open_timeout_s: float = Field(10.0, gt=0, le=60, description="How long it may take to open.")
    read_timeout_s: float = Field(5.0, gt=0, le=60, description="How long a frame may take; then it is opened anew.")
    reconnect_if_frozen_s: float = Field(
        30.0, ge=0, description="Open it anew after so long of pictures equal to the last bit; 0 never."
    )

    @field_validator("device")
    @classmethod
    def _device(cls, value: int | str) -> int | str:
        if isinstance(value, int) and value < 0:
            raise ValueError("a camera's index is 0 or more")
        if isinstance(value, str) and not value.startswith("/dev/"):
            raise ValueError("expected an index such as 0, or a path such as /dev/video0")
        return value


class FilesInput(Section):
    """Pictures and films on disk, as one camera."""

    camera: CameraId = Field(description="The camera's id.")
    path: str = Field(min_length=1, description="A file, a folder or a pattern such as clips/*.mp4.")
    fps: float | Literal["native"] | None = Field(
        None, description="Frames a second; native: a film's own pace; without it, as fast as possible."
    )
    loop: bool = Field(False, description="Start again at the end; without it the source ends.")
    watch: bool = Field(
        False, description="Wait for new files for ever; each is taken once, when it has been written to its end."
    )
    existing: bool = Field(True, description="With watch: whether files that are there at the start are taken, too.")

    @field_validator("fps")
    @classmethod
    def _pace(cls, value: float | str | None) -> float | str | None:
        if isinstance(value, float) and not 0 < value <= 1000:
            raise ValueError("frames a second lie in (0, 1000]")
        return value

    @model_validator(mode="after")
    def _one_way(self) -> FilesInput:
        if self.loop and self.watch:
            raise ValueError("loop and watch exclude each other: a folder is played again and again, or waited at")
        if not self.existing and not self.watch:
            raise ValueError("existing: false belongs to watch: true")
        return self


class CameraInput(Section):
    """One source of pictures at the edge: exactly one of `rtsp`, `usb` and `files`."""

    rtsp: RtspInput | None = None
    usb: UsbInput | None = None
    files: FilesInput | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> CameraInput:
        kinds = tuple(type(self).model_fields)
        given = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"each source is exactly one of {', '.join(kinds)}; found {' and '.join(given) or 'none'}")
        return self

    @property
    def camera(self) -> str | None:
        """The camera that this source is; None where messages name them."""
        known = self.rtsp or self.usb or self.files
        return known.camera if known is not None else None


class Input(CameraInput):
    """One source: exactly one of `kafka`, `rtsp`, `usb` and `files`."""

    kafka: KafkaInput | None = None


def each_camera_once(sources: tuple[CameraInput, ...]) -> None:
    """Raises ValueError where two sources have the same camera id."""
    named = [entry.camera for entry in sources if entry.camera is not None]
    twice = sorted({camera for camera in named if named.count(camera) > 1})
    if twice:
        raise ValueError(f"sources: two sources have the camera id {', '.join(twice)}")
