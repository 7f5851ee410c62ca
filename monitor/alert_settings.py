"""The settings of when an anomaly becomes an alert."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from monitor.section import Section


def _share(value: Literal["auto"] | float) -> Literal["auto"] | float:
    if value != "auto" and not 0 < value <= 1:
        raise ValueError(f"a threshold on the normalised score lies in (0, 1], not {value}")
    return value


Threshold = Annotated[Literal["auto"] | float, AfterValidator(_share)]
"""auto, or a number on the normalised score."""


class FireAfter(Section):
    """On-delay: so many anomalous frames of the last so many, and for so long."""

    frames: int = Field(3, ge=1, le=1000, description="Anomalous frames that start an episode ...")
    of: int = Field(5, ge=1, le=1000, description="... among so many in a row ...")
    seconds: float = Field(0, ge=0, le=3600, description="... once that has been so without a break for so long.")

    @model_validator(mode="after")
    def _possible(self) -> FireAfter:
        if self.of < self.frames:
            raise ValueError(f"{self.frames} anomalous frames cannot be among {self.of}")
        return self


class ResolveAfter(Section):
    """Off-delay."""

    frames: int = Field(10, ge=1, le=100_000, description="So many normal frames in a row end an episode ...")
    seconds: float = Field(0, ge=0, le=86_400, description="... once they span so long a time.")
    below: float = Field(
        0.9,
        gt=0,
        le=1,
        description="To end an episode a frame must be below this share of the way from the range's low end to the "
        "threshold, so that scores on the threshold do not flicker.",
    )


class Storm(Section):
    """What an alarm flood is, and from when on it is held back."""

    max_alerts: int = Field(
        20, ge=1, le=100_000, description="More episodes than so many, over all cameras, ... (the rest is held back)"
    )
    within_s: float = Field(60, gt=0, le=86_400, description="... within so long a time are a storm.")


class Alerts(Section):
    """When an anomaly becomes an alert."""

    threshold: Threshold = Field(
        "auto", description="auto: from max_false_alarms_per_day; a number: on the normalised score."
    )
    max_false_alarms_per_day: float = Field(
        3,
        gt=0,
        le=86_400,
        description="With auto: so many alerts a day, and no more, are to be expected of a camera that sees good parts "
        "only (docs/thresholds.md). 3 a day is one in eight hours.",
    )
    method: Literal["spot", "dspot", "conformal"] = Field(
        "spot",
        description="How auto finds the threshold: spot extrapolates the tail of the scores, dspot the same around a "
        "moving mean, conformal counts and never extrapolates, which needs far more frames.",
    )
    critical_at: float = Field(
        2.0,
        gt=1,
        le=1000,
        description="An episode is critical where its peak lies so many times as far above the range's low end as the "
        "threshold does.",
    )
    fire_after: FireAfter = FireAfter()
    resolve_after: ResolveAfter = ResolveAfter()
    cooldown_s: float = Field(30, ge=0, description="After an episode, no new one of that camera starts for so long.")
    storm: Storm = Storm()
