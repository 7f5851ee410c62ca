"""Pictures with their times to an H.264 film that mail clients, browsers and Grafana play."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from streams.codec import CodecError, decode
from streams.frame import Pixels

LONGEST_GAP_MS = 2000
SHORTEST_GAP_MS = 10
LAST_MS = 200
"""The last picture is shown for so long."""
SMALLEST = 16
"""Pixels; the encoder takes nothing smaller."""
MARK = (40, 40, 230)
"""The colour of the border around the picture that triggered: red, as OpenCV orders it."""
MORE_TO_COME = "linewatch: the rest of this clip is still to come"
"""The note in a clip that will be replaced by its complete one."""
X264 = {
    "preset": "veryfast",
    "crf": "26",
    "threads": "1",
    "g": "25",
    # Without these the encoder starts threads of its own beside the one that calls it.
    "x264-params": "threads=1:lookahead-threads=1:sliced-threads=0",
}


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture and when it was taken, nanoseconds since the epoch. marked: with a border."""

    at_ns: int
    payload: bytes
    marked: bool = False


class NoFilm(ValueError):
    """None of the pictures can be decoded."""


def film(pictures: Sequence[Picture], width: int, scratch: Path, max_pixels: int, note: str = "") -> bytes:
    """An MP4 of these pictures in the order of their times, each at most `width` pixels wide; the index comes first, so
    that players begin before all of it is there.

    Its timing is that of the pictures, but no gap is longer than 2 s. Of several with the same time the marked one or
    the last counts; broken ones and those of more than max_pixels are left out. All get the size of the marked one;
    others are fitted in, with black beside. scratch: a folder for a hidden file meanwhile. note: ASCII, kept in the
    file as its comment. Raises NoFilm, and OSError
    where nothing can be written there.
    """
    import av  # noqa: PLC0415 - takes a tenth of a second, which who makes no clips need not wait

    once: dict[int, Picture] = {}
    for picture in pictures:
        if picture.marked or not once.get(picture.at_ns, picture).marked:
            once[picture.at_ns] = picture
    shown = sorted(once.values(), key=lambda picture: picture.at_ns)
    size = _size(shown, width, max_pixels)
    scratch.mkdir(parents=True, exist_ok=True)
    handle, path = tempfile.mkstemp(dir=scratch, prefix=".", suffix=".part")
    os.close(handle)
    try:
        with av.open(path, "w", format="mp4", options={"movflags": "+faststart"}) as container:
            if note:
                container.metadata["comment"] = note
            name = encoder()
            stream = container.add_stream(name, options=X264 if name == "libx264" else {"qscale": "4", "threads": "1"})
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
            time_ms, before_ns, last = 0, None, None
            for picture in shown:
                pixels = _fitted(picture, size, max_pixels)
                if pixels is None:
                    continue
                if before_ns is not None:
                    gap_ms = (picture.at_ns - before_ns) // 1_000_000
                    time_ms += min(LONGEST_GAP_MS, max(SHORTEST_GAP_MS, gap_ms))
                before_ns = picture.at_ns
                last = av.VideoFrame.from_ndarray(pixels, format="bgr24")
                last.pts, last.time_base = time_ms, Fraction(1, 1000)
                container.mux(stream.encode(last))
            if last is None:
                raise NoFilm(f"none of {len(shown)} pictures can be decoded")
            # Again, since players show the last picture of a film for no time at all.
            end = av.VideoFrame.from_ndarray(last.to_ndarray(format="bgr24"), format="bgr24")
            end.pts, end.time_base = time_ms + LAST_MS, Fraction(1, 1000)
            container.mux(stream.encode(end))
            container.mux(stream.encode(None))
        return Path(path).read_bytes()
    finally:
        with suppress(OSError):
            os.unlink(path)


@cache
def encoder() -> str:
    """H.264 where PyAV's wheel has x264, as all of today's have; else the older MPEG-4."""
    import av  # noqa: PLC0415

    return "libx264" if "libx264" in av.codecs_available else "mpeg4"


def shrunk(pixels: Pixels, width: int) -> Pixels:
    """The picture at most so wide (and at most four times as high), never larger than it was."""
    size = _scaled(pixels.shape[1], pixels.shape[0], width)
    if size == (pixels.shape[1], pixels.shape[0]):
        return pixels
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _scaled(full_width: int, full_height: int, width: int) -> tuple[int, int]:
    scale = min(1.0, width / full_width, 4 * width / full_height)
    return max(1, round(full_width * scale)), max(1, round(full_height * scale))


def _size(pictures: Sequence[Picture], width: int, max_pixels: int) -> tuple[int, int]:
    """Width and height of the film, both even: those of the marked picture, or else of one that can be decoded."""
    for picture in sorted(pictures, key=lambda picture: not picture.marked):
        with suppress(CodecError):
            height, full_width = decode(picture.payload, max_pixels).shape[:2]
            scaled = _scaled(full_width, height, width)
            return max(SMALLEST, scaled[0] // 2 * 2), max(SMALLEST, scaled[1] // 2 * 2)
    raise NoFilm(f"none of {len(pictures)} pictures can be decoded")


def _fitted(picture: Picture, size: tuple[int, int], max_pixels: int) -> Pixels | None:
    """uint8 [H, W, 3] of this size; None where it cannot be decoded."""
    try:
        pixels = decode(picture.payload, max_pixels)
    except CodecError:
        return None
    width, height = size
    scale = min(width / pixels.shape[1], height / pixels.shape[0])
    fit = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    if abs(fit[0] - width) <= 2 and abs(fit[1] - height) <= 2:  # what rounding to even sizes does
        fit = size
    if fit != (pixels.shape[1], pixels.shape[0]):
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        pixels = np.asarray(cv2.resize(pixels, fit, interpolation=interpolation), dtype=np.uint8)
    if fit != size:
        canvas = np.zeros((height, width, 3), np.uint8)
        left, top = (width - fit[0]) // 2, (height - fit[1]) // 2
        canvas[top : top + fit[1], left : left + fit[0]] = pixels
        pixels = canvas
    if picture.marked:
        thick = max(1, width // 160)
        pixels = np.ascontiguousarray(pixels)
        cv2.rectangle(pixels, (thick // 2, thick // 2), (width - 1 - thick // 2, height - 1 - thick // 2), MARK, thick)
    return pixels
