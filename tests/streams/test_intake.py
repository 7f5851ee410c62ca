"""The accounting of records between the consumer and the outlet."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streams.intake
from streams.dead_letters import DeadLetters
from streams.frame import Frame
from streams.intake import Intake
from streams.message import Unreadable
from streams.offsets import Partition
from tests.streams.outlet import NotingOutlet
from tests.streams.test_message import Record

P, OTHER = Partition("frames", 0), Partition("frames", 1)


class NotedLetters(DeadLetters):
    """Dead letters that nobody sends."""

    def __init__(self) -> None:
        super().__init__("nowhere:1", "frames.dlq", 1_000)
        self.letters: list[dict[str, Any]] = []
        self.crowded = False

    @property
    def full(self) -> bool:
        return self.crowded

    def add(self, **letter: Any) -> None:
        self.letters.append(letter)


class Room(NotingOutlet):
    """An outlet with room for so many frames."""

    def __init__(self, left: int = 1_000) -> None:
        super().__init__(self._has_room)
        self.left = left

    def _has_room(self) -> bool:
        self.left -= 1
        return self.left >= 0


def record(offset: int, partition: int = 0, **changed: Any) -> Record:
    return Record(**({"offset": offset, "partition": partition, "timestamp": time.time_ns() // 1_000_000} | changed))


def test_what_finds_no_room_waits_in_order_and_is_counted_once() -> None:
    intake, room = Intake(1_000, None, None), Room(2)
    intake.take([record(0), record(1), record(2), record(3, key=None), record(4)])
    intake.offer(room)
    intake.offer(room)
    assert intake.waits and [frame.seq for frame in room.frames] == [0, 1] and room.refused == []
    room.left = 9
    intake.offer(room)
    assert not intake.waits and [frame.seq for frame in room.frames] == [0, 1, 2, 4]
    assert room.refused == [("unknown", "no_camera")]


def test_the_same_frame_is_offered_again() -> None:
    intake = Intake(1_000, None, None)
    offered: list[Frame] = []

    class Full(NotingOutlet):
        def offer(self, frame: Frame, keep: object) -> bool:
            offered.append(frame)
            return len(offered) == 3

    intake.take([record(7)])
    for _ in range(3):
        intake.offer(Full())
    assert len(set(map(id, offered))) == 1 and not intake.waits
    intake.finish(offered[0])
    assert intake.due() == {P: 8}


def test_frames_that_are_too_old_are_let_go_counted_and_finished() -> None:
    intake, room = Intake(1_000, 60_000, None), Room()
    old = time.time_ns() - 61_000_000_000
    young = time.time_ns() - 30_000_000_000
    intake.take(
        [
            record(0, headers=[("captured_at", b"%d" % old)]),
            record(1, timestamp=old // 1_000_000),
            record(2, headers=[("captured_at", b"%d" % young)]),
            record(3, timestamp=1 << 60),  # the future counts as now
        ]
    )
    intake.offer(room)
    assert room.skipped == [("line-1", "stale")] * 2 and [frame.seq for frame in room.frames] == [2, 3]
    assert intake.due() == {P: 2}


def test_a_frame_that_waited_until_it_was_too_old_is_let_go() -> None:
    intake, room = Intake(1_000, 50, None), Room(0)
    intake.take([record(0)])
    intake.offer(room)
    assert intake.waits and room.skipped == []
    end_s = time.monotonic() + 10
    while intake.waits and time.monotonic() < end_s:
        intake.offer(room)
    assert room.skipped == [("line-1", "stale")] and intake.due() == {P: 1}


def test_without_the_setting_nothing_is_too_old() -> None:
    intake, room = Intake(1_000, None, None), Room()
    intake.take([record(0, timestamp=1)])
    intake.offer(room)
    assert len(room.frames) == 1 and room.skipped == []


def test_a_dead_letter_holds_its_offset_back_until_it_is_sent() -> None:
    letters = NotedLetters()
    intake, room = Intake(1_000, None, letters), Room()
    intake.take([record(0, key=b"k", value=b"x" * 1_001), record(1)])
    intake.offer(room)
    intake.finish(room.frames[0])
    assert intake.due() == {} and room.refused == [("k", "oversized")]
    (letter,) = letters.letters
    assert (letter["key"], letter["value"], letter["origin"]) == (b"k", b"x" * 1_001, "frames/0/0")
    assert letter["error"] == "oversized: 1001 bytes; the limit is 1000"
    letter["done"]()
    assert intake.due() == {P: 2}


def test_nothing_is_passed_on_while_too_many_dead_letters_wait() -> None:
    letters = NotedLetters()
    intake, room = Intake(1_000, None, letters), Room()
    letters.crowded = True
    intake.take([record(0), record(1)])
    intake.offer(room)
    assert intake.waits and room.frames == [], "the partitions are paused, as in a full house"
    letters.crowded = False
    intake.offer(room)
    assert not intake.waits and [frame.seq for frame in room.frames] == [0, 1]


def test_what_stands_behind_a_dead_letter_that_cannot_be_written_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams.intake, "MOST_UNFINISHED", 10)
    letters = NotedLetters()
    intake, room = Intake(1_000, None, letters), Room()
    intake.take([record(0, key=None), *(record(offset) for offset in range(1, 30))])
    for _ in range(30):
        intake.offer(room)
        for frame in room.frames:
            intake.finish(frame)
    assert len(room.frames) == 10 and intake.waits and intake.due() == {}
    letters.letters[0]["done"]()
    intake.offer(room)
    assert len(room.frames) > 10


def test_a_record_that_cannot_be_opened_is_refused_in_its_place_and_put_aside() -> None:
    letters = NotedLetters()
    intake, room = Intake(1_000, None, letters), Room(1)
    intake.take([record(0), record(1), Unreadable("frames", 0, 2, "a header's name is no UTF-8"), record(3)])
    intake.offer(room)
    assert room.refused == [], "its turn has not come: it must not be committed before what lies in front of it"
    room.left = 9
    intake.offer(room)
    assert room.refused == [("unknown", "corrupt")] and [frame.seq for frame in room.frames] == [0, 1, 3]
    (letter,) = letters.letters
    assert (letter["key"], letter["value"], letter["origin"]) == (None, None, "frames/0/2")
    assert letter["error"] == "corrupt: a header's name is no UTF-8"
    for frame in room.frames:
        intake.finish(frame)
    assert intake.due() == {P: 2}
    letter["done"]()
    assert intake.due() == {P: 4}


def test_what_waits_of_a_partition_that_goes_is_given_up_without_a_trace() -> None:
    intake, room = Intake(1_000, None, None), Room(1)
    intake.take([record(0), record(1), record(2, key=None), record(0, partition=1)])
    intake.offer(room)
    intake.withhold({P})
    assert intake.under_way({P}) == 1, "one was handed on; the one that was turned away was not"
    room.left = 9
    intake.offer(room)
    assert [(f.seq, f.origin) for f in room.frames] == [(0, "frames/0/0"), (0, "frames/1/0")] and room.refused == []
    intake.finish(room.frames[0])
    assert intake.under_way({P}) == 0 and intake.due() == {P: 1}
    intake.forget({P})
    assert intake.due() == {}


def offset_in(frame: Frame) -> int:
    return int(frame.origin.rpartition("/")[2])


@given(st.lists(st.tuples(st.sampled_from(["read", "room", "finish", "withhold"]), st.integers(0, 3)), max_size=60))
def test_whatever_happens_every_record_is_seen_once_and_no_commit_passes_an_open_one(
    steps: list[tuple[str, int]],
) -> None:
    """A partition that is withheld is read anew from where nothing had been handed on."""
    intake, room = Intake(1_000, None, None), Room(0)
    position = {P: 0, OTHER: 0}
    finished: list[Frame] = []

    def handed_on(partition: Partition) -> list[Frame]:
        return [frame for frame in room.frames if frame.origin.startswith(f"frames/{partition.number}/")]

    for step, amount in steps:
        partition = (P, OTHER)[amount % 2]
        if step == "read":
            intake.take([record(position[partition] + i, partition.number) for i in range(amount)])
            position[partition] += amount
        elif step == "room":
            room.left = amount
            intake.offer(room)
        elif step == "finish":
            for frame in room.frames[len(finished) :][:amount]:
                intake.finish(frame)
                finished.append(frame)
        else:
            intake.withhold({partition})
            position[partition] = len(handed_on(partition))
            assert intake.under_way({partition}) == len([f for f in handed_on(partition) if f not in finished])
        for partition in (P, OTHER):
            assert [offset_in(frame) for frame in handed_on(partition)] == list(range(len(handed_on(partition))))
            done = [frame for frame in handed_on(partition) if frame in finished]
            assert intake.due().get(partition, 0) == len(done), "here frames are finished in order"


def test_a_late_finish_from_before_the_partition_went_away_moves_nothing() -> None:
    intake, room = Intake(1_000, None, None), Room()
    intake.take([record(0)])
    intake.offer(room)
    intake.forget_all()
    intake.take([record(0)])
    intake.offer(room)
    earlier, later = room.frames
    intake.finish(earlier)
    intake.reject(earlier, "undecodable: as well")
    assert intake.due() == {}
    intake.finish(later)
    assert intake.due() == {P: 1}


@pytest.mark.parametrize("ticket", [None, "another source's"])
def test_a_frame_of_another_source_is_none_of_its_business(ticket: str | None) -> None:
    intake = Intake(1_000, None, None)
    intake.finish(Frame("line-1", 0, 0, "x", b"", ticket=ticket))
    assert intake.due() == {}
