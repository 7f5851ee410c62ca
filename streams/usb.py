"""Frames from a camera on this machine."""

from __future__ import annotations

from streams.capture.camera import CameraSource
from streams.capture.options import UsbSourceOptions

__all__ = ["UsbSource", "UsbSourceOptions"]


class UsbSource(CameraSource):
    """Reads one camera through OpenCV, in a process of its own."""

    def __init__(self, options: UsbSourceOptions) -> None:
        super().__init__(options, "usb", address=f"device {options.device}")
