"""Events with what a receiver needs beside them: links and where the camera stands."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from monitor.delivery.delivery import Delivery
from monitor.delivery.materials import Links, Materials


def recipient(delivery: Delivery) -> str:
    """Under whose name a click on a link that acts is noted."""
    return delivery.subscriptions[0] if len(delivery.subscriptions) == 1 else delivery.channel


def links_of(event: dict[str, Any], delivery: Delivery, materials: Materials) -> Links:
    """Signed and expiring, where links are signed."""
    return materials.links(str(event["data"]["alert_id"]), recipient(delivery))


def completed(event: dict[str, Any], delivery: Delivery, materials: Materials) -> dict[str, Any]:
    """The event with `links` (alert, picture, heatmap, clip, act; null where there is none) and `place` (line, tags) in
    its data; the address of the picture there is the signed one too."""
    links = links_of(event, delivery, materials)
    place = materials.place(str(event["data"]["camera"]))
    data = {
        **event["data"],
        "links": asdict(links),
        "place": {"line": place.line, "tags": list(place.tags)},
    }
    if links.picture is not None:
        data["evidence_url"] = links.picture
    return {**event, "data": data}
