"""Cameras on this machine: none is there in tests, so a film stands in for the device."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from streams.simulator import Line, write_film
from streams.source import Keep
from streams.usb import UsbSource, UsbSourceOptions
from tests.streams.captures import captures
from tests.streams.outlet import NotingOutlet, Running

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "device.mp4"
    write_film(Line(1, 0, width=160, height=120), path, 4)
    return path


def test_a_camera_that_is_not_there_is_told_and_tried_again(capfd: pytest.CaptureFixture[str]) -> None:
    outlet = NotingOutlet()
    source = UsbSource(UsbSourceOptions("bench", 97))
    with Running(source, outlet):
        assert outlet.wait(lambda: len(outlet.ups) >= 3, 60), outlet.ups  # down at the start and after each try
    assert source.name == "usb:bench" and source.cameras == ("bench",)
    assert set(outlet.ups) == {("bench", False)}
    assert outlet.troubles == [
        "camera bench at device 97 does not answer: no such camera, or another program has it, or this user may not "
        "open it; reconnecting"
    ]
    assert "VIDEOIO" not in capfd.readouterr().err, "OpenCV's words stay in the capture process"


def test_pictures_come_through_a_process_of_their_own_and_again_after_the_end(film: Path) -> None:
    outlet = NotingOutlet()
    with Running(UsbSource(UsbSourceOptions("bench", str(film))), outlet):
        assert outlet.wait(lambda: outlet.ups.count(("bench", True)) >= 2, 60), outlet.troubles
    assert [frame.seq for frame in outlet.frames] == list(range(1, len(outlet.frames) + 1))
    assert outlet.keeps == {Keep.NEWEST}
    assert {f.pixels.shape for f in outlet.frames if f.pixels is not None} == {(120, 160, 3)}
    assert outlet.frames[0].origin == "usb:bench/1"
    assert any(t is not None and "stopped after" in t and "sends no more pictures" in t for t in outlet.troubles)


def test_pictures_beyond_the_wanted_rate_are_let_go_and_counted(film: Path) -> None:
    outlet = NotingOutlet()
    with Running(UsbSource(UsbSourceOptions("bench", str(film), fps=20.0)), outlet):
        assert outlet.wait(lambda: len(outlet.frames) >= 5, 60), outlet.troubles
    assert outlet.skipped and set(outlet.skipped) == {("bench", "fps_limit")}


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")
def test_a_camera_that_hangs_is_killed_and_opened_anew(tmp_path: Path) -> None:
    pipe = tmp_path / "device.avi"  # a device that opens, and then never answers
    os.mkfifo(pipe)
    outlet = NotingOutlet()
    source = UsbSource(UsbSourceOptions("bench", str(pipe), open_timeout_s=0.5))
    with Running(source, outlet):
        assert outlet.wait(lambda: source.hung >= 1 and any(outlet.troubles), 60), outlet.troubles
        assert any(t is not None and "its capture hung for" in t for t in outlet.troubles)
        for pid in captures():
            os.kill(pid, signal.SIGSTOP)
    assert captures() == []
