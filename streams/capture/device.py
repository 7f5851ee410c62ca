"""Looks at a camera on this machine through OpenCV."""

from __future__ import annotations

import sys

import cv2
import numpy as np
from numpy.typing import NDArray

from streams.capture.eye import EyeError, Sight
from streams.capture.options import UsbSourceOptions


class DeviceEye:
    """OpenCV knows no time-outs for devices everywhere; a look that hangs is for the parent to end."""

    def __init__(self, options: UsbSourceOptions) -> None:
        self._options = options
        self._capture: cv2.VideoCapture | None = None

    def open(self) -> str:
        device = self._options.device
        on_linux = sys.platform == "linux" and (isinstance(device, int) or device.startswith("/dev/"))
        back_end = cv2.CAP_V4L2 if on_linux else cv2.CAP_ANY
        # Two calls, since an index and a name are two signatures.
        capture = (
            cv2.VideoCapture(device, back_end) if isinstance(device, int) else cv2.VideoCapture(device, back_end, [])
        )
        if not capture.isOpened():
            capture.release()
            raise EyeError("no such camera, or another program has it, or this user may not open it")
        self._capture = capture
        if self._options.width is not None:
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._options.width)
        if self._options.height is not None:
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._options.height)
        return str(capture.getBackendName())

    def look(self) -> Sight:
        assert self._capture is not None
        if not self._capture.grab():
            raise EyeError("the camera sends no more pictures")
        return Sight.PICTURE

    def pixels(self) -> NDArray[np.uint8] | None:
        assert self._capture is not None
        ok, pixels = self._capture.retrieve()
        if not ok or pixels is None or pixels.size == 0:
            return None
        if pixels.ndim == 2 or pixels.shape[2] == 1:
            pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
        return np.ascontiguousarray(pixels, dtype=np.uint8)

    def close(self) -> None:
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.release()
