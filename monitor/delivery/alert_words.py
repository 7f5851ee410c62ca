"""What an alert is, as people say it; the page says the same (serving/static/alert_words.js)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from monitor.alerting.alert import ANOMALY, DRIFT, EVERYWHERE, MISSED, STORM
from monitor.delivery.foreign_text import harmless

TROUBLES: Final[Mapping[str, str]] = {
    "offline": "offline",
    "frozen": "frozen",
    "dark": "too dark",
    "bright": "too bright",
    "blurred": "blurred",
    "covered": "covered",
    "moved": "moved",
    "relit": "lit differently",
}
ADVICE: Final[Mapping[str, str]] = {
    ANOMALY: "Look at the part and the picture, then acknowledge.",
    "offline": "Look at the camera's power and network.",
    "frozen": "Restart the camera, or what encodes its pictures.",
    "dark": "Look at the light and the lens.",
    "bright": "Look at the light.",
    "blurred": "Clean the lens, look at its focus.",
    "covered": "Look at what stands before the lens.",
    "moved": "Put the camera back in its place, or accept the new one on the page.",
    "relit": "Look at the light, or accept the new one on the page.",
    DRIFT: "Look at the pictures: if the parts are good, this is a new normal.",
    STORM: "Look at the whole line first: so many alerts often have one cause.",
}
"""By condition: what is worth doing first."""

CAMERA_LENGTH = 64
"""So many characters of a camera's id are shown."""


def camera_words(alert: Mapping[str, Any]) -> str:
    camera = str(alert["camera"])
    return "All cameras" if camera == EVERYWHERE else harmless(camera, CAMERA_LENGTH)


def about_words(alert: Mapping[str, Any]) -> str:
    """What it is about, in a word or two."""
    condition = str(alert.get("condition", ANOMALY))
    others = {ANOMALY: "part anomaly", STORM: "alarm storm", MISSED: "missed defect", DRIFT: "drift"}
    return others.get(condition) or f"camera {TROUBLES.get(condition) or harmless(condition, 40)}"


def measured_words(alert: Mapping[str, Any]) -> str:
    """How high it went against the limit; empty where nothing was measured. Units: docs/camera-health.md."""
    value, limit = float(alert.get("peak_score") or 0), float(alert.get("threshold") or 0)
    of_picture = f"{value:.0%} of the picture, {limit:.0%} allowed"
    match alert.get("condition", ANOMALY):
        case "anomaly":
            factor = f"{value / limit:.2f} × the limit, " if limit > 0 else ""
            return f"{factor}raw {number(value)} against {number(limit)}"
        case "offline":
            return f"no picture for {duration(value)}, {duration(limit)} allowed"
        case "frozen":
            return f"the same picture for {duration(value)}, {duration(limit)} allowed"
        case "dark" | "bright" | "covered":
            return of_picture
        case "blurred":
            return f"{value:.0%} of the usual sharpness, at least {limit:.0%} wanted"
        case "moved":
            return f"{value:.1%} of the picture's width, {limit:.1%} allowed"
        case "relit":
            return f"{value:.2f} × the usual light, {limit:.2f} × is the limit"
        case "drift":
            return f"{value:.0f} frames refused, a new normal after {limit:.0f}"
        case "storm":
            return _storm_words(alert, value, limit)
        case _:
            return ""


def _storm_words(alert: Mapping[str, Any], alerts: float, limit: float) -> str:
    held_back: Mapping[str, int] = alert.get("held_back") or {}
    words = f"{alerts:.0f} alerts at once, {limit:.0f} are told"
    if not held_back:
        return words
    most = sorted(held_back.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{harmless(camera, 32)} {number}" for camera, number in most[:5])
    more = f", and {len(most) - 5} more cameras" if len(most) > 5 else ""
    return f"{words}; held back: {sum(held_back.values())} ({named}{more})"


def number(value: float) -> str:
    """A raw score with three digits that count: 0.0123, 1.23, 123."""
    if value and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.2e}"
    return f"{value:.0f}" if abs(value) >= 100 or not value else f"{value:#.3g}"


def duration(seconds: float) -> str:
    """4 s, 1 min 05 s, 2 h 03 min, 3 d 4 h."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def moment(at_ns: int) -> str:
    """2026-11-24 03:12:07 CET (+01:00): the date, the time, and whose time it is, which is this machine's."""
    local = datetime.fromtimestamp(at_ns / 1e9).astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S} {zone(local)}"


def clock(at_ns: int) -> str:
    """03:12:07, the time of this machine."""
    return f"{datetime.fromtimestamp(at_ns / 1e9).astimezone():%H:%M:%S}"


def zone(local: datetime) -> str:
    name, offset = local.tzname() or "", local.strftime("%z")
    offset = f"{offset[:3]}:{offset[3:5]}"
    if name == "UTC":
        return name
    return f"{name} ({offset})" if name.isalpha() else f"UTC{offset}"  # many zones have no name but their offset
