"""Films of the line: written for an RTSP camera to play, and played back as if they were a line."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Final

from streams.simulator.scene import Line
from streams.simulator.schedule import PERIOD_S

_QUALITY: Final = "18"  # x264's constant rate factor; near lossless to the eye
_TIME_BASE_HZ: Final = 90_000


def write_film(
    line: Line,
    path: Path,
    seconds: float,
    defects: bool = True,
    on_frame: Callable[[int, int], None] | None = None,
) -> int:
    """Write an H.264 film (.mp4) of the line from its first frame on; returns its frame count.

    The length is rounded up to whole belt periods, and on until no planted defect is in view, so
    that a film played in a loop shows no jump of the belt and cuts no defect short. No picture
    waits for a later one: baseline profile, no B-frames, a key frame a second. The file appears
    complete or not at all. `on_frame(done, total)` is told of progress. Raises OSError where the
    folder cannot be written.
    """
    import av  # noqa: PLC0415 - only who writes a film waits for it

    if not path.parent.is_dir():
        raise FileNotFoundError(f"no folder {path.parent} for the film: create it first")
    frames = film_frames(line, seconds)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with av.open(str(partial), "w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=line.fps, options=_encoder(line.fps))
            stream.width, stream.height, stream.pix_fmt = line.width, line.height, "yuv420p"
            stream.time_base = Fraction(1, _TIME_BASE_HZ)
            stream.codec_context.time_base = Fraction(1, line.fps)
            for index in range(frames):
                picture = av.VideoFrame.from_ndarray(line.render(index, defects), format="bgr24")
                picture.pts = index
                container.mux(stream.encode(picture))
                if on_frame is not None:
                    on_frame(index + 1, frames)
            container.mux(stream.encode(None))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return frames


def film_frames(line: Line, seconds: float) -> int:
    """How many frames a film of about this length has; `line.spans` of it is its truth."""
    per_period = round(line.fps * PERIOD_S)
    frames = max(1, -(-round(seconds * line.fps) // per_period)) * per_period
    while any(span.last_frame >= frames for span in line.spans(frames)):
        frames += per_period
    return frames


def _encoder(fps: int) -> dict[str, str]:
    return {
        "profile": "baseline",
        "preset": "veryfast",
        "tune": "zerolatency",
        "crf": _QUALITY,
        "g": str(fps),
        "bf": "0",
        # One slice a picture: some RTSP servers split a picture's slices into several frames.
        # No key frame more where the picture jumps: a seek finds one every second.
        "x264-params": "sliced-threads=0:threads=1:scenecut=0",
    }
