"""The settings of the cameras' own health: what is watched, from when on it counts, and what differs per camera."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import structlog
from numpy.typing import NDArray
from pydantic import Field, PrivateAttr, ValidationError, field_validator, model_validator

from monitor.judging.health import Condition, HealthRules
from monitor.scoring.sight import reduced
from monitor.section import Section
from streams.camera_id import checked_camera

log = structlog.get_logger(__name__)


def _anchor(file: Path) -> NDArray[np.uint8]:
    """The reduced picture of a file. ValueError where it cannot be read."""
    try:
        pixels = cv2.imdecode(np.frombuffer(file.expanduser().read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    except (OSError, cv2.error):
        pixels = None
    if pixels is None:
        raise ValueError(f"cannot read a picture from {file}: expected a JPEG or PNG of the camera in its place")
    return reduced(np.asarray(pixels, np.uint8))


def _readable(file: Path) -> Path:
    _anchor(file)
    return file


class HealthLimits(Section):
    """What one camera's health is held against."""

    ignore: tuple[Condition, ...] = Field(
        (), description="Conditions not watched: offline, frozen, dark, bright, blurred, covered, moved, relit."
    )
    offline_after_s: float = Field(
        15.0, gt=0, description="Offline after so long without a frame. Longer than the usual time between frames."
    )
    online_after_s: float = Field(2.0, gt=0, description="Online again when frames have come over so long a time.")
    frozen_after_s: float = Field(10.0, gt=0, description="Frozen after so long of pictures equal to the last bit.")
    after_s: float = Field(
        2.0,
        ge=0,
        le=3600,
        description="Every other condition counts once seen for so long. Until then, and no longer, its suspicion "
        "holds anomaly alerts back.",
    )
    clear_after_s: float = Field(3.0, ge=0, le=3600, description="And it ends once not seen for so long.")
    learn_s: float = Field(
        20.0,
        gt=0,
        le=86_400,
        description="The reference is learnt from 40 pictures over so long a time: some parts' worth.",
    )
    dark_above: float = Field(0.75, gt=0, le=1, description="Dark: so much of the picture is black.")
    bright_above: float = Field(0.6, gt=0, le=1, description="Bright: so much of the picture is burnt out.")
    blurred_below: float = Field(0.45, gt=0, lt=1, description="Blurred: edges as sharp as this share of the usual.")
    covered_above: float = Field(
        0.35, gt=0, le=1, description="Covered: so much of the picture shows what never was there."
    )
    moved_above: float = Field(
        0.02, gt=0, lt=0.1, description="Moved: what stands still has shifted by this share of the picture's width."
    )
    relit_above: float = Field(
        0.12, gt=0, le=10, description="Relit: the light of the whole picture changed by this share, up or down."
    )
    reference: Path | None = Field(
        None, description="A picture of the camera in its place, for `moved`; else its first pictures are that."
    )
    relearn_after_s: float = Field(
        3600.0,
        ge=0,
        description="A camera moved or relit for so long, with nothing else wrong, is learnt anew and watched again; 0 "
        "waits for somebody to accept it.",
    )

    @field_validator("reference")
    @classmethod
    def _picture(cls, value: Path | None) -> Path | None:
        return None if value is None else _readable(value)

    def limits(self) -> HealthRules:
        """The same for the judging."""
        kept = {name: getattr(self, name) for name in HealthLimits.model_fields if name not in ("ignore", "reference")}
        anchor = None
        if self.reference is not None:
            try:
                anchor = _anchor(self.reference)
            except ValueError as error:
                log.warning("camera_reference_unreadable", error=str(error))
        return HealthRules(watch=frozenset(Condition) - frozenset(self.ignore), anchor=anchor, **kept)


class CameraHealth(HealthLimits):
    """Trouble of the cameras themselves, apart from the parts: told as events of its own, and while it holds, anomaly
    alerts of that camera are held back."""

    enabled: bool = Field(True, description="Whether the cameras' own health is watched at all.")
    cameras: dict[str, dict[str, Any]] = Field(
        {}, description="What differs for a camera, by its id: the keys above, but for `enabled`."
    )
    _each: dict[str, HealthLimits] = PrivateAttr(default_factory=dict)

    @field_validator("cameras")
    @classmethod
    def _known_keys(cls, value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        known = tuple(HealthLimits.model_fields)
        for camera, limits in value.items():
            checked_camera(camera)
            if unknown := sorted(set(limits) - set(known)):
                raise ValueError(f"{camera}: unknown key {', '.join(unknown)}; expected {', '.join(known)}")
        return value

    @model_validator(mode="after")
    def _every_camera(self) -> CameraHealth:
        for camera in self.cameras:
            try:
                self._each[camera] = self._of(camera)
            except ValidationError as error:
                first = error.errors()[0]
                key = ".".join(str(part) for part in first["loc"])
                found = str(first["msg"]).removeprefix("Value error, ")
                raise ValueError(f"cameras.{camera}.{key}: {found}, found {first['input']!r}") from None
        return self

    def rules(self, camera: str) -> HealthRules:
        """The limits for this camera: those of all, and what differs for it.

        A reference picture that has gone since the settings were read is left out, and the log says so: the camera is
        watched without it.
        """
        return self._each.get(camera, self).limits()

    def _of(self, camera: str) -> HealthLimits:
        common: Mapping[str, Any] = {name: getattr(self, name) for name in HealthLimits.model_fields}
        return HealthLimits.model_validate({**common, **self.cameras.get(camera, {})})
