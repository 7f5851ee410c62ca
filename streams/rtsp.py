"""Frames from an RTSP camera: the newest wins, and the camera is reconnected for ever."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import cv2
import numpy as np
import structlog

from streams.backoff import Backoff
from streams.camera_id import checked_camera
from streams.frame import Frame
from streams.redact import redact
from streams.source import Keep, Outlet

log = structlog.get_logger(__name__)

GOOD_FRAMES_FOR_RESET = 25
"""So many frames in a row show that a connection is sound; only then does the back-off start anew."""


@dataclass(frozen=True, slots=True)
class RtspSourceOptions:
    """One camera. `fps` is an upper limit: frames beyond it are let go and counted; None takes all."""

    camera: str
    url: str
    fps: float | None = None
    open_timeout_s: float = 5.0
    read_timeout_s: float = 5.0


class RtspSource:
    """Reads one camera through OpenCV's FFmpeg back end, over TCP (its default), in the thread that calls `run`.

    `isOpened()` stays true after a failed read and the default read time-out is 30 s, hence the explicit time-outs
    and the rule that one failed read ends the connection. The capture time is taken right after the grab.
    """

    def __init__(self, options: RtspSourceOptions) -> None:
        self._options = options
        self._camera = checked_camera(options.camera)
        self._seq = 0
        self._next_due_s = 0.0

    @property
    def name(self) -> str:
        return f"rtsp:{self._camera}"

    @property
    def cameras(self) -> tuple[str, ...]:
        return (self._camera,)

    def run(self, outlet: Outlet, stop: threading.Event) -> None:
        backoff = Backoff()
        address = redact(self._options.url)
        outlet.camera_up(self._camera, False)
        while not stop.is_set():
            capture = self._open()
            good = self._read_on(capture, outlet, stop, backoff) if capture is not None else 0
            if stop.is_set():
                break
            outlet.camera_up(self._camera, False)
            what = "does not answer" if capture is None else f"stopped after {good} frames"
            outlet.trouble(self.name, f"camera {self._camera} at {address} {what}; reconnecting")
            wait_s = backoff.next_s()
            log.warning("camera_lost", camera=self._camera, address=address, what=what, retry_in_s=round(wait_s, 2))
            stop.wait(wait_s)

    def finish(self, frame: Frame) -> None:
        """A camera cannot repeat a frame; there is nothing to note."""

    def reject(self, frame: Frame, error: str) -> None:
        """Likewise."""

    def close(self) -> None:
        """The capture was released at the end of `run`."""

    def _open(self) -> cv2.VideoCapture | None:
        capture = cv2.VideoCapture(
            self._options.url,
            cv2.CAP_FFMPEG,
            [
                cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
                int(self._options.open_timeout_s * 1000),
                cv2.CAP_PROP_READ_TIMEOUT_MSEC,
                int(self._options.read_timeout_s * 1000),
            ],
        )
        if capture.isOpened():
            return capture
        capture.release()
        return None

    def _read_on(self, capture: cv2.VideoCapture, outlet: Outlet, stop: threading.Event, backoff: Backoff) -> int:
        """Offer frames until a read fails or `stop`; returns how many came."""
        good = 0
        try:
            while not stop.is_set() and capture.grab():
                captured_at_ns = time.time_ns()
                good += 1
                if good == 1:
                    log.info("camera_connected", camera=self._camera, address=redact(self._options.url))
                    outlet.camera_up(self._camera, True)
                    outlet.trouble(self.name, None)
                if good == GOOD_FRAMES_FOR_RESET:
                    backoff.reset()
                self._seq += 1
                if self._beyond_limit():
                    outlet.skip(self._camera, "fps_limit")
                    continue
                ok, pixels = capture.retrieve()
                if not ok or pixels is None or pixels.size == 0:
                    outlet.refuse(self._camera, "undecodable")
                    continue
                outlet.offer(
                    Frame(
                        camera=self._camera,
                        seq=self._seq,
                        captured_at_ns=captured_at_ns,
                        origin=f"rtsp:{self._camera}/{self._seq}",
                        pixels=np.asarray(pixels, dtype=np.uint8),
                    ),
                    Keep.NEWEST,
                )
        finally:
            capture.release()
        return good

    def _beyond_limit(self) -> bool:
        """Whether this frame comes too soon for the wanted rate. The schedule keeps the average, not the gaps."""
        if self._options.fps is None:
            return False
        now_s = time.monotonic()
        if now_s < self._next_due_s:
            return True
        period_s = 1.0 / self._options.fps
        self._next_due_s = max(self._next_due_s + period_s, now_s - period_s)
        return False
