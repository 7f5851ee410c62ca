"""The settings of the pictures and clips of alerts."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from monitor.section import Section


class Clip(Section):
    """The frames shortly before and after, as a film."""

    enabled: bool = Field(True, description="Whether clips are made.")
    before_s: float = Field(3, ge=0, le=60, description="So much before the frame that triggered.")
    after_s: float = Field(3, ge=0, le=60, description="And so much after it.")
    fps: float = Field(5, gt=0, le=30, description="So many frames a second at most are kept for it.")
    width: int = Field(640, ge=64, le=3840, description="Wider pictures are made so wide, in pixels.")
    memory_bytes: int = Field(
        128 << 20, ge=1 << 20, description="What the frames before may take in memory, over all cameras."
    )


class S3(Section):
    """Storage that speaks S3."""

    bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", description="It must be there already.")
    prefix: str = Field("linewatch", max_length=200, description="First part of every object's name.")
    endpoint_url: str | None = Field(None, pattern=r"^https?://", description="Where it is; none means Amazon's.")
    region: str | None = Field(None, description="As the storage wants it.")
    access_key_id: str | None = Field(None, description="None: as boto3 finds it (environment, instance role).")
    secret_access_key: SecretStr | None = Field(None, description="Better given as secret_access_key_file.")


class Evidence(Section):
    """Pictures and clips of alerts."""

    dir: Path = Field(Path("evidence"), description="The folder. With s3, where they lie until they are there.")
    keep_days: float = Field(30, gt=0, description="Older ones are deleted, in the folder and from s3.")
    max_bytes: int = Field(
        20 << 30, ge=1 << 20, description="What the folder may take; where it is more, the oldest ones go first."
    )
    clip: Clip = Clip()
    s3: S3 | None = Field(None, description="Keep them there rather than in the folder.")
