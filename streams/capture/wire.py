"""The messages that a capture process writes and its parent reads: a fixed header, then a text or a picture.

Pictures are raw BGR bytes, written from the decoder's memory and read into the array that the frame keeps.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

MAGIC = b"LWc1"
HEADER = struct.Struct("<4sBxxxIIqQ")
"""Magic, kind, width and height in pixels, capture time in ns since the epoch, bytes that follow."""

MAX_PIXELS = 1 << 28
MAX_TEXT = 65_536


class Kind(IntEnum):
    HELLO = 1
    """The process runs and begins to open the camera."""
    OPENED = 2
    """Text: what decodes."""
    FRAME = 3
    """A picture with its size and capture time."""
    SKIPPED = 4
    """A picture let go on purpose. Text: the reason."""
    UNDECODABLE = 5
    """A picture that came damaged, or, with a reason as text, cannot be used otherwise."""
    ALIVE = 6
    """Something came that was no picture."""
    FAILED = 7
    """The end. Text: why, in words for an operator."""


class WireError(Exception):
    """What was read is no message: the process has gone mad."""


@dataclass(frozen=True, slots=True)
class Message:
    """pixels: uint8 [H, W, 3] BGR, only with FRAME."""

    kind: Kind
    captured_at_ns: int = 0
    text: str = ""
    pixels: NDArray[np.uint8] | None = None


class Stream(Protocol):
    """An unbuffered binary file."""

    def readinto(self, buffer: memoryview, /) -> int | None: ...


def tell(fd: int, kind: Kind, text: str = "") -> None:
    """Write a message without a picture. Raises OSError when nobody reads any more."""
    body = text.encode(errors="replace")[:MAX_TEXT]
    _write(fd, memoryview(HEADER.pack(MAGIC, kind, 0, 0, 0, len(body)) + body))


def show(fd: int, captured_at_ns: int, pixels: NDArray[np.uint8]) -> None:
    """Write a picture, uint8 [H, W, 3], contiguous. Raises OSError when nobody reads any more."""
    height, width, _ = pixels.shape
    _write(fd, memoryview(HEADER.pack(MAGIC, Kind.FRAME, width, height, captured_at_ns, pixels.nbytes)))
    _write(fd, pixels.reshape(-1).data)


def read(stream: Stream) -> Message | None:
    """The next message; None at the end, also where it comes in the middle of a message. Raises WireError."""
    head = bytearray(HEADER.size)
    if not _fill(stream, memoryview(head)):
        return None
    magic, number, width, height, captured_at_ns, length = HEADER.unpack(head)
    try:
        kind = Kind(number)
    except ValueError:
        kind = None
    if magic != MAGIC or kind is None:
        raise WireError(f"expected a message, found {bytes(head[:8])!r}")
    if kind is Kind.FRAME:
        if not (0 < width * height <= MAX_PIXELS and length == width * height * 3):
            raise WireError(f"expected a picture, found {width}x{height} in {length} bytes")
        pixels = np.empty((height, width, 3), np.uint8)
        if not _fill(stream, pixels.reshape(-1).data):
            return None
        return Message(kind, captured_at_ns, pixels=pixels)
    if length > MAX_TEXT:
        raise WireError(f"expected a text of at most {MAX_TEXT} bytes, found {length}")
    text = bytearray(length)
    if not _fill(stream, memoryview(text)):
        return None
    return Message(kind, text=text.decode(errors="replace"))


def _fill(stream: Stream, view: memoryview) -> bool:
    """Read until it is full; False where the end comes first."""
    while view.nbytes:
        count = stream.readinto(view)
        if not count:
            return False
        view = view[count:]
    return True


def _write(fd: int, view: memoryview) -> None:
    while view.nbytes:
        view = view[os.write(fd, view) :]
