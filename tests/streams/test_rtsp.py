"""The RTSP source against a real server: frames in order, loss noticed, reconnection for ever, no password anywhere."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from monitor.embedded import EmbeddedRtsp
from streams.rtsp import RtspSource, RtspSourceOptions
from streams.simulator import Line, write_film
from streams.source import Keep
from tests.streams.outlet import NotingOutlet, Running

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    write_film(Line(1, 0, width=160, height=120), folder / "line.mp4", 4)
    return folder


def camera(url: str, **options: float) -> RtspSource:
    return RtspSource(RtspSourceOptions("cam", url, open_timeout_s=5, read_timeout_s=2, **options))  # type: ignore[arg-type]


def test_frames_come_in_order_and_the_newest_win(films: Path) -> None:
    outlet = NotingOutlet()
    with EmbeddedRtsp(films) as server, Running(camera(server.url("line")), outlet):
        assert outlet.wait(lambda: len(outlet.frames) >= 60), outlet.troubles
    assert [f.seq for f in outlet.frames] == sorted({f.seq for f in outlet.frames})
    times = [f.captured_at_ns for f in outlet.frames]
    assert times == sorted(times)
    assert outlet.keeps == {Keep.NEWEST}
    assert outlet.frames[0].pixels is not None and outlet.frames[0].pixels.shape == (120, 160, 3)
    assert outlet.ups[:2] == [("cam", False), ("cam", True)]


def test_a_camera_that_ends_is_told_and_connected_again(films: Path) -> None:
    outlet = NotingOutlet()
    with EmbeddedRtsp(films) as server, Running(camera(server.url("line", loop=False)), outlet):
        assert outlet.wait(lambda: outlet.ups.count(("cam", True)) >= 2, 60), (outlet.ups, outlet.troubles)
    assert ("cam", False) in outlet.ups[2:]
    assert any(t and "stopped after" in t for t in outlet.troubles)
    assert [f.seq for f in outlet.frames] == sorted({f.seq for f in outlet.frames})


def test_frames_beyond_the_wanted_rate_are_let_go_and_counted(films: Path) -> None:
    outlet = NotingOutlet()
    with EmbeddedRtsp(films) as server, Running(camera(server.url("line"), fps=2.0), outlet):
        assert outlet.wait(lambda: len(outlet.frames) >= 8), outlet.troubles
    assert len(outlet.skipped) > len(outlet.frames)
    assert set(outlet.skipped) == {("cam", "fps_limit")}


def test_a_dead_camera_is_tried_again_and_its_password_never_told(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    outlet = NotingOutlet()
    with Running(camera(f"rtsp://operator:s3cret@127.0.0.1:{port}/line?key=s3cret"), outlet):
        assert outlet.wait(lambda: any(t and "does not answer" in t for t in outlet.troubles), 30)
    told = " ".join(str(t) for t in outlet.troubles) + caplog.text
    assert "s3cret" not in told and f"127.0.0.1:{port}" in told


def test_a_camera_that_accepts_and_sends_nothing_is_noticed() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        outlet = NotingOutlet()
        with Running(camera(f"rtsp://127.0.0.1:{silent.getsockname()[1]}/line"), outlet):
            assert outlet.wait(lambda: any(t and "does not answer" in t for t in outlet.troubles), 40)
    assert ("cam", True) not in outlet.ups
