"""The program of a capture process: `python -m streams.capture.process PARENT`, with its options on standard input.

It imports as little as it can: there is one such process for every camera.
"""

from __future__ import annotations

import os
import sys
import threading
import time

from streams.capture import lifeline, wire
from streams.capture.eye import Eye, EyeError, Sight
from streams.capture.options import CaptureOptions, RtspSourceOptions, loaded
from streams.capture.pace import Pace
from streams.capture.stillness import Stillness

ALIVE_EVERY_S = 0.5

FIRST_PICTURE_S = 20.0
"""So long a key picture may take: the first of a connection, and each where there are no others."""


def main() -> None:
    """Capture until the camera ends, the parent asks us to leave, or is gone."""
    lifeline.die_with(int(sys.argv[1]))
    out = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints must not get between the messages
    with os.fdopen(os.dup(0), "rb", buffering=0) as options_in:
        options = loaded(options_in.readline())
    asked_to_leave = lifeline.watch(0)
    eye = None
    try:
        wire.tell(out, wire.Kind.HELLO)
        eye = eye_for(options)
        wire.tell(out, wire.Kind.OPENED, eye.open())
        capture(eye, options, out, asked_to_leave)
    except EyeError as error:
        wire.tell(out, wire.Kind.FAILED, str(error))
    except ImportError as error:
        wire.tell(out, wire.Kind.FAILED, f"linewatch is not installed whole: {error}")
    except BrokenPipeError:
        pass  # nobody reads any more
    os.close(out)
    let_go(eye)


def eye_for(options: CaptureOptions) -> Eye:
    """Imports what this kind of camera needs, and not what the other kind does."""
    if isinstance(options, RtspSourceOptions):
        from streams.capture.network import NetworkEye  # noqa: PLC0415

        return NetworkEye(options)
    from streams.capture.device import DeviceEye  # noqa: PLC0415

    return DeviceEye(options)


def capture(eye: Eye, options: CaptureOptions, out: int, leave: threading.Event) -> None:
    """Look and tell. Raises EyeError at the camera's end, BrokenPipeError where the parent is gone."""
    pace, stillness = Pace(options.fps), Stillness()
    last_good_s = last_told_s = time.monotonic()
    only_key_frames = isinstance(options, RtspSourceOptions) and options.key_frames_only
    patience_s = max(options.read_timeout_s, FIRST_PICTURE_S)
    while not leave.is_set():
        sight = eye.look()
        captured_at_ns, now_s = time.time_ns(), time.monotonic()
        if sight is Sight.NOTHING:
            if now_s - last_told_s >= ALIVE_EVERY_S:
                wire.tell(out, wire.Kind.ALIVE)
                last_told_s = now_s
        elif sight is Sight.NOT_A_KEY_FRAME:
            wire.tell(out, wire.Kind.SKIPPED, "not_a_key_frame")
        elif sight is Sight.PICTURE and pace.too_soon():
            wire.tell(out, wire.Kind.SKIPPED, "fps_limit")
        elif sight is Sight.DAMAGED or (pixels := eye.pixels()) is None:
            sight = Sight.DAMAGED
            wire.tell(out, wire.Kind.UNDECODABLE)
        elif pixels.shape[0] * pixels.shape[1] > options.max_pixels:
            wire.tell(out, wire.Kind.UNDECODABLE, "too_large")
        else:
            wire.show(out, captured_at_ns, pixels)
            if 0 < options.reconnect_if_frozen_s <= stillness.after_s(pixels):
                raise EyeError(f"its picture has not changed by a single bit for {options.reconnect_if_frozen_s:g} s")
        if sight is not Sight.NOTHING:
            last_told_s = now_s
        if sight is Sight.PICTURE:
            last_good_s = now_s
            if not only_key_frames:
                patience_s = options.read_timeout_s
        elif now_s - last_good_s > patience_s:
            raise EyeError(f"nothing that it sent in {patience_s:g} s could be decoded")


def let_go(eye: Eye | None) -> None:
    """Close the camera, and end, however long it would like to take for that."""

    def end() -> None:
        time.sleep(lifeline.LEAVE_S)
        os._exit(0)

    threading.Thread(target=end, daemon=True).start()
    if eye is not None:
        eye.close()
    os._exit(0)


if __name__ == "__main__":
    main()
