"""Whether cameras deliver pictures: found, connected, logged in, and a frame within the time-outs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from http import HTTPStatus

from monitor.adapters import source_of
from monitor.doctor.clock import Clock
from monitor.doctor.finding import Finding, failed, ok, warning
from monitor.doctor.network import unreachable
from monitor.doctor.rtsp_login import describe, endpoint
from monitor.doctor.trial import try_out
from monitor.inputs import Input, RtspInput, UsbInput
from streams.codec import CodecError, pixels_of
from streams.redact import redact

FIRST_FRAME_S = 9.0
"""A camera has so long for its first frame, or its own time-outs where they are shorter."""
ANSWER_S = 5.0


def examine_rtsp(entry: Input, settings: RtspInput, key: str, over: Clock) -> Iterator[Finding]:
    """key: where the camera is set."""
    url = settings.url.get_secret_value()
    address = redact(url)
    fault = unreachable(*endpoint(url))
    if fault is not None:
        yield failed(fault, f"switch the camera on, mend the network, or correct {key}.url")
        return
    said = _login(url, address, key, min(settings.open_timeout_s, ANSWER_S))
    if said is not None:
        yield said
        if said.mark == "failed":
            return
    if not over.is_set():
        yield _frame(entry, address, key, settings.open_timeout_s + settings.read_timeout_s, over)


def examine_usb(entry: Input, settings: UsbInput, key: str, over: Clock) -> Iterator[Finding]:
    path = settings.device if isinstance(settings.device, str) else f"/dev/video{settings.device}"
    if sys.platform == "linux":
        if not os.path.exists(path):
            there = sorted(name for name in os.listdir("/dev") if name.startswith("video"))
            yield failed(
                f"there is no {path}; found: {', '.join(there) or 'no camera at all'}",
                f"plug the camera in, or correct {key}.device",
            )
            return
        if not os.access(path, os.R_OK | os.W_OK):
            yield failed(f"{path} may not be opened", "add the service's user to the group `video`")
            return
    yield _frame(entry, f"device {settings.device}", key, settings.open_timeout_s + settings.read_timeout_s, over)


def _login(url: str, address: str, key: str, timeout_s: float) -> Finding | None:
    """What the camera says to who we are; None where all is well."""
    try:
        answer, login_shown = describe(url, timeout_s)
    except TimeoutError:
        return failed(
            f"{address}: it accepts connections, but says nothing within {timeout_s:g} s",
            "restart the camera; if it is slow, raise open_timeout_s",
        )
    except OSError as error:
        return failed(
            f"{address}: it hangs up ({type(error).__name__})", "restart the camera; does it allow so many clients?"
        )
    match answer.status:
        case None:
            return failed(f"{address}: what answers there does not speak RTSP", f"correct the port of {key}.url")
        case 401 if login_shown:
            return failed(
                f"{address}: it refuses the user or password",
                f"correct the login in {key}.url; a password's / and @ are written %2F and %40",
            )
        case 401:
            return failed(f"{address}: it wants a login", f"give one: {key}.url: rtsp://user:password@host/path")
        case 404:
            return failed(
                f"{address}: it has no such stream", f"correct the path of {key}.url; see the camera's manual"
            )
        case status if status >= 400:
            words = HTTPStatus(status).phrase if status in set(HTTPStatus) else "an error"
            return warning(f"{address}: it answers {status} ({words})", "see the camera's own log")
    return None


def _frame(entry: Input, address: str, key: str, timeouts_s: float, over: Clock) -> Finding:
    within_s = min(FIRST_FRAME_S, timeouts_s)
    trial = try_out(source_of(entry), within_s, over)
    if trial.frame is None:
        told = f": {trial.trouble}" if trial.trouble else ""
        return failed(
            f"{address}: no picture within {within_s:g} s{told}",
            f"look at the stream with another player; see {key} and the camera's own log",
        )
    try:
        height, width = pixels_of(trial.frame, 1 << 30).shape[:2]
    except CodecError as error:
        return failed(f"{address}: its pictures cannot be decoded ({error.reason})", "see the camera's settings")
    rate = f"{trial.fps:.1f} frames a second" if trial.fps else "too few pictures to measure their rate"
    return ok(f"{address}: {width}x{height}, {rate}")
