"""The settings of the line: what differs from camera to camera, what is made when, and when nobody is to be called."""

from __future__ import annotations

import re
import zoneinfo
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from monitor.alert_settings import Threshold
from monitor.scoring.region import Region, check_region
from monitor.section import Section
from monitor.shown import shown

Point = tuple[Annotated[float, Field(ge=0, le=1)], Annotated[float, Field(ge=0, le=1)]]
Polygon = Annotated[tuple[Point, ...], Field(min_length=3, max_length=200)]
"""Corners as shares of the picture's width and height, from the top left."""

Pattern = Annotated[str, StringConstraints(min_length=1, max_length=128)]
"""A camera id, or a pattern of them with * and ?."""

Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,63}$")]
"""Of lines and tags: no spaces, for it becomes part of topics and addresses."""

Product = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,128}$")]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def _time(value: Any) -> Any:
    if not isinstance(value, str) or not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value.strip(), re.ASCII):
        raise ValueError(f'expected a time of day from "00:00" to "23:59", found {shown(value)}')
    return value


TimeOfDay = Annotated[str, BeforeValidator(_time)]


def _zone(name: str) -> str:
    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        raise ValueError(f"no time zone {shown(name)}; expected one like Europe/Berlin or UTC") from None
    return name


TimeZone = Annotated[str, AfterValidator(_zone)]


class CameraRules(Section):
    """What holds for some cameras alone. Where several entries match a camera, the first one that says something wins,
    key by key."""

    match: Pattern = Field(description="The camera's id, or a pattern with * and ?.")
    region: tuple[Polygon, ...] = Field(
        (), description="Polygons of [x, y] in shares of the picture (0 to 1); only what lies inside one counts."
    )
    masks: tuple[Polygon, ...] = Field((), description="Polygons, likewise; what lies inside one does not count.")
    line: Label | None = Field(None, description="The line that these cameras watch; subscriptions may name it.")
    tags: tuple[Label, ...] = Field((), max_length=50, description="Words by which subscriptions may name them.")
    threshold: Threshold | None = Field(None, description="As alerts.threshold, for these cameras.")
    max_false_alarms_per_day: float | None = Field(
        None, gt=0, le=86_400, description="As alerts.max_false_alarms_per_day, for these cameras."
    )

    @model_validator(mode="after")
    def _leaves_something(self) -> CameraRules:
        check_region(Region(self.region, self.masks), self.match)
        return self


class Weekly(Section):
    """Hours of the week, in a time zone."""

    cameras: tuple[Pattern, ...] = Field(("*",), min_length=1, description="Camera ids, or patterns with * and ?.")
    days: tuple[Day, ...] = Field(
        ("mon", "tue", "wed", "thu", "fri", "sat", "sun"), min_length=1, description="Days on which it begins."
    )
    start: TimeOfDay = Field(description='When it begins, like "06:00".')
    end: TimeOfDay = Field(description="When it ends; where that is not after the start, on the next day.")
    timezone: TimeZone = Field("UTC", description="Of start and end, like Europe/Berlin.")


class Maintenance(Weekly):
    """Hours in which cameras raise no anomaly alerts and learn nothing."""

    why: str = Field("maintenance", min_length=1, max_length=200, description="Shown on the page.")


class ProductPlan(Weekly):
    """What a line makes when. A header on the frames goes before it, and so does what somebody has set by hand."""

    product: Product = Field(description="The product that these cameras see in these hours.")
