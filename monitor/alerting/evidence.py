"""The pictures of an alert on disk: the very frame that triggered it, and its heat map laid over it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import structlog
from numpy.typing import NDArray

from monitor.whole_file import write_whole
from streams.codec import encode_jpeg, jpeg_of, pixels_of
from streams.frame import Frame, Pixels

log = structlog.get_logger(__name__)

Kind = Literal["evidence", "heatmap"]
HEAT_SHARE = 0.55


class EvidenceStore:
    """Writes, finds and forgets evidence below one folder, a folder a day: `2026-05-31/<alert>-evidence.jpg`."""

    def __init__(
        self, folder: Path, keep_days: float, drawn: Callable[[str, Pixels], Pixels] = lambda camera, pixels: pixels
    ) -> None:
        """`drawn`: what is drawn over a camera's heat maps, such as its region."""
        self._folder = folder
        self._keep_s = keep_days * 86_400
        self._drawn = drawn

    def save(self, alert_id: str, frame: Frame, heat: NDArray[np.float32] | None) -> None:
        """Keep the frame (the very bytes that arrived, where they are JPEG) and its heat map, if there is one.

        heat: float32 [S, S], 0 where the reconstruction is exact. Raises OSError (a full disk, say); whole files only.
        """
        day = time.strftime("%Y-%m-%d", time.gmtime(frame.captured_at_ns / 1e9))
        folder = self._folder / day
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / f"{_safe(alert_id)}-evidence.jpg", jpeg_of(frame))
        if heat is None:
            return
        overlay = self._drawn(frame.camera, lay_over(pixels_of(frame, max_pixels=1 << 30), heat))
        write_whole(folder / f"{_safe(alert_id)}-heatmap.jpg", encode_jpeg(overlay))

    def find(self, alert_id: str, kind: Kind) -> Path | None:
        """The picture of an alert, if it is still kept."""
        return next(self._folder.glob(f"*/{_safe(alert_id)}-{kind}.jpg"), None)

    def sweep(self, now_s: float) -> int:
        """Delete pictures older than the retention, and emptied folders; how many pictures went."""
        gone = 0
        for picture in self._folder.glob("*/*.jpg"):
            try:
                if picture.stat().st_mtime < now_s - self._keep_s:
                    picture.unlink()
                    gone += 1
                    if not any(picture.parent.iterdir()):
                        picture.parent.rmdir()
            except OSError as error:  # another worker may sweep the same folder
                log.info("evidence_sweep", file=picture.name, error=str(error))
        return gone


def lay_over(pixels: Pixels, heat: NDArray[np.float32]) -> Pixels:
    """The picture with its heat map in colours, uint8 [H, W, 3]: grey where all is well, red where it is not."""
    height, width = pixels.shape[:2]
    top = float(np.percentile(heat, 99.5)) or 1.0
    warmth = np.clip(heat / top, 0, 1).astype(np.float32)
    warmth = cv2.resize(warmth, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    colours = cv2.applyColorMap((warmth * 255).astype(np.uint8), cv2.COLORMAP_JET).astype(np.float32)
    grey = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR).astype(np.float32)
    share = (warmth * HEAT_SHARE)[..., None]
    return np.asarray((grey * (1 - share) + colours * share).round(), dtype=np.uint8)


def _safe(alert_id: str) -> str:
    """Only what our own ids consist of; anything else from a URL finds nothing."""
    return alert_id if re.fullmatch(r"[0-9a-f]{1,64}", alert_id) else "none"
