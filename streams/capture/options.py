"""What there is to say about one camera; the same words on both sides of the pipe."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True)
class RtspSourceOptions:
    """A network camera.

    url: rtsp:// or rtsps://, with user and password where the camera wants them.
    fps: an upper limit; pictures beyond it are let go and counted. None takes all.
    transport: `tcp` or `udp`.
    key_frames_only: the others are not decoded, but let go and counted.
    hardware_decoding: `none`, `any`, or what FFmpeg calls the device; software where it cannot be had.
    reconnect_if_frozen_s: after so long of pictures equal to the last bit; 0 never.
    max_pixels: larger pictures are refused before they leave the capture process.
    """

    camera: str
    url: str = field(repr=False)
    fps: float | None = None
    open_timeout_s: float = 5.0
    read_timeout_s: float = 5.0
    transport: str = "tcp"
    low_latency: bool = False
    key_frames_only: bool = False
    hardware_decoding: str = "none"
    reconnect_if_frozen_s: float = 30.0
    max_pixels: int = 50_000_000


@dataclass(frozen=True, slots=True)
class UsbSourceOptions:
    """A camera on this machine. `device` is its index or what OpenCV opens by name, such as /dev/video0.

    width, height: pixels to ask for; the camera may give others. The rest is as for network cameras.
    """

    camera: str
    device: int | str = 0
    fps: float | None = None
    width: int | None = None
    height: int | None = None
    open_timeout_s: float = 10.0
    read_timeout_s: float = 5.0
    reconnect_if_frozen_s: float = 30.0
    max_pixels: int = 50_000_000


CaptureOptions = RtspSourceOptions | UsbSourceOptions

_KINDS: dict[str, type[RtspSourceOptions] | type[UsbSourceOptions]] = {
    "rtsp": RtspSourceOptions,
    "usb": UsbSourceOptions,
}


def dumped(options: CaptureOptions) -> bytes:
    """One line for the child's standard input. Holds the password: it goes nowhere else."""
    kind = next(name for name, known in _KINDS.items() if isinstance(options, known))
    return json.dumps({"kind": kind, **asdict(options)}).encode() + b"\n"


def loaded(line: bytes) -> CaptureOptions:
    """The options of such a line."""
    values = json.loads(line)
    return _KINDS[values.pop("kind")](**values)
