"""The pictures of an alert: the very frame that triggered it, its heat map laid over it, and the clip around it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.alerting.evidence_room import EvidenceRoom
from monitor.whole_file import write_whole
from streams.codec import encode_jpeg, jpeg_of, pixels_of
from streams.frame import Frame, Pixels

Kind = Literal["evidence", "heatmap", "clip"]
SUFFIXES: dict[Kind, str] = {"evidence": "evidence.jpg", "heatmap": "heatmap.jpg", "clip": "clip.mp4"}
HEAT_SHARE = 0.55
MAX_READ_BYTES = 50_000_000


class FarStore(Protocol):
    """Where evidence goes in the end, by the name of its file. Thread-safe; raises nothing; answers within seconds,
    as if there were nothing where it is away."""

    def get(self, name: str) -> bytes | None: ...

    def has(self, name: str) -> bool: ...


class EvidenceStore:
    """Writes, finds and forgets evidence below one folder, a folder a day: `2026-05-31/<alert>-evidence.jpg`.
    Thread-safe; several processes may share the folder."""

    def __init__(
        self,
        folder: Path,
        keep_days: float,
        drawn: Callable[[str, Pixels], Pixels] = lambda camera, pixels: pixels,
        *,
        max_bytes: int | None = None,
        far: FarStore | None = None,
    ) -> None:
        """`drawn`: what is drawn over a camera's heat maps, such as its region. max_bytes: of the folder; None for no
        limit. far: where somebody else brings the files to (monitor.alerting.s3.S3Mover)."""
        self.folder = folder
        self.room = EvidenceRoom(folder, keep_days * 86_400, max_bytes)
        self._drawn = drawn
        self._far = far

    def save(self, alert_id: str, frame: Frame, heat: NDArray[np.float32] | None) -> None:
        """Keep the frame (the very bytes that arrived, where they are JPEG) and its heat map, if there is one.

        heat: float32 [S, S], 0 where the reconstruction is exact. Raises OSError (a full disk, say); whole files only.
        """
        self.put(alert_id, "evidence", frame.captured_at_ns, jpeg_of(frame))
        if heat is None:
            return
        overlay = self._drawn(frame.camera, lay_over(pixels_of(frame, max_pixels=1 << 30), heat))
        self.put(alert_id, "heatmap", frame.captured_at_ns, encode_jpeg(overlay))

    def put(self, alert_id: str, kind: Kind, at_ns: int, data: bytes) -> None:
        """Keep one file, or replace it whole. at_ns: of the frame that triggered, since the epoch. Raises OSError."""
        path = self.folder / time.strftime("%Y-%m-%d", time.gmtime(at_ns / 1e9)) / file_name(alert_id, kind)
        try:
            write_whole(path, data)
        except FileNotFoundError:  # a sweep removed the folder, which was empty, this moment
            write_whole(path, data)
        self.room.wrote(len(data))

    def find(self, alert_id: str, kind: Kind) -> Path | None:
        """The file of an alert, if it is in the folder."""
        return next(self.folder.glob(f"*/{file_name(alert_id, kind)}"), None)

    def read(self, alert_id: str, kind: Kind) -> bytes | None:
        """The file of an alert from the folder, or else from where it was brought; None where it cannot be had, or is
        larger than 50 MB. Takes some 5 s at most."""
        for _ in range(2):  # one that is replaced or brought away between the two steps is found the second time
            path = self.find(alert_id, kind)
            if path is None:
                break
            try:
                with path.open("rb") as file:
                    data = file.read(MAX_READ_BYTES + 1)
            except OSError:
                continue
            return data if len(data) <= MAX_READ_BYTES else None
        return None if self._far is None else self._far.get(file_name(alert_id, kind))

    def has(self, alert_id: str, kind: Kind) -> bool:
        """Whether `read` would find it."""
        if self.find(alert_id, kind) is not None:
            return True
        return self._far is not None and self._far.has(file_name(alert_id, kind))

    def sweep(self, now_s: float) -> int:
        """Delete what is older than the retention or more than the folder may take, and emptied folders; how many files
        went."""
        return self.room.sweep(now_s)


def file_name(alert_id: str, kind: Kind) -> str:
    """Without the folder of its day. Only what our own ids consist of; anything else from a URL names nothing."""
    return f"{alert_id if re.fullmatch(r'[0-9a-f]{1,64}', alert_id) else 'none'}-{SUFFIXES[kind]}"


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
