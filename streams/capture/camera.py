"""A live camera as a source: supervised, reconnected for ever, the newest picture first."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Final

import structlog

from streams.backoff import Backoff
from streams.camera_id import checked_camera
from streams.capture.child import CaptureChild
from streams.capture.options import CaptureOptions, RtspSourceOptions
from streams.capture.wire import Kind, Message, WireError
from streams.frame import Frame
from streams.redact import redact_text
from streams.source import Keep, Outlet

log = structlog.get_logger(__name__)

GOOD_FRAMES_FOR_RESET: Final = 25
"""So many frames in a row show that a connection is sound; only then does the back-off start anew."""

STARTING_S: Final = 30.0
"""So long a fresh process may take to its first word, on a machine that is busy."""

HANG_GRACE_S: Final = 1.0
"""A process that is silent for so much longer than its own time-out hangs."""

LEAVE_S: Final = 0.5
LOOK_EVERY_S: Final = 0.1


@dataclass(slots=True)
class Link:
    """What is known of one capture process."""

    allowance_s: float = STARTING_S
    heard_s: float = field(default_factory=time.monotonic)
    good_s: float = field(default_factory=time.monotonic)
    good: int = 0
    up: bool = False
    over: bool = False
    farewell: str = ""
    hung_s: float = 0.0


class CameraSource:
    """What network and USB cameras have in common (the port `streams.source.Source`).

    A camera is up while its newest sound picture is younger than two seconds, or than two pictures of its rate.
    """

    def __init__(self, options: CaptureOptions, kind: str, address: str, secret: str = "") -> None:
        """`address` is shown to people; `secret` is the address that must not be."""
        self._options = options
        self._camera = checked_camera(options.camera)
        self._name = f"{kind}:{self._camera}"
        self._address = address
        self._secret = secret
        self._fresh_s = max(2.0, 2.0 / options.fps) if options.fps is not None else 2.0
        self._seq = 0
        self._lock = threading.Lock()
        self._backoff = Backoff()
        self.hung = 0
        """How many capture processes hung and were killed."""

    @property
    def name(self) -> str:
        return self._name

    @property
    def cameras(self) -> tuple[str, ...]:
        return (self._camera,)

    def run(self, outlet: Outlet, stop: threading.Event) -> None:
        outlet.camera_up(self._camera, False)
        while not stop.is_set():
            what = self._capture_once(outlet, stop)
            if stop.is_set():
                return
            outlet.camera_up(self._camera, False)
            outlet.trouble(self.name, f"camera {self._camera} at {self._address} {what}; reconnecting")
            wait_s = self._backoff.next_s()
            log.warning(
                "camera_lost", camera=self._camera, address=self._address, what=what, retry_in_s=round(wait_s, 2)
            )
            stop.wait(wait_s)

    def finish(self, frame: Frame) -> None:
        """A camera cannot repeat a frame; there is nothing to note."""

    def reject(self, frame: Frame, error: str) -> None:
        """Likewise."""

    def close(self) -> None:
        """The capture process ended at the end of `run`."""

    def _capture_once(self, outlet: Outlet, stop: threading.Event) -> str:
        """From the start of a capture process to its end; returns what became of it, for an operator."""
        link = Link()
        child = CaptureChild(self._options, lambda message: self._hear(message, link, outlet))
        try:
            child.start()
        except OSError as error:
            return f"cannot be captured, since no process can be started for it: {error.strerror}"
        try:
            self._supervise(child, link, outlet, stop)
        finally:
            with self._lock:
                link.over = True
            if link.hung_s == 0.0:
                child.leave()
            if not child.wait_for_end(0.0 if link.hung_s else LEAVE_S) and not child.kill():
                log.error("capture_cannot_be_killed", camera=self._camera, pid=child.pid)
        if child.fault is not None and not isinstance(child.fault, WireError):
            raise child.fault
        return self._became_of(child, link)

    def _supervise(self, child: CaptureChild, link: Link, outlet: Outlet, stop: threading.Event) -> None:
        """Until the process ends or hangs, or `stop`."""
        while not stop.is_set() and not child.wait_for_end(LOOK_EVERY_S):
            with self._lock:
                now_s = time.monotonic()
                silent_s, age_s = now_s - link.heard_s, now_s - link.good_s
                if silent_s > link.allowance_s:
                    link.hung_s = silent_s
                elif link.up and age_s > self._fresh_s:
                    link.up = False
                    outlet.camera_up(self._camera, False)
                    outlet.trouble(
                        self.name, f"camera {self._camera} at {self._address} sent no sound picture for {age_s:.1f} s"
                    )
            if link.hung_s:
                self.hung += 1
                log.error("capture_hung", camera=self._camera, pid=child.pid, silent_s=round(silent_s, 1))
                return

    def _hear(self, message: Message, link: Link, outlet: Outlet) -> None:
        with self._lock:
            if link.over:
                return
            link.heard_s = time.monotonic()
            match message.kind:
                case Kind.HELLO:  # it connects, and then looks at what comes: each may take its time
                    link.allowance_s = 2 * self._options.open_timeout_s + HANG_GRACE_S
                    if isinstance(self._options, RtspSourceOptions) and self._options.hardware_decoding != "none":
                        link.allowance_s *= 2
                case Kind.OPENED:
                    link.allowance_s = self._options.read_timeout_s + HANG_GRACE_S
                    log.info(
                        "camera_connected", camera=self._camera, address=self._address, decoder=self._clean(message)
                    )
                case Kind.FRAME:
                    self._good(link, outlet)
                    outlet.offer(self._frame(message), Keep.NEWEST)
                case Kind.SKIPPED:
                    self._good(link, outlet)
                    outlet.skip(self._camera, message.text)
                case Kind.UNDECODABLE:
                    self._seq += 1
                    outlet.refuse(self._camera, message.text or "undecodable")
                case Kind.FAILED:
                    link.farewell = self._clean(message)

    def _good(self, link: Link, outlet: Outlet) -> None:
        self._seq += 1
        link.good += 1
        link.good_s = link.heard_s
        if link.good == GOOD_FRAMES_FOR_RESET:
            self._backoff.reset()
        if not link.up:
            link.up = True
            outlet.camera_up(self._camera, True)
            outlet.trouble(self.name, None)

    def _frame(self, message: Message) -> Frame:
        return Frame(
            camera=self._camera,
            seq=self._seq,
            captured_at_ns=message.captured_at_ns,
            origin=f"{self.name}/{self._seq}",
            pixels=message.pixels,
        )

    def _became_of(self, child: CaptureChild, link: Link) -> str:
        what = f"stopped after {link.good} frames" if link.good else "does not answer"
        if link.hung_s:
            return f"{what}: its capture hung for {link.hung_s:.1f} s and was killed"
        if link.farewell:
            return f"{what}: {link.farewell}"
        if child.fault is not None:
            return f"{what}: its capture went mad and was killed"
        code = child.exit_code
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        words = redact_text(child.last_words, self._secret)
        return f"{what}: its capture ended with {how}" + (f" ({words})" if words else "")

    def _clean(self, message: Message) -> str:
        return redact_text(message.text, self._secret)
