"""Pictures of alerts in a report: small copies of the evidence that is still kept."""

from __future__ import annotations

from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from monitor.alerting.evidence import EvidenceStore
from monitor.replay.episode import Told

WIDTH = 280
MOST = 80
"""Pictures in one report: some 10 kB each."""
NEAR = 50
"""Of so many neighbours the evidence is looked for."""


@dataclass(frozen=True, slots=True)
class Shown:
    """uri: a data URI of a JPEG. away_s: how much later (or earlier: less than 0) the alert began whose picture this
    is; None where it is the alert's own."""

    uri: str
    away_s: float | None


class Pictures:
    """Finds the evidence of an alert, or else that of the nearest alert of the same camera which has one."""

    def __init__(self, store: EvidenceStore, happened: Iterable[Told]) -> None:
        """happened: the alerts of which evidence may be kept."""
        self._store = store
        self._happened: dict[str, list[Told]] = defaultdict(list)
        for told in happened:
            if told.alert_id:
                self._happened[told.camera].append(told)
        self._kept: dict[str, str | None] = {}
        self.given = 0

    def of(self, told: Told) -> Shown | None:
        """None where nothing is kept, or the report has enough pictures."""
        if self.given >= MOST:
            return None
        found = self._own(told) or self._nearest(told)
        self.given += found is not None
        return found

    def _own(self, told: Told) -> Shown | None:
        uri = self._uri(told.alert_id) if told.alert_id else None
        return None if uri is None else Shown(uri, None)

    def _nearest(self, told: Told) -> Shown | None:
        others = sorted(self._happened[told.camera], key=lambda other: abs(other.started_ns - told.started_ns))
        for other in others[:NEAR]:
            uri = self._uri(other.alert_id)
            if uri is not None:
                return Shown(uri, (other.started_ns - told.started_ns) / 1e9)
        return None

    def _uri(self, alert_id: str) -> str | None:
        if alert_id not in self._kept:
            self._kept[alert_id] = self._thumbnail(alert_id)
        return self._kept[alert_id]

    def _thumbnail(self, alert_id: str) -> str | None:
        data = self._store.read(alert_id, "evidence")
        picture = None if not data else cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if picture is None:
            return None
        height, width = picture.shape[:2]
        if width > WIDTH:
            size = (WIDTH, max(1, round(height * WIDTH / width)))
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        good, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])
        return f"data:image/jpeg;base64,{b64encode(jpeg.tobytes()).decode()}" if good else None
