"""The capture process from outside: it hangs, crashes, is killed, outlives nobody, and shows no password to anyone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streams.rtsp import RtspSource, RtspSourceOptions
from tests.streams.captures import captures, gone
from tests.streams.outlet import NotingOutlet, Running
from tests.streams.rtsp_peer import RtspPeer
from tests.streams.test_rtsp import everything_is_accounted_for, told

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc"),
]

PASSWORD = "s3cret/p@ss:w%rd"

# A service of one camera; it says when the first picture is there, and then waits to be killed.
PARENT = """
import sys, threading
from streams.rtsp import RtspSource, RtspSourceOptions
class Outlet:
    def offer(self, frame, keep): print("picture", flush=True); return True
    def __getattr__(self, name): return lambda *_: None
RtspSource(RtspSourceOptions("cam", sys.stdin.readline().strip())).run(Outlet(), threading.Event())
"""


def camera(url: str, **options: float) -> RtspSource:
    return RtspSource(RtspSourceOptions("cam", url, **{"open_timeout_s": 5.0, "read_timeout_s": 2.0, **options}))  # type: ignore[arg-type]


def the_capture() -> int:
    (pid,) = captures()
    return pid


def test_a_capture_that_hangs_is_killed_and_replaced() -> None:
    outlet = NotingOutlet()
    with RtspPeer() as peer, Running(source := camera(peer.url), outlet):
        assert outlet.wait(lambda: len(outlet.frames) >= 25), outlet.troubles
        pid = the_capture()
        begin_s, before = time.monotonic(), len(outlet.frames)
        os.kill(pid, signal.SIGSTOP)
        assert outlet.wait(lambda: ("cam", False) in outlet.ups[1:]), outlet.ups
        noticed_s = time.monotonic() - begin_s
        assert outlet.wait(lambda: told(outlet, "hung for"), 20), outlet.troubles
        killed_s = time.monotonic() - begin_s
        assert gone(pid)
        assert outlet.wait(lambda: outlet.ups[-1] == ("cam", True), 60), outlet.troubles
        print(
            f"\nSIGSTOP, read_timeout_s=2: told after {noticed_s:.1f} s, killed after {killed_s:.1f} s, "
            f"pictures again after {time.monotonic() - begin_s:.1f} s"
        )
        assert outlet.wait(lambda: len(outlet.frames) >= before + 25), outlet.troubles
        assert the_capture() != pid
    assert source.hung == 1
    assert 1.5 < noticed_s < killed_s < 10
    everything_is_accounted_for(outlet)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_capture_that_dies_is_replaced(number: signal.Signals) -> None:
    outlet = NotingOutlet()
    with RtspPeer() as peer, Running(camera(peer.url), outlet):
        assert outlet.wait(lambda: len(outlet.frames) >= 25), outlet.troubles
        os.kill(the_capture(), number)
        assert outlet.wait(lambda: told(outlet, f"its capture ended with signal {number:d}")), outlet.troubles
        assert outlet.wait(lambda: outlet.ups[-1] == ("cam", True), 60), outlet.troubles
    everything_is_accounted_for(outlet)


@pytest.mark.parametrize("stopped", [False, True])
def test_no_capture_is_left_soon_after_the_stop(stopped: bool) -> None:
    outlet = NotingOutlet()
    with RtspPeer() as peer:
        with Running(camera(peer.url), outlet) as running:
            assert outlet.wait(lambda: len(outlet.frames) >= 5), outlet.troubles
            pid = the_capture()
            if stopped:
                os.kill(pid, signal.SIGSTOP)
            begin_s = time.monotonic()
            running.stop.set()
            running.thread.join(10)
            took_s = time.monotonic() - begin_s
        assert took_s < 3 and gone(pid, 0.1)
    print(f"\nrun() returned {took_s:.2f} s after stop")
    assert captures() == []


def test_a_capture_ends_when_its_parent_is_killed() -> None:
    with RtspPeer() as peer:
        parent = subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert parent.stdin is not None and parent.stdout is not None
        try:
            parent.stdin.write(peer.url.encode() + b"\n")
            parent.stdin.flush()
            assert b"picture\n" in iter(parent.stdout.readline, b""), "it ended before the first picture"
            (pid,) = captures(parent.pid)
            assert os.getsid(pid) == pid, "it has a session of its own, so that Ctrl-C does not reach it"
        finally:
            parent.kill()
            parent.wait()
            parent.stdin.close()
            parent.stdout.close()
        assert gone(pid, 5.0)


def test_a_capture_ends_when_nobody_holds_its_input_where_the_kernel_promises_nothing() -> None:
    program = "import time; from streams.capture import lifeline; lifeline.watch(0); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE)
    assert child.stdin is not None and child.poll() is None
    child.stdin.close()
    assert child.wait(20) == 1


def test_the_right_password_opens_and_nobody_sees_it(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    outlet = NotingOutlet()
    with RtspPeer(user="operator", password=PASSWORD) as peer:
        monkeypatch.setenv("LINEWATCH_SOURCES", peer.url)
        with Running(source := camera(peer.url), outlet):
            assert outlet.wait(lambda: len(outlet.frames) >= 5), outlet.troubles
            seen = [(Path("/proc") / str(the_capture()) / name).read_bytes() for name in ("cmdline", "environ")]
            peer.stop()
            assert outlet.wait(lambda: told(outlet, "does not answer"), 60), outlet.troubles
    nowhere(source, outlet, caplog, capfd, b"".join(seen).decode(errors="replace"))


def test_a_wrong_password_is_told_as_that_and_without_it(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    outlet = NotingOutlet()
    with RtspPeer(user="operator", password=PASSWORD) as peer:
        url = peer.url
        peer.password = "another"
        with Running(source := camera(url), outlet):
            assert outlet.wait(lambda: told(outlet, "the camera refuses the user or password")), outlet.troubles
    nowhere(source, outlet, caplog, capfd)


def nowhere(
    source: RtspSource,
    outlet: NotingOutlet,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    more: str = "",
) -> None:
    written = capfd.readouterr()
    told_by_us = [str(outlet.troubles), source.name, repr(source)]
    everywhere = "\n".join([*told_by_us, caplog.text, written.out, written.err, more])
    assert "camera_lost" in everywhere, "the log is among what was looked at"
    assert "s3cret" not in everywhere and "operator" not in everywhere and "p%40ss" not in everywhere
