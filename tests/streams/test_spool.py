"""The buffer on disk: in order, bounded, counted, and there again after a crash."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streams.frame import Frame
from streams.spool import DAMAGED, DISK_FULL, Spool
from streams.spool_file import NAME, PAGE_BYTES, SpoolError, SpoolInUseError
from streams.spool_rows import Kept, cost_of

ROOT = Path(__file__).parents[2]


def frame(seq: int, camera: str = "line-1", size: int = 1000, product: str | None = None) -> Frame:
    return Frame(camera, seq, 1_000_000 + seq, f"rtsp:{camera}/{seq}", bytes([seq % 256]) * size, product=product)


def kept(spool: Spool, seq: int, camera: str = "line-1", size: int = 1000, live: bool = True) -> Kept:
    return Kept(spool.next_number(), frame(seq, camera, size), live)


def seqs(frames: list[Kept]) -> list[int]:
    return [item.frame.seq for item in frames]


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "buffer", 100 * PAGE_BYTES)
    yield spool
    spool.close()


def test_a_frame_comes_back_as_it_was(spool: Spool) -> None:
    sent = Kept(spool.next_number(), frame(7, "Linie 1 – oben", 50_000, product="bottle"), live=False)
    spool.append([sent])
    (got,) = spool.read(10, 1 << 20)
    assert (got.number, got.live) == (sent.number, False)
    assert all(getattr(got.frame, k) == getattr(sent.frame, k) for k in Frame.__slots__ if k != "ticket")


def test_it_hands_out_in_order_within_its_limits_and_keeps_what_is_not_acknowledged(spool: Spool) -> None:
    spool.append([kept(spool, i) for i in range(10)])
    assert seqs(spool.read(3, 1 << 20)) == [0, 1, 2]
    assert seqs(spool.read(100, 2500)) == [3, 4]
    assert seqs(spool.read(100, 1)) == [5], "one at least, or a large frame would block the way for ever"
    assert (spool.frames, spool.unread) == (10, 4)
    spool.acknowledge([1, 2, 5])
    spool.rewind()
    first = spool.read(100, 1 << 20)
    assert seqs(first) == [2, 3, 5, 6, 7, 8, 9]
    spool.acknowledge(item.number for item in first)
    assert (spool.frames, spool.unread, spool.bytes, spool.counts) == (0, 0, 0, {})


def test_the_oldest_live_frames_go_first_and_are_counted(spool: Spool) -> None:
    patient = kept(spool, 0, "files", live=False)
    spool.append([patient, *(kept(spool, i, f"line-{i % 2}", PAGE_BYTES * 5) for i in range(1, 60))])
    assert spool.bytes <= 100 * PAGE_BYTES
    assert spool.losses() == {("line-0", "buffer_full"): 21, ("line-1", "buffer_full"): 22}
    assert spool.losses() == {}
    assert seqs(spool.read(1000, 1 << 30)) == [0, *range(44, 60)]


def test_what_is_handed_out_is_not_dropped(spool: Spool) -> None:
    spool.append([kept(spool, i, size=PAGE_BYTES * 9) for i in range(10)])
    assert seqs(spool.read(8, 1 << 30)) == list(range(8))
    spool.append([kept(spool, i, size=PAGE_BYTES * 9) for i in range(10, 13)])
    assert spool.losses() == {("line-1", "buffer_full"): 3}
    spool.rewind()
    assert seqs(spool.read(1000, 1 << 30)) == [*range(8), 11, 12]


def test_a_frame_larger_than_the_buffer_pushes_nothing_out(spool: Spool) -> None:
    spool.append([kept(spool, i) for i in range(5)])
    spool.append([kept(spool, 9, size=PAGE_BYTES * 101)])
    assert spool.frames == 5 and spool.losses() == {("line-1", "buffer_full"): 1}


def test_frames_on_their_way_are_kept_for_a_crash_and_not_handed_out_twice(spool: Spool, tmp_path: Path) -> None:
    on_their_way = [kept(spool, i) for i in range(3)]
    spool.guard(on_their_way)
    spool.append([kept(spool, i) for i in range(3, 5)])
    assert seqs(spool.read(100, 1 << 20)) == [3, 4]
    spool.acknowledge([on_their_way[0].number])
    spool.close()
    again = Spool(tmp_path / "buffer", 1 << 20)
    assert seqs(again.read(100, 1 << 20)) == [1, 2, 3, 4]
    assert again.recovered() == {"line-1": 4} and again.next_number() == 6
    again.close()


def test_appending_a_frame_that_is_there_changes_nothing(spool: Spool) -> None:
    items = [kept(spool, i) for i in range(3)]
    spool.append(items)
    spool.append(items)
    assert spool.frames == 3 and spool.bytes == sum(cost_of(i.frame) for i in items) and spool.losses() == {}


def test_two_processes_cannot_share_a_buffer(spool: Spool, tmp_path: Path) -> None:
    spool.append([kept(spool, 1)])
    with pytest.raises(SpoolInUseError, match="two ingests cannot share a buffer"):
        Spool(tmp_path / "buffer", 1 << 20)
    code = "import sys; from pathlib import Path; from streams.spool import Spool\nSpool(Path(sys.argv[1]), 1000000)\n"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "buffer"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "SpoolInUseError" in done.stderr
    assert seqs(spool.read(10, 1 << 20)) == [1], "the first one works on"


def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(SpoolError, match="cannot be opened for writing"):
        Spool(tmp_path, 1 << 20)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SpoolError, match="cannot be made"):
        Spool(tmp_path / "file" / "buffer", 1 << 20)


@pytest.mark.parametrize("content", [b"garbage " * 4096, b"\x00" * 100_000, b"SQLite format 3\x00" + b"\xff" * 8192])
def test_a_damaged_file_is_moved_aside_and_a_new_one_begun(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / NAME
    file.write_bytes(content)
    spool = Spool(tmp_path, 1 << 20)
    spool.append([kept(spool, 1)])
    assert seqs(spool.read(10, 1 << 20)) == [1] and spool.trouble is None
    (aside,) = tmp_path.glob(f"{NAME}.damaged-*")
    assert aside.read_bytes() == content
    spool.close()


def test_a_file_of_another_version_is_moved_aside(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / NAME)
    other.execute("PRAGMA user_version = 9")
    other.close()
    spool = Spool(tmp_path, 1 << 20)
    assert spool.frames == 0 and len(list(tmp_path.glob(f"{NAME}.damaged-*"))) == 1
    spool.close()


def test_damage_while_running_costs_what_waits_and_is_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 24)
    spool.append([kept(spool, i, size=20_000) for i in range(100)])
    out = spool.read(3, 1 << 20)
    spool.close()
    spool = Spool(tmp_path, 1 << 24)
    spool.recovered()
    assert len(spool.read(3, 1 << 20)) == len(out) == 3
    assert spool._db is not None
    spool._db.execute("PRAGMA cache_size = 1")
    with (tmp_path / NAME).open("r+b") as file:  # every page but the first
        file.seek(PAGE_BYTES)
        file.write(os.urandom((tmp_path / NAME).stat().st_size - PAGE_BYTES))
    for i in range(200, 203):
        spool.append([kept(spool, i)])
        spool.read(100, 1 << 24)
    assert spool.losses() == {("line-1", DAMAGED): 97}, "three were on their way, and their owner has them"
    assert len(list(tmp_path.glob(f"{NAME}.damaged-*"))) == 1
    spool.rewind()
    assert seqs(spool.read(100, 1 << 20))[-1] == 202
    spool.close()


def limit_pages(spool: Spool, more: int) -> None:
    """From now on the file may grow by so many pages: SQLite then says `database or disk is full`."""
    assert spool._db is not None
    (pages,) = spool._db.execute("PRAGMA page_count").fetchone()
    spool._db.execute(f"PRAGMA max_page_count = {pages + more}")


def test_a_full_disk_costs_the_oldest_frames_and_heals(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 24)
    spool.append([kept(spool, i, size=PAGE_BYTES * 3) for i in range(10)])
    limit_pages(spool, 4)
    for i in range(10, 20):
        spool.append([kept(spool, i, size=PAGE_BYTES * 3)])
    assert spool.trouble is not None and "is full" in spool.trouble
    lost = spool.losses()
    assert set(lost) == {("line-1", DISK_FULL)} and lost["line-1", DISK_FULL] >= 8
    assert spool.frames == 20 - lost["line-1", DISK_FULL]
    assert seqs(spool.read(100, 1 << 24)) == list(range(20 - spool.frames, 20)), "the newest are there, in order"
    limit_pages(spool, 10_000)
    spool.append([kept(spool, 20)])
    assert spool.trouble is None and spool.losses() == {}
    spool.close()


def test_a_full_disk_without_live_frames_to_drop_costs_the_new_one(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 24)
    spool.append([kept(spool, i, size=PAGE_BYTES * 3, live=False) for i in range(10)])
    limit_pages(spool, 0)
    spool.append([kept(spool, i, size=PAGE_BYTES * 3) for i in range(10, 15)])
    assert spool.frames == 10 and spool.losses() == {("line-1", DISK_FULL): 5}
    spool.close()


FILL = """
import resource, signal, sys
from pathlib import Path
from streams.frame import Frame
from streams.spool import Spool
from streams.spool_rows import Kept
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
spool = Spool(Path(sys.argv[1]), 1 << 30)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
for i in range(100):
    spool.append([Kept(spool.next_number(), Frame("line-1", i, i, "x", bytes(50_000)), True)])
told = spool.trouble
lost = sum(spool.losses().values())
assert told is not None, "no trouble"
assert lost + spool.frames == 100, (lost, spool.frames)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.getrlimit(resource.RLIMIT_FSIZE)[1],) * 2)
spool.append([Kept(spool.next_number(), Frame("line-1", 100, 100, "x", bytes(50_000)), True)])
assert spool.trouble is None and not spool.losses(), (spool.trouble,)
print(spool.frames, told)
spool.close()
"""


def test_a_disk_that_takes_no_more_bytes_is_counted_and_heals(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FILL, tmp_path], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    count = int(done.stdout.splitlines()[-1].split()[0])
    spool = Spool(tmp_path, 1 << 30)
    found = spool.read(1000, 1 << 30)
    assert len(found) == count and found[-1].frame.seq == 100
    assert seqs(found) == sorted(seqs(found)) and all(len(f.frame.payload or b"") == 50_000 for f in found)
    spool.close()


ON_THEIR_WAY = """
import resource, signal, sys
from pathlib import Path
from streams.frame import Frame
from streams.spool import Spool
from streams.spool_rows import Kept
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
spool = Spool(Path(sys.argv[1]), 1 << 30)
spool.append([Kept(spool.next_number(), Frame("line-1", i, i, "x", bytes(50_000)), True) for i in range(20)])
out = spool.read(15, 1 << 30)
most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))
spool.acknowledge(kept.number for kept in out[:3])
spool.append(out[3:])
assert spool.trouble is not None, "the disk should have failed"
assert spool.losses() == {} and spool.frames == 17, "what is on disk is not dropped"
spool.rewind()
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
spool.close()
"""


def test_a_failing_disk_drops_nothing_that_is_on_it_and_sends_nothing_twice(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ON_THEIR_WAY, tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    spool = Spool(tmp_path, 1 << 30)
    assert seqs(spool.read(1000, 1 << 30)) == list(range(3, 20)), "what arrived went when the disk worked again"
    spool.close()


WRITE = """
import sys
from pathlib import Path
from streams.frame import Frame
from streams.spool import Spool
from streams.spool_rows import Kept
spool = Spool(Path(sys.argv[1]), 1 << 30)
i = 0
while True:
    spool.append([Kept(spool.next_number(), Frame("line-1", i + k, i + k, "x", bytes(20_000)), True) for k in range(4)])
    i += 4
    print(i, flush=True)
"""


def test_all_that_was_stored_is_there_after_sigkill(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", WRITE, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = 0
    for line in process.stdout:
        told = int(line)
        if told >= 400:
            process.send_signal(signal.SIGKILL)
            break
    told = max([told, *(int(line) for line in process.stdout if line.endswith("\n"))])
    process.wait(20)
    spool = Spool(tmp_path, 1 << 30)
    found = seqs(spool.read(100_000, 1 << 30))
    assert found == list(range(len(found))) and len(found) >= told
    spool.close()


def test_the_files_stay_near_the_bound_and_shrink_when_empty(tmp_path: Path) -> None:
    bound = 32 << 20
    spool = Spool(tmp_path, bound)
    for i in range(60):
        spool.append([kept(spool, i * 20 + k, size=50_000) for k in range(20)])
    size = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert bound * 0.9 < size < bound + (16 << 20)
    spool.acknowledge(item.number for item in spool.read(10_000, 1 << 30))
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 1 << 20
    spool.close()


def test_speed(tmp_path: Path) -> None:
    """Not a bound on this machine's speed, but on mistakes that make it a hundred times slower."""
    spool = Spool(tmp_path, 1 << 30)
    began_s = time.perf_counter()
    for _ in range(100):
        spool.append([kept(spool, i, size=40_000) for i in range(10)])
    stored_s = time.perf_counter() - began_s
    began_s = time.perf_counter()
    while found := spool.read(100, 1 << 24):
        spool.acknowledge(item.number for item in found)
    taken_s = time.perf_counter() - began_s
    print(f"\nspool, frames of 40 kB: {1000 / stored_s:.0f} stored a second, {1000 / taken_s:.0f} taken and removed")
    assert stored_s < 20 and taken_s < 20
    spool.close()


class SpoolAgainstModel(RuleBasedStateMachine):
    """The spool does what a plain list does."""

    PAGES = 12

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.spool = Spool(Path(self.folder.name), self.PAGES * PAGE_BYTES)
        self.stored: list[Kept] = []
        self.out: list[Kept] = []
        self.lost: Counter[tuple[str, str]] = Counter()
        self.told: Counter[tuple[str, str]] = Counter()
        self.seq = 0

    def teardown(self) -> None:
        self.spool.close()
        self.folder.cleanup()

    @rule(
        items=st.lists(
            st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 5 * PAGE_BYTES), st.booleans()), max_size=5
        )
    )
    def append(self, items: list[tuple[str, int, bool]]) -> None:
        new = []
        for camera, size, live in items:
            self.seq += 1
            new.append(kept(self.spool, self.seq, camera, size, live))
        self.spool.append(new)
        up_to = self.out[-1].number if self.out else 0
        for item in new:
            free = self.PAGES * PAGE_BYTES - sum(cost_of(k.frame) for k in self.stored)
            victims = []
            for old in self.stored:
                if free >= cost_of(item.frame):
                    break
                if old.live and old.number > up_to:
                    victims.append(old)
                    free += cost_of(old.frame)
            if free < cost_of(item.frame):
                self.lost[item.frame.camera, "buffer_full"] += 1
                continue
            for old in victims:
                self.stored.remove(old)
                self.lost[old.frame.camera, "buffer_full"] += 1
            self.stored.append(item)

    @rule(frames=st.integers(1, 5), size=st.integers(0, 10 * PAGE_BYTES))
    def read(self, frames: int, size: int) -> None:
        waiting = [k for k in self.stored if not self.out or k.number > self.out[-1].number]
        expected: list[Kept] = []
        room = size
        for item in waiting:
            room -= len(item.frame.payload or b"")
            if expected and (len(expected) >= frames or room < 0):
                break
            expected.append(item)
        got = self.spool.read(frames, size)
        assert [k.number for k in got] == [k.number for k in expected]
        assert [k.frame.payload for k in got] == [k.frame.payload for k in expected]
        self.out += expected

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        done = data.draw(st.lists(st.sampled_from([k.number for k in self.stored + self.out]), unique=True))
        self.spool.acknowledge([*done, 10**6])
        self.stored = [k for k in self.stored if k.number not in done]

    @rule()
    def rewind(self) -> None:
        self.spool.rewind()
        self.out = []

    @rule()
    def reopen(self) -> None:
        self.spool.close()
        self.told.update(self.spool.losses())
        self.spool = Spool(Path(self.folder.name), self.PAGES * PAGE_BYTES)
        assert self.spool.recovered() == Counter(k.frame.camera for k in self.stored)
        self.out = []

    @invariant()
    def agrees(self) -> None:
        self.told.update(self.spool.losses())
        assert self.told == self.lost
        assert self.spool.frames == len(self.stored) and self.spool.counts == Counter(
            k.frame.camera for k in self.stored
        )
        assert self.spool.bytes == sum(cost_of(k.frame) for k in self.stored) <= self.PAGES * PAGE_BYTES
        up_to = self.out[-1].number if self.out else 0
        assert self.spool.unread == sum(k.number > up_to for k in self.stored)
        assert self.spool.trouble is None


TestSpoolAgainstModel = SpoolAgainstModel.TestCase
TestSpoolAgainstModel.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
