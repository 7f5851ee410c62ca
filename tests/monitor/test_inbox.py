"""The inbox: bounded, counted, in order, fair."""

from __future__ import annotations

import threading
import time
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from monitor.scoring.inbox import Inbox
from streams.frame import Frame
from streams.source import Keep
from tests.monitor.scenes import FakeSource, frame


class Count:
    def __init__(self) -> None:
        self.all: Counter[str] = Counter()

    def captured(self, camera: str) -> None:
        self.all[f"captured {camera}"] += 1

    def dropped(self, camera: str, reason: str) -> None:
        self.all[f"{reason} {camera}"] += 1


def inbox(count: Count | None = None, frames: int = 100, nbytes: int = 1 << 20, live: int = 2) -> Inbox:
    return Inbox(count or Count(), max_frames=frames, max_bytes=nbytes, live_frames=live)


def seqs(box: Inbox, size: int = 100) -> list[tuple[str, int]]:
    batch = box.gather(size, 0)
    return [(a.frame.camera, a.frame.seq) for a in batch or []]


def test_a_full_inbox_refuses_patient_frames_and_counts_nothing() -> None:
    count = Count()
    box = inbox(count, frames=2)
    assert [box.offer(FakeSource(), frame(i), Keep.ALL) for i in range(3)] == [True, True, False]
    assert count.all == {"captured line-1": 2}
    assert seqs(box) == [("line-1", 0), ("line-1", 1)]


def test_bytes_bound_it_too_but_one_frame_always_fits() -> None:
    box = inbox(nbytes=100)
    assert box.offer(FakeSource(), frame(0, payload=b"x" * 500), Keep.ALL)
    assert not box.offer(FakeSource(), frame(1, payload=b"x"), Keep.ALL)
    seqs(box)
    assert box.offer(FakeSource(), frame(1, payload=b"x" * 60), Keep.ALL)
    assert not box.offer(FakeSource(), frame(2, payload=b"x" * 60), Keep.ALL)


def test_of_a_live_camera_the_newest_wait_and_the_others_are_counted_and_finished() -> None:
    count, source = Count(), FakeSource()
    box = inbox(count, live=2)
    for i in range(5):
        assert box.offer(source, frame(i), Keep.NEWEST)
    assert seqs(box) == [("line-1", 3), ("line-1", 4)]
    assert count.all == {"captured line-1": 5, "superseded line-1": 3}
    assert [f.seq for f in source.finished] == [0, 1, 2]


def test_a_busy_camera_does_not_starve_the_others() -> None:
    box = inbox(live=10)
    for i in range(10):
        box.offer(FakeSource(), frame(i, "busy"), Keep.NEWEST)
    box.offer(FakeSource(), frame(0, "calm"), Keep.NEWEST)
    assert ("calm", 0) in seqs(box, 2)


def test_a_batch_waits_for_the_oldest_frame_only_so_long() -> None:
    box = inbox()
    box.offer(FakeSource(), frame(0), Keep.ALL)
    began_s = time.monotonic()
    assert len(box.gather(64, 0.15) or []) == 1
    assert 0.1 <= time.monotonic() - began_s < 2


def test_a_full_batch_goes_at_once() -> None:
    box = inbox()
    threading.Timer(0.05, lambda: [box.offer(FakeSource(), frame(i), Keep.ALL) for i in range(4)]).start()
    began_s = time.monotonic()
    assert len(box.gather(4, 60) or []) == 4
    assert time.monotonic() - began_s < 30


def test_a_closed_inbox_gives_out_what_is_there_and_ends() -> None:
    box = inbox()
    box.offer(FakeSource(), frame(0), Keep.ALL)
    box.close()
    assert not box.offer(FakeSource(), frame(1), Keep.ALL)
    assert len(box.gather(64, 60) or []) == 1
    assert box.gather(64, 60) is None


def test_closing_wakes_who_waits() -> None:
    box = inbox()
    threading.Timer(0.05, box.close).start()
    assert box.gather(64, 60) is None


steps = st.lists(
    st.one_of(
        st.tuples(st.just("offer"), st.sampled_from(["a", "b", "live-1", "live-2"])),
        st.tuples(st.just("gather"), st.integers(1, 8)),
    ),
    max_size=80,
)


@given(steps, st.integers(1, 6), st.integers(1, 3))
def test_every_frame_comes_out_once_and_in_its_cameras_order(
    steps: list[tuple[str, object]], frames: int, live: int
) -> None:
    count, box, source = Count(), Inbox(Count(), max_frames=frames, max_bytes=1 << 20, live_frames=live), FakeSource()
    box._account = count
    seq: Counter[str] = Counter()
    out: list[Frame] = []

    def take(size: int) -> None:
        if box._patient or any(box._live.values()):
            batch = box.gather(size, 0)
            assert batch is not None and 0 < len(batch) <= size
            out.extend(a.frame for a in batch)

    for step, value in steps:
        if step == "gather":
            take(int(str(value)))
        else:
            camera = str(value)
            keep = Keep.NEWEST if camera.startswith("live") else Keep.ALL
            if box.offer(source, frame(seq[camera], camera), keep):
                seq[camera] += 1
    while box._patient or any(box._live.values()):
        take(8)
    for camera, offered in seq.items():
        mine = [f.seq for f in out if f.camera == camera]
        assert mine == sorted(set(mine))
        assert len(mine) + count.all[f"superseded {camera}"] == offered == count.all[f"captured {camera}"]


def test_live_frames_are_bounded_in_bytes_too_and_the_newest_of_each_camera_always_fits() -> None:
    count = Count()
    box = inbox(count, nbytes=1000, live=4)
    for seq in range(4):
        box.offer(FakeSource(), frame(seq, "a", payload=b"x" * 400), Keep.NEWEST)
    box.offer(FakeSource(), frame(9, "b", payload=b"x" * 5000), Keep.NEWEST)
    assert count.all == {"captured a": 4, "superseded a": 2, "captured b": 1}
    assert sorted(seqs(box)) == [("a", 2), ("a", 3), ("b", 9)]
    for seq in range(10, 12):
        box.offer(FakeSource(), frame(seq, "a", payload=b"x" * 400), Keep.NEWEST)
    assert sorted(seqs(box)) == [("a", 10), ("a", 11)]
