"""How long a capture process puts up with a camera from which nothing can be decoded."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from streams.capture import process, wire
from streams.capture.eye import EyeError, Sight
from streams.capture.options import RtspSourceOptions
from streams.capture.wire import Kind

FIRST_PICTURE_S = 0.4


class Scripted:
    """Sees what it is told to, and the last of it for ever."""

    def __init__(self, *sights: Sight) -> None:
        self._sights = list(sights)

    def open(self) -> str:
        return "nothing"

    def look(self) -> Sight:
        time.sleep(0.005)
        return self._sights.pop(0) if len(self._sights) > 1 else self._sights[0]

    def pixels(self) -> np.ndarray:
        return np.zeros((4, 4, 3), np.uint8)

    def close(self) -> None: ...


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    monkeypatch.setattr(process, "FIRST_PICTURE_S", FIRST_PICTURE_S)
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


@pytest.mark.parametrize(
    ("sights", "key_frames_only", "first", "at_least_s"),
    [
        ((Sight.PICTURE, Sight.DAMAGED), False, Kind.FRAME, 0.1),
        ((Sight.PICTURE, Sight.NOTHING), False, Kind.FRAME, 0.1),
        ((Sight.NOTHING, Sight.NOTHING), False, Kind.ALIVE, FIRST_PICTURE_S),
        ((Sight.PICTURE, Sight.NOT_A_KEY_FRAME), True, Kind.FRAME, FIRST_PICTURE_S),
    ],
)
def test_it_gives_up_when_nothing_can_be_decoded_any_more(
    pipe: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
    sights: tuple[Sight, ...],
    key_frames_only: bool,
    first: Kind,
    at_least_s: float,
) -> None:
    monkeypatch.setattr(process, "ALIVE_EVERY_S", 0.05)
    options = RtspSourceOptions("cam", "rtsp://cam/", read_timeout_s=0.1, key_frames_only=key_frames_only)
    begin_s = time.monotonic()
    with pytest.raises(EyeError, match="could be decoded"):
        process.capture(Scripted(*sights), options, pipe[1], threading.Event())
    assert at_least_s <= time.monotonic() - begin_s < at_least_s + 5
    with os.fdopen(os.dup(pipe[0]), "rb", buffering=0) as stream:
        message = wire.read(stream)
    assert message is not None and message.kind is first


def test_it_leaves_when_asked_to(pipe: tuple[int, int]) -> None:
    leave = threading.Event()
    leave.set()
    process.capture(Scripted(Sight.PICTURE), RtspSourceOptions("cam", "rtsp://cam/"), pipe[1], leave)


def test_a_picture_beyond_the_limit_is_refused_before_it_leaves_the_process(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    options = RtspSourceOptions("c", "rtsp://nowhere", max_pixels=15)
    leave = threading.Event()
    looking = threading.Thread(target=process.capture, args=(Scripted(Sight.PICTURE), options, writing, leave))
    looking.start()
    with os.fdopen(os.dup(reading), "rb", buffering=0) as stream:
        message = wire.read(stream)  # type: ignore[arg-type]  # unbuffered
    leave.set()
    looking.join(10)
    assert message is not None and (message.kind, message.text) == (Kind.UNDECODABLE, "too_large")
