"""What goes along with a message: pictures and the clip of one alert, the strip of several."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from monitor.alerting.alert import EVERYWHERE
from monitor.channel_settings import Picture
from monitor.delivery.delivery import Delivery, Kind
from monitor.delivery.materials import Materials
from monitor.delivery.summary import summary_of

BYTES_AT_MOST = 10 << 20
"""All of a message's attachments together; many mail servers refuse more."""
STRIP_OF = 12
"""So many alerts' pictures are asked for the strip of a group or digest."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """name: a file name of plain letters. mime: its type."""

    name: str
    mime: str
    data: bytes


def attachments_of(
    delivery: Delivery, materials: Materials, kinds: Sequence[Picture], wait_s: float
) -> list[Attachment]:
    """Those that are there, in the order of `kinds`, until they would be too big together. wait_s: for the clip."""
    summary = summary_of(delivery)
    alerts = [event["data"] for event in summary.latest]
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", str(alerts[0]["camera"])).strip("._-")[:60] or "camera"
    found: list[Attachment | None] = []
    if delivery.kind in (Kind.GROUP, Kind.DIGEST):
        ids = tuple(str(alert["alert_id"]) for alert in alerts if alert["camera"] != EVERYWHERE)[:STRIP_OF]
        strip = materials.strip(ids) if ids and kinds else None
        found.append(Attachment("alerts.jpg", "image/jpeg", strip) if strip else None)
    else:
        for kind in dict.fromkeys(kinds):
            waits = kind == "clip" and alerts[0].get("clip_url")  # without, none is being made
            data = materials.file(str(alerts[0]["alert_id"]), kind, wait_s if waits else 0.0)
            ending, mime = ("mp4", "video/mp4") if kind == "clip" else ("jpg", "image/jpeg")
            found.append(Attachment(f"{stem}-{kind}.{ending}", mime, data) if data else None)
    fitting: list[Attachment] = []
    for one in found:
        if one is not None and sum(len(other.data) for other in fitting) + len(one.data) <= BYTES_AT_MOST:
            fitting.append(one)
    return fitting
