"""The rules of a watched folder, against a model: files appear, grow, stop growing, are replaced, vanish and return."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.watch import PATIENCE_S, REMEMBER_S, SETTLE_S, FolderAway, Found, Version, Watch, printable

LOOK_EVERY_S = 0.25


@dataclass
class File:
    inode: int
    version: Version
    whole: bool
    changed_s: float


@dataclass
class Disk:
    """A folder and a clock. Looking at one file takes `look_s`."""

    look_s: float = 0.0
    now_s: float = 100.0
    away: bool = False
    files: dict[str, File] = field(default_factory=dict)
    removed: dict[str, File] = field(default_factory=dict)
    writes: int = 0

    def names(self) -> dict[str, int]:
        if self.away:
            raise FolderAway("away")
        self.now_s += 3 * self.look_s
        return {name: file.inode for name, file in self.files.items()}

    def version(self, name: str) -> Version | None:
        self.now_s += self.look_s
        return None if self.away or name not in self.files else self.files[name].version

    def whole(self, name: str) -> bool:
        return not self.away and name in self.files and self.files[name].whole

    def write(self, name: str, whole: bool, *, in_place: bool) -> None:
        """A version that never was before, in the same inode or in a new one."""
        self.writes += 1
        there = self.files.get(name)
        inode = there.inode if there is not None and in_place else 1000 + self.writes
        self.files[name] = File(inode, Version(self.writes, 10 * self.writes), whole, self.now_s)

    def remove(self, name: str) -> None:
        if name in self.files:
            self.removed[name] = self.files.pop(name)

    def bring_back(self, name: str) -> None:
        if name in self.removed and name not in self.files:
            self.files[name] = self.removed.pop(name)


NAMES = st.sampled_from(["a", "b", "c", "d"])
STEPS = st.one_of(
    st.tuples(st.just("write"), NAMES, st.booleans(), st.booleans()),
    st.tuples(st.just("remove"), NAMES),
    st.tuples(st.just("bring back"), NAMES),
    st.tuples(st.just("away"), st.booleans()),
    st.tuples(st.just("wait"), st.sampled_from([0.1, 0.25, 0.5, 1.0, 31.0])),
    st.tuples(st.just("look"), st.booleans(), st.booleans()),
)


class Reader:
    """Reads what the watch gives out, and holds it against the disk."""

    def __init__(self, disk: Disk, watch: Watch) -> None:
        self.disk, self.watch = disk, watch
        self.read: list[tuple[str, Version]] = []

    def look(self, torn: bool = False, backlog_s: float = 0.0) -> None:
        """torn: the first file changes under the reader. backlog_s: how long each file waits for room."""
        before_s = self.disk.now_s
        try:
            for found in self.watch.due():
                self.check(found, before_s)
                if torn and not found.gone:
                    self.disk.write(found.name, True, in_place=True)
                    self.watch.put_back(found.name)
                    torn = False
                elif not found.gone:
                    self.read.append((found.name, found.version))
                self.disk.now_s += backlog_s
        except FolderAway:
            assert self.disk.away

    def check(self, found: Found, looked_s: float) -> None:
        there = self.disk.files.get(found.name)
        if found.gone:
            assert there is None
            return
        assert there is not None and there.version == found.version
        assert (found.name, found.version) not in self.read, "given out twice"
        unchanged_s = self.disk.now_s - there.changed_s
        assert unchanged_s >= SETTLE_S
        assert there.whole or unchanged_s >= PATIENCE_S, "given out half-written"


@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, max_size=40), st.sampled_from([0.0, 0.002, 0.05]))
def test_each_complete_version_is_given_out_exactly_once(steps: list[tuple[object, ...]], look_s: float) -> None:
    disk = Disk(look_s)

    def clock() -> float:
        return disk.now_s

    reader = Reader(disk, Watch(disk, existing=True, started_ns=0, clock=clock, cpu=clock))
    for step in steps:
        match step:
            case ("write", str(name), bool(whole), bool(in_place)):
                disk.write(name, whole, in_place=in_place)
            case ("remove", str(name)):
                disk.remove(name)
            case ("bring back", str(name)):
                disk.bring_back(name)
            case ("away", bool(away)):
                disk.away = away
            case ("wait", float(duration_s)):
                disk.now_s += duration_s
            case ("look", bool(torn), bool(slow)):
                reader.look(torn, 2.0 if slow else 0.0)
    disk.away = False
    end_s = disk.now_s + PATIENCE_S + 40
    while disk.now_s < end_s:
        reader.look()
        disk.now_s += LOOK_EVERY_S
    for name, file in disk.files.items():
        assert reader.read.count((name, file.version)) == 1, f"{name} was never given out"


def watching(disk: Disk, *, existing: bool = True, started_ns: int = 0) -> Reader:
    return Reader(
        disk,
        Watch(disk, existing=existing, started_ns=started_ns, clock=lambda: disk.now_s, cpu=lambda: disk.now_s),
    )


def look_for(reader: Reader, duration_s: float) -> list[str]:
    """The names that are given out within this time."""
    before, end_s = len(reader.read), reader.disk.now_s + duration_s
    while reader.disk.now_s < end_s:
        reader.look()
        reader.disk.now_s += LOOK_EVERY_S
    return [name for name, _ in reader.read[before:]]


def test_the_order_is_that_of_the_time_stamps_and_then_of_the_names() -> None:
    disk = Disk()
    for name, time_ns in (("c", 5), ("b", 7), ("a", 7), ("d", 1)):
        disk.files[name] = File(ord(name), Version(time_ns, 1), True, 0)
    assert look_for(watching(disk), 2) == ["d", "c", "a", "b"]


def test_without_existing_only_what_comes_later_is_given_out_also_where_the_folder_comes_later() -> None:
    disk = Disk(away=True)
    reader = watching(disk, existing=False, started_ns=50)
    assert look_for(reader, 2) == []
    disk.away = False
    disk.files = {name: File(t, Version(t, 1), True, 0) for name, t in (("old", 49), ("new", 51))}
    assert look_for(reader, 2) == ["new"]
    disk.write("old", True, in_place=True)
    assert look_for(reader, 2) == ["old"], "written over: that is new"


def test_what_went_before_its_turn_is_told_and_not_what_is_out_of_sight_or_was_never_complete() -> None:
    disk = Disk()
    for name in ("a", "b", "c"):
        disk.write(name, name != "c", in_place=True)
    watch = watching(disk).watch
    assert list(watch.due()) == []
    disk.now_s += 1
    turns = watch.due()
    assert next(turns).name == "a"
    disk.away = True
    with pytest.raises(FolderAway):
        next(turns)
    disk.away, disk.now_s = False, disk.now_s + 1
    turns = watch.due()
    assert next(turns).name == "b"  # c comes after it, and has no end
    assert list(turns) == []
    disk.write("d", True, in_place=True)
    disk.write("e", True, in_place=True)
    assert list(watch.due()) == []
    disk.now_s += 1
    turns = watch.due()
    assert next(turns).name == "d"
    disk.remove("e")
    disk.remove("c")
    assert [(found.name, found.gone) for found in turns] == [("e", True)]


def test_a_file_that_stays_incomplete_is_given_out_after_a_while() -> None:
    disk = Disk()
    disk.write("a", False, in_place=True)
    reader = watching(disk)
    assert look_for(reader, PATIENCE_S - 1) == []
    assert look_for(reader, 4) == ["a"]


def test_a_file_that_keeps_growing_is_waited_for() -> None:
    disk = Disk()
    reader = watching(disk)
    for _ in range(200):
        disk.write("a", True, in_place=True)
        assert look_for(reader, 0.25) == []
    assert look_for(reader, 1.5) == ["a"]


def test_names_that_are_gone_are_forgotten_after_a_while_and_not_at_once() -> None:
    disk = Disk()
    for i in range(50):
        disk.write(f"{i}", True, in_place=True)
    disk.write("half", False, in_place=True)
    reader = watching(disk)
    assert len(look_for(reader, 2)) == 50
    for name in list(disk.files):
        disk.remove(name)
    assert look_for(reader, 2) == [] and reader.watch.remembered == 51
    disk.bring_back("7")
    assert look_for(reader, 2) == [], "the same file once more, after a failure of the network, say"
    disk.now_s += REMEMBER_S
    look_for(reader, 2)
    assert reader.watch.remembered == 1


def test_looking_at_a_large_folder_takes_a_share_of_the_time() -> None:
    disk = Disk(look_s=0.001)
    for i in range(2000):
        disk.write(f"{i:04}", True, in_place=True)
    reader = watching(disk)
    assert len(look_for(reader, 20)) == 2000
    looks = 0

    def version(name: str) -> Version | None:
        nonlocal looks
        looks += 1
        return Disk.version(disk, name)

    disk.version = version  # type: ignore[method-assign]
    look_for(reader, 100)
    assert looks < 100 / LOOK_EVERY_S * 102, "no more than the least at each look"
    disk.write("0000", True, in_place=True)
    assert look_for(reader, 15) == ["0000"], "written over in place: found when its turn has come"
    disk.write("1000", True, in_place=False)
    assert look_for(reader, 2) == ["1000"], "replaced: found with the next listing"


def test_what_is_put_back_is_given_out_again() -> None:
    disk = Disk()
    disk.write("a", True, in_place=True)
    reader = watching(disk)
    assert look_for(reader, 2) == ["a"]
    reader.read.clear()
    reader.watch.put_back("a")
    assert look_for(reader, 2) == ["a"]


def test_a_name_that_is_no_utf8_can_be_printed() -> None:
    assert printable(b"bad\xff.png".decode("utf-8", "surrogateescape")) == "bad\\xff.png"
    assert printable("größe.png") == "größe.png"
