"""Films as they are found: with their own pace, broken off, or none at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from streams.film import Film, FilmError, FilmFrame


def write(path: Path, times_ms: Sequence[int], options: dict[str, str] | None = None) -> Path:
    """A film of flat grey frames with these time stamps."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream("libx264", rate=Fraction(25), options={"bf": "0", "g": "10"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for number, time_ms in enumerate(times_ms):
            frame = av.VideoFrame.from_ndarray(
                np.random.default_rng(number).integers(0, 255, (48, 64, 3)).astype(np.uint8), format="bgr24"
            )
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def read(path: Path) -> tuple[list[FilmFrame], FilmError | None]:
    """Its frames, and how it ended."""
    frames: list[FilmFrame] = []
    try:
        film = Film(path)
        try:
            frames.extend(film.frames())
        finally:
            film.close()
    except FilmError as error:
        return frames, error
    return frames, None


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov", "ts"])
def test_a_film_has_the_pace_of_its_own_time_stamps(tmp_path: Path, ending: str) -> None:
    times_ms = [0, 40, 80, 500, 540, 1500, 1540]
    frames, error = read(write(tmp_path / f"film.{ending}", times_ms))
    assert error is None
    assert [round(frame.at_s * 1000) for frame in frames] == times_ms
    assert [round(frame.gap_s * 1000) for frame in frames[1:]] == list(np.diff(times_ms))
    assert [frame.index for frame in frames] == list(range(7))


class Capture:
    """A capture whose time stamps are not to be trusted."""

    def __init__(self, stamps_ms: list[float], fps: float) -> None:
        self.stamps_ms, self.fps, self.at = stamps_ms, fps, -1

    def isOpened(self) -> bool:
        return True

    def get(self, prop: int) -> float:
        return {cv2.CAP_PROP_FPS: self.fps, cv2.CAP_PROP_POS_MSEC: self.stamps_ms[max(0, self.at)]}.get(prop, -1e16)

    def grab(self) -> bool:
        self.at += 1
        return self.at < len(self.stamps_ms)

    def retrieve(self) -> tuple[bool, Any]:
        return True, np.zeros((4, 4, 3), np.uint8)

    def release(self) -> None: ...


@pytest.mark.parametrize(
    ("stamps_ms", "fps", "gaps_ms"),
    [
        ([0, 0, 0], 10, [100, 100, 100]),
        ([0, 100, 50, 150], 10, [100, 100, 100, 100]),
        ([0, float("nan"), 100], 20, [50, 50, 50]),
        ([0, 40, 9e9], 10, [100, 40, 100]),
        ([0, 0], 0, [40, 40]),
        ([0, 0], float("nan"), [40, 40]),
        ([0, 0], 90_000, [40, 40]),
    ],
)
def test_where_time_stamps_are_broken_the_frame_rate_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stamps_ms: list[float], fps: float, gaps_ms: list[int]
) -> None:
    (tmp_path / "a.gif").write_bytes(b"GIF89a")
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: Capture(stamps_ms, fps))
    frames, error = read(tmp_path / "a.gif")
    assert [round(frame.gap_s * 1000) for frame in frames] == gaps_ms
    assert error is None


@pytest.mark.parametrize(("ending", "options"), [("mkv", {}), ("mp4", {"movflags": "faststart"})])
def test_a_film_that_breaks_off_gives_what_it_has_and_says_so(
    tmp_path: Path, ending: str, options: dict[str, str]
) -> None:
    path = write(tmp_path / f"film.{ending}", range(0, 8000, 40), options)
    frames, error = read(path)
    assert len(frames) == 200 and error is None
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    frames, error = read(path)
    assert 50 < len(frames) < 150
    assert error is not None and error.reason == "film_broken_off" and "though it claims 8.0 s" in str(error)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no film at all",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:5,\nother.ts\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile other.mp4\n",
        b"\0\0\0\x18ftypisom\0\0\0\0isomiso2",
        b"\x1aE\xdf\xa3" + b"\xff" * 500,
        b"RIFF\xff\xff\0\0AVI LIST",
        (b"G" + b"\x1f\xff\x10" + bytes(184)) * 4,
    ],
)
@pytest.mark.parametrize("ending", ["mp4", "ts", "avi", "gif"])
def test_what_is_no_film_is_refused(tmp_path: Path, content: bytes, ending: str) -> None:
    write(tmp_path / "other.mp4", range(0, 400, 40))
    path = tmp_path / f"film.{ending}"
    path.write_bytes(content)
    frames, error = read(path)
    assert frames == [], "a play list would have led to another film"
    assert error is not None and error.reason == "unreadable_file"


def test_a_name_that_is_no_utf8_is_refused_since_opencv_would_end_the_process(tmp_path: Path) -> None:
    good = write(tmp_path / "good.mp4", range(0, 400, 40))
    bad = Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xffd.mp4"))
    shutil.copy(good, bad)
    frames, error = read(bad)
    assert frames == [] and error is not None and error.reason == "bad_file_name"
    odd = tmp_path / "größe: 100%d 'x'.mp4"
    shutil.copy(good, odd)
    assert len(read(odd)[0]) == 10


def test_a_name_with_a_colon_is_no_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "other.mp4", range(0, 400, 40)).rename("concat:other.mp4")
    assert len(read(Path("concat:other.mp4"))[0]) == 10


def test_a_film_that_is_gone_is_told_as_that(tmp_path: Path) -> None:
    assert getattr(read(tmp_path / "gone.mp4")[1], "reason", None) == "vanished"
