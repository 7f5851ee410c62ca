"""Sources that come and go while the service runs: nothing of them is lost, and each is closed once, when it may be."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from monitor.readers import Readers
from monitor.supervision import Custody
from streams.frame import Frame
from streams.source import Keep, Outlet
from tests.monitor.scenes import FakeSource, frame
from tests.monitor.service import until
from tests.streams.outlet import NotingOutlet


class Camera(FakeSource):
    """Offers a frame each millisecond until it is stopped; `ends_after` frames it ends by itself."""

    def __init__(self, name: str, ends_after: int | None = None) -> None:
        super().__init__()
        self.name = f"fake:{name}"
        self.cameras = (name,)  # type: ignore[assignment]
        self.ends_after = ends_after
        self.sent = 0
        self.closed_after: list[int] = []

    def run(self, outlet: Outlet, stop: threading.Event) -> None:  # type: ignore[override]
        while not stop.is_set() and self.sent != self.ends_after:
            if outlet.offer(frame(self.sent, self.cameras[0]), Keep.ALL):
                self.sent += 1
            time.sleep(0.001)

    def close(self) -> None:
        self.closed_after.append(len(self.finished))


class Desk(NotingOutlet):
    """Takes frames on behalf of a custody, and finishes them when it is told to."""

    def __init__(self, custody: Custody) -> None:
        super().__init__()
        self.custody = custody
        self.left: list[str] = []

    def offer(self, frame: Frame, keep: Keep) -> bool:
        taken = super().offer(frame, keep)
        self.custody.taken(frame.camera)
        return taken

    def camera_gone(self, camera: str) -> None:
        self.left.append(camera)

    def finish(self) -> None:
        while self.frames:
            self.custody.finish(self.frames.pop(0))


class Lab:
    def __init__(self, *sources: Camera) -> None:
        self.desks: dict[str, Desk] = {}
        self.readers = Readers(sources, self.outlet)

    def outlet(self, custody: Custody) -> tuple[Outlet, Callable[[], None]]:
        desk = self.desks[custody.source.name] = Desk(custody)
        return desk, lambda: None


def test_a_source_that_is_taken_out_is_closed_when_its_frames_are_finished_and_not_before() -> None:
    old, stays, new = Camera("old"), Camera("stays"), Camera("new")
    lab = Lab(old, stays)
    lab.readers.start()
    assert until(lambda: old.sent > 5 and stays.sent > 5)
    lab.readers.replace([old], [new])
    sent = old.sent
    assert until(lambda: new.sent > 5) and old.sent == sent and old.closed_after == []
    lab.desks["fake:old"].finish()
    assert until(lambda: old.closed_after == [sent])
    assert until(lambda: lab.desks["fake:old"].left == ["old"])
    before = stays.sent
    assert until(lambda: stays.sent > before), "the others read on"
    lab.readers.stop()
    lab.readers.join()
    lab.readers.close()
    assert len(stays.closed_after) == 1 and len(new.closed_after) == 1 and len(old.closed_after) == 1


def test_a_camera_that_another_source_goes_on_with_has_not_left() -> None:
    old, new = Camera("line-1"), Camera("line-1")
    new.name = "fake:line-1 anew"
    lab = Lab(old)
    lab.readers.start()
    assert until(lambda: old.sent > 2)
    lab.readers.replace([old], [new])
    lab.desks["fake:line-1"].finish()
    assert until(lambda: old.closed_after != [])
    assert lab.desks["fake:line-1"].left == []
    lab.readers.stop()
    lab.readers.join()


def test_the_run_goes_on_while_its_only_source_is_replaced_and_ends_with_the_new_one() -> None:
    old, new = Camera("old"), Camera("new", ends_after=3)
    lab = Lab(old)
    lab.readers.start()
    joined = threading.Thread(target=lab.readers.join)
    joined.start()
    assert until(lambda: old.sent > 0)
    lab.readers.replace([old], [new])
    assert until(lambda: new.sent == 3)
    lab.desks["fake:old"].finish()
    joined.join(10)
    assert not joined.is_alive() and new.sent == 3


def test_what_comes_in_the_place_of_another_begins_when_that_is_closed() -> None:
    old, new = Camera("line-1"), Camera("line-1")
    lab = Lab(old)
    lab.readers.start()
    assert until(lambda: old.sent > 5)
    desk = lab.desks["fake:line-1"]
    lab.readers.replace([old], [new])
    assert not until(lambda: new.sent > 0, timeout_s=0.5) and old.closed_after == []
    desk.finish()
    assert until(lambda: new.sent > 3) and len(old.closed_after) == 1
    lab.readers.stop()
    lab.readers.join()
    lab.readers.close()
    assert len(new.closed_after) == 1


def test_a_camera_that_nobody_reads_any_more_is_retired() -> None:
    old, retired = Camera("old"), list[str]()
    lab = Lab(old, Camera("stays"))
    lab.readers._retired = retired.append
    lab.readers.start()
    lab.readers.replace([old], [])
    lab.desks["fake:old"].finish()
    assert until(lambda: retired == ["old"])
    lab.readers.stop()
    lab.readers.join()


def test_one_that_was_taken_out_just_before_the_end_is_closed_as_well() -> None:
    old = Camera("old")
    lab = Lab(old, Camera("stays"))
    lab.readers.start()
    assert until(lambda: old.sent > 2)
    lab.readers.replace([old], [Camera("late")])
    lab.readers.stop()
    lab.desks["fake:old"].finish()
    lab.readers.join()
    lab.readers.close()
    assert len(old.closed_after) == 1


def test_after_stop_nothing_new_is_read() -> None:
    lab = Lab(Camera("old"))
    lab.readers.start()
    lab.readers.stop()
    late = Camera("late")
    lab.readers.replace([], [late])
    lab.readers.join()
    assert late.sent == 0
