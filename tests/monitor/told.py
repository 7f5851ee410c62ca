"""Deliveries to make messages of, and materials that are made up."""

from __future__ import annotations

from typing import Any

from monitor.alerting.alert import Alert, Event
from monitor.delivery.delivery import Delivery, Kind, id_of
from monitor.delivery.materials import Links, PictureKind, Place
from monitor.judging.episodes import Severity

BEGAN_NS = 1_795_489_927 * 10**9  # 2026-11-24 03:12:07 UTC
JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000") + bytes(range(256)) * 4 + bytes.fromhex("ffd9")
FILES: dict[PictureKind, bytes] = {"picture": JPEG, "heatmap": JPEG[::-1], "clip": b"\0\0\0\x18ftypmp42" + JPEG}


class MadeUp:
    """Implements Materials."""

    def __init__(self, files: dict[PictureKind, bytes] | None = None, line: str | None = "north") -> None:
        self._files = FILES if files is None else files
        self._line = line
        self.strips: list[tuple[str, ...]] = []

    def file(self, alert_id: str, kind: PictureKind, wait_s: float = 0.0) -> bytes | None:
        return self._files.get(kind)

    def strip(self, alert_ids: tuple[str, ...]) -> bytes | None:
        self.strips.append(alert_ids)
        return self._files.get("picture")

    def links(self, alert_id: str, recipient: str) -> Links:
        base = "https://plant.example"
        return Links(
            alert=f"{base}/#alert={alert_id}",
            picture=f"{base}/l/{alert_id}/evidence?until=1795500000&sig=a_b-c",
            act=f"{base}/act/{alert_id}.x_y",
        )

    def place(self, camera: str) -> Place:
        return Place(self._line)


def event(number: int, kind: str = "linewatch.alert.firing", after_s: float = 0.0, **alert: Any) -> dict[str, Any]:
    """A CloudEvent of the alert of this number, which began so many seconds after BEGAN_NS."""
    began = BEGAN_NS + number * 10**9
    fields: dict[str, Any] = {
        "alert_id": f"{number:016x}",
        "camera": "line-3",
        "severity": Severity.CRITICAL,
        "started_at": began,
        "peak_score": 0.0231,
        "threshold": 0.01,
        "frame": None,
        "model": "bottles",
    }
    return Event(kind, began + round(after_s * 1e9), Alert(**{**fields, **alert})).document()


def one(told: dict[str, Any], kind: Kind = Kind.EVENT) -> Delivery:
    return Delivery(id_of(told["id"], "phone"), "phone", kind, (told,), ("night-shift",))


def many(*told: dict[str, Any], kind: Kind = Kind.GROUP, omitted: int = 0) -> Delivery:
    return Delivery(id_of("night-shift", told[0]["id"]), "phone", kind, told, ("night-shift",), omitted)
