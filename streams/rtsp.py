"""Frames from a network camera."""

from __future__ import annotations

from streams.capture.camera import CameraSource
from streams.capture.options import RtspSourceOptions
from streams.redact import redact

__all__ = ["RtspSource", "RtspSourceOptions"]


class RtspSource(CameraSource):
    """Reads one camera through FFmpeg, in a process of its own."""

    def __init__(self, options: RtspSourceOptions) -> None:
        super().__init__(options, "rtsp", address=redact(options.url), secret=options.url)
