"""The thread of a source: one that raises is told of and started again, one that ends has ended."""

from __future__ import annotations

import threading

import pytest

from monitor import supervision
from monitor.supervision import SourceThread
from streams.backoff import Backoff
from streams.source import Keep, Outlet
from tests.monitor.scenes import FakeSource, frame
from tests.streams.outlet import NotingOutlet


class Stumbling(FakeSource):
    """Raises so many times, then gives one frame and ends."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def run(self, outlet: Outlet, stop: threading.Event) -> None:  # type: ignore[override]
        if self.times:
            self.times -= 1
            raise RuntimeError("a fault of its own")
        outlet.offer(frame(1), Keep.ALL)


def test_one_that_raises_is_told_of_and_started_again_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "Backoff", lambda first_s: Backoff(first_s=0.01, limit_s=0.01))
    outlet, ended = NotingOutlet(), threading.Event()
    thread = SourceThread(Stumbling(2), outlet, threading.Event(), ended.set)
    thread.start()
    thread.join(10)
    assert not thread.is_alive() and ended.is_set()
    assert [f.seq for f in outlet.frames] == [1]
    assert outlet.troubles == ["fake:source failed: RuntimeError; restarted"]


def test_one_that_goes_on_raising_leaves_when_asked_to() -> None:
    stop, ended = threading.Event(), threading.Event()
    outlet = NotingOutlet()
    thread = SourceThread(Stumbling(1000), outlet, stop, ended.set)
    thread.start()
    assert outlet.wait(lambda: bool(outlet.troubles), 10)
    stop.set()
    thread.join(10)
    assert not thread.is_alive() and not ended.is_set() and not outlet.frames
