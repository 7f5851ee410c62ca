"""Looks at a network camera through FFmpeg (PyAV).

Not through OpenCV, which shows a damaged picture as if it were sound, scales pictures of a new size to the old one
without a word, and does not hand `skip_frame` to the decoder; PyAV tells of each.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from typing import Final

import av
import numpy as np
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.container import InputContainer
from numpy.typing import NDArray

from streams.capture.eye import EyeError, Sight
from streams.capture.options import RtspSourceOptions

MAX_THREADS: Final = 4
"""Of the decoder, inside a picture; threads across pictures would hold each back for several others."""

TIMED_OUT: Final = "no answer within the time-out"

DEVICES: Final = {"d3d11": "d3d11va", "mfx": "qsv"}
"""Where FFmpeg's word for the hardware differs from ours."""


class NetworkEye:
    """A damaged picture damages all that build on it: none is shown from the damage to the next sound key picture."""

    def __init__(self, options: RtspSourceOptions) -> None:
        self._options = options
        self._container: InputContainer | None = None
        self._packets: Iterator[av.Packet[av.VideoStream]] = iter(())
        self._decoded: deque[av.VideoFrame] = deque()
        self._frame: av.VideoFrame | None = None
        self._damaged = False
        self._begun = False

    def open(self) -> str:
        try:
            self._connect(None)
            device = self._device()
            if device is None:
                return "software"
            self.close()
            self._connect(HWAccel(device, allow_software_fallback=True))
        except av.FFmpegError as error:
            raise EyeError(_words(error)) from None
        assert self._container is not None
        return device if self._container.streams.video[0].codec_context.is_hwaccel else "software"

    def look(self) -> Sight:
        if not self._decoded:
            since_s = time.monotonic()
            try:
                packet = next(self._packets, None)
            except av.FFmpegError as error:
                raise EyeError(_words(error)) from None
            if time.monotonic() - since_s > self._options.read_timeout_s:
                # After a time-out FFmpeg first hands out what its parser held back: a picture of long ago.
                raise EyeError(TIMED_OUT)
            if packet is None or packet.size == 0:
                raise EyeError("the camera ended the stream")
            if self._options.key_frames_only and not packet.is_keyframe:
                return Sight.NOT_A_KEY_FRAME
            try:
                self._decoded.extend(packet.decode())
            except av.FFmpegError:
                self._damaged = True
                return self._bad()
            if not self._decoded:
                return Sight.NOTHING
        self._frame = self._decoded.popleft()
        if self._frame.is_corrupt:
            self._damaged = True
        elif self._frame.key_frame:
            self._damaged, self._begun = False, True
        return Sight.PICTURE if self._begun and not self._damaged else self._bad()

    def _bad(self) -> Sight:
        """Before the first key picture nothing is damaged: we came in the middle."""
        return Sight.DAMAGED if self._begun else Sight.NOTHING

    def pixels(self) -> NDArray[np.uint8] | None:
        assert self._frame is not None
        try:
            picture = self._frame.reformat(format="bgr24", threads=1)
        except (av.FFmpegError, ValueError):
            return None
        plane, width, height = picture.planes[0], picture.width, picture.height
        rows = np.frombuffer(memoryview(plane), np.uint8)[: height * plane.line_size].reshape(height, plane.line_size)
        return np.ascontiguousarray(rows[:, : width * 3]).reshape(height, width, 3)

    def close(self) -> None:
        container, self._container = self._container, None
        self._packets, self._frame = iter(()), None
        self._decoded.clear()
        if container is not None:
            container.close()

    def _connect(self, hardware: HWAccel | None) -> None:
        """Raises av.FFmpegError, EyeError."""
        options = {
            "rtsp_transport": self._options.transport,
            "fpsprobesize": "0",  # a camera's rate need not be known: looking for it takes a second of pictures
        }
        if self._options.low_latency:
            options["fflags"] = "nobuffer"
        timeouts = (self._options.open_timeout_s, self._options.read_timeout_s)
        self._container = av.open(self._options.url, options=options, timeout=timeouts, hwaccel=hardware)
        if not self._container.streams.video:
            raise EyeError("there is no video at this address")
        stream = self._container.streams.video[0]
        stream.thread_type = "SLICE"
        stream.codec_context.thread_count = min(MAX_THREADS, os.cpu_count() or 1)
        if self._options.low_latency:
            stream.codec_context.flags |= av.codec.context.Flags.low_delay
        self._packets = self._container.demux(stream)

    def _device(self) -> str | None:
        """The hardware that was asked for, where it is there and knows this codec."""
        asked = self._options.hardware_decoding
        if asked == "none":
            return None
        assert self._container is not None
        codec = self._container.streams.video[0].codec_context.codec
        for device in hwdevices_available() if asked == "any" else [DEVICES.get(asked, asked)]:
            try:
                HWAccel(device).create(codec)
            except (av.FFmpegError, RuntimeError, OSError, NotImplementedError, ValueError):
                continue
            return device
        return None


def _words(error: av.FFmpegError) -> str:
    """For an operator; without the address, which PyAV's own words hold."""
    if isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError):
        return "the camera refuses the user or password"
    if isinstance(error, av.error.HTTPNotFoundError):
        return "the camera has nothing at this address"
    if isinstance(error, av.error.ExitError | av.error.TimeoutError):
        return TIMED_OUT
    if isinstance(error, av.error.InvalidDataError):
        return "no answer within the time-out, or one that is no RTSP"
    return error.strerror or type(error).__name__
