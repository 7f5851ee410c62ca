"""Events with what a receiver needs beside them: links and where the camera stands."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from monitor.delivery.delivery import Delivery
from monitor.delivery.materials import Links, Materials


def recipient(delivery: Delivery) -> str:
    """Under whose name a click on a link that acts is noted."""
    return delivery.subscriptions[0] if len(delivery.subscriptions) == 1 else delivery.channel


def links_of(event: dict[str, Any], delivery: Delivery, materials: Materials) -> Links:
    """Signed and expiring, where links are signed."""
    return links_of_alert(event["data"], delivery, materials)


def links_of_alert(alert: dict[str, Any], delivery: Delivery, materials: Materials) -> Links:
    """As `links_of`; to a clip only where the alert says that there is one or will be."""
    links = materials.links(str(alert["alert_id"]), recipient(delivery))
    return links if alert.get("clip_url") else replace(links, clip=None)


def completed(event: dict[str, Any], delivery: Delivery, materials: Materials) -> dict[str, Any]:
    """The event with `links` (alert, picture, heatmap, clip, act; null where there is none) and `place` (line, tags) in
    its data; the addresses of picture and clip there are the signed ones too."""
    links = links_of(event, delivery, materials)
    place = materials.place(str(event["data"]["camera"]))
    data = {
        **event["data"],
        "links": asdict(links),
        "place": {"line": place.line, "tags": list(place.tags)},
    }
    if links.picture is not None:
        data["evidence_url"] = links.picture
    if links.clip is not None:
        data["clip_url"] = links.clip
    return {**event, "data": data}
