"""The frame: one picture of one camera, on its way through the house."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""A picture, uint8 [H, W, 3], channels in OpenCV's order (blue, green, red)."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture as its source delivered it: exactly one of `payload` and `pixels` is set.

    camera: the camera's id, 1 to 128 printable characters.
    seq: the source's number for this frame, rising with time within a camera.
    captured_at_ns: when the picture was taken, nanoseconds since the epoch.
    origin: where it can be found again: `topic/partition/offset`, `rtsp:camera/seq` or `path#index`.
    payload: the encoded image (JPEG, PNG, ...) exactly as it arrived.
    pixels: uint8 [H, W, 3] BGR, where the source had to decode anyway (RTSP, films).
    stamp_ns: the time that the source gave it, the same again whenever it is delivered; None where that is
        `captured_at_ns`, which is never in the future.
    product: what the line was making, where the source says so.
    ticket: the source's own handle for `Source.finish`; meaningless to everyone else.
    """

    camera: str
    seq: int
    captured_at_ns: int
    origin: str
    payload: bytes | None = None
    pixels: Pixels | None = field(default=None, repr=False)
    product: str | None = None
    ticket: Hashable = None
    stamp_ns: int | None = None

    @property
    def identity(self) -> str:
        """The name under which this frame enters a window: the same again when it is redelivered."""
        return f"{self.origin}@{self.stamped_ns}"

    @property
    def stamped_ns(self) -> int:
        """When it was captured, as its source says, be that in the future."""
        return self.captured_at_ns if self.stamp_ns is None else self.stamp_ns

    def without_picture(self) -> Frame:
        """The same frame for the books alone, where many have to be remembered."""
        return replace(self, payload=None, pixels=None)

    @property
    def size_bytes(self) -> int:
        """What this frame holds in memory."""
        if self.pixels is not None:
            return int(self.pixels.nbytes)
        return len(self.payload or b"")
