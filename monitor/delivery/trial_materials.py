"""What the message of a trial is made of: there is no alert behind it, so its picture is drawn."""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np

from monitor.delivery.materials import Links, PictureKind, Place
from streams.codec import encode_jpeg

WIDTH, HEIGHT = 640, 360
GREY, LIGHT = 60, (235, 235, 235)


class TrialMaterials:
    """Implements Materials, for `monitor.delivery.trial`: a picture that says that it is a test, so that whoever
    tries sees whether pictures arrive; no clip; no link but the one to the page. Reads no files."""

    def __init__(self, base_url: str, place: Callable[[str], Place]) -> None:
        self._base_url = base_url
        self._place = place

    def file(self, alert_id: str, kind: PictureKind, wait_s: float = 0.0) -> bytes | None:
        return None if kind == "clip" else _picture()

    def strip(self, alert_ids: tuple[str, ...]) -> bytes | None:
        return _picture()

    def links(self, alert_id: str, recipient: str) -> Links:
        return Links(alert=self._base_url)

    def place(self, camera: str) -> Place:
        return self._place(camera)


def _picture() -> bytes:
    pixels = np.full((HEIGHT, WIDTH, 3), GREY, np.uint8)
    for text, y, size in (("linewatch test", 170, 1.6), (time.strftime("%Y-%m-%d %H:%M:%S"), 230, 0.9)):
        (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 2)
        cv2.putText(
            pixels, text, ((WIDTH - width) // 2, y), cv2.FONT_HERSHEY_SIMPLEX, size, LIGHT, 2, lineType=cv2.LINE_AA
        )
    return encode_jpeg(pixels)
