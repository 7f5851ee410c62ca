"""Reading films through OpenCV's FFmpeg back end, guarded against what it does not survive."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from streams.frame import Pixels
from streams.wholeness import MP4_BOXES

USUAL_FPS = 25.0
MAX_FPS = 1000.0
LONGEST_GAP_S = 60.0
"""A longer step between two frames' time stamps is a broken time stamp."""
MISSING_SHARE, MISSING_S = 0.1, 0.5
"""A film is broken off where so much of its claimed length is missing, both of it; containers round their lengths."""


class FilmError(ValueError):
    """The film, or the rest of it, cannot be read. `reason` is short and stable, for counters."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True, eq=False)
class FilmFrame:
    """at_s: from the film's beginning. gap_s: how long after the frame before it is due; for the first, as long as a
    frame of this film lasts."""

    index: int
    at_s: float
    gap_s: float
    pixels: Pixels


class Film:
    """An open film. `length_s` is what its header claims, 0 where it claims nothing."""

    def __init__(self, path: Path) -> None:
        """Raises FilmError: `bad_file_name`, `unreadable_file`."""
        check_film(path)
        # Absolute, since FFmpeg takes what stands before a colon for a protocol.
        self._capture = cv2.VideoCapture(os.path.abspath(path), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise FilmError("unreadable_file", "FFmpeg cannot open it; the file is damaged or of an unknown codec")
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.fps = fps if 0 < fps <= MAX_FPS else USUAL_FPS
        self.length_s = max(0.0, count / self.fps)

    def close(self) -> None:
        self._capture.release()

    def frames(self) -> Iterator[FilmFrame]:
        """Every frame in order, with the film's own time stamps; where they are missing or run backwards, its frame
        rate goes on. Raises FilmError: `unreadable_file` where there is no frame, `film_broken_off` after the last one
        where much of the claimed length is missing."""
        usual_s = 1.0 / self.fps
        index, at_s, stamp_s = 0, 0.0, 0.0
        while self._capture.grab():
            before_s, stamp_s = stamp_s, self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
            ok, pixels = self._capture.retrieve()
            if not ok or pixels is None or not pixels.size:
                break
            gap_s = stamp_s - before_s if index else usual_s
            if not math.isfinite(gap_s) or not 0 < gap_s <= LONGEST_GAP_S:
                gap_s = usual_s
            if index:
                at_s += gap_s
            yield FilmFrame(index, at_s, gap_s, np.asarray(pixels, dtype=np.uint8))
            index += 1
        if not index:
            raise FilmError("unreadable_file", "no frame of it can be decoded")
        reached_s = max(at_s, index / self.fps) + usual_s
        if self.length_s - reached_s > max(MISSING_S, MISSING_SHARE * self.length_s):
            raise FilmError(
                "film_broken_off",
                f"it ends after {index} frames, {reached_s:.1f} s, though it claims {self.length_s:.1f} s; the rest is "
                "missing or damaged",
            )


def check_film(path: Path) -> None:
    """Raises FilmError for what must not reach FFmpeg: names that end the whole process in OpenCV 5.0, and files that
    are no film. A play list would be taken for one, and what it names would be read, be it elsewhere on disk or on
    the network."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        raise FilmError("bad_file_name", "its name is no UTF-8, which OpenCV cannot open; rename it") from None
    try:
        with open(path, "rb") as file:
            head = file.read(2048)
    except FileNotFoundError:
        raise FilmError("vanished", "it is gone") from None
    except OSError as error:
        raise FilmError("unreadable_file", error.strerror or type(error).__name__) from None
    if not _begins_like_a_film(head):
        raise FilmError("unreadable_file", f"it does not begin like a film, but with {head[:12]!r}")


def _begins_like_a_film(head: bytes) -> bool:
    return (
        head[4:8] in MP4_BOXES
        or head.startswith((b"\x1aE\xdf\xa3", b"GIF8", b"FLV", b"\x00\x00\x01\xba", b"OggS", b"\x30\x26\xb2\x75"))
        or (head.startswith(b"RIFF") and head[8:11] == b"AVI")
        or _is_transport_stream(head)
    )


def _is_transport_stream(head: bytes) -> bool:
    """Packets of 188 bytes, of 192 with a time stamp before each or 204 with a check sum after it, each beginning with
    0x47; a stream that was cut out of another begins within a packet."""
    return any(
        all(head[first + n * packet : first + n * packet + 1] == b"G" for n in range(4))
        for packet in (188, 192, 204)
        for first in range(packet)
    )
