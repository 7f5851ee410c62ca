"""The offset tracker against a plain model: nothing unfinished is ever passed by, and nothing is stuck for ever."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from streams.offsets import OffsetTracker, Partition, Started

P = Partition("frames", 0)
OTHER = Partition("frames", 1)


@given(st.data())
def test_commits_exactly_the_contiguous_finished_prefix(data: st.DataObject) -> None:
    first = data.draw(st.integers(0, 1000))
    count = data.draw(st.integers(1, 40))
    offsets = [first + i for i in range(count)]
    # Gaps, as compaction and transactions leave them.
    offsets = [o for o in offsets if o == first or data.draw(st.booleans())]
    tracker = OffsetTracker()
    started = [tracker.start(P, offset) for offset in offsets]
    finished: set[int] = set()
    for delivery in data.draw(st.permutations(started)):
        tracker.finish(delivery)
        finished.add(delivery.offset)
        prefix = [o for i, o in enumerate(offsets) if set(offsets[: i + 1]) <= finished]
        expected = {P: prefix[-1] + 1} if prefix else {}
        assert tracker.committable() == expected
        assert tracker.in_flight(P) == len(offsets) - len(prefix)


@dataclass
class _Life:
    """One partition as the model sees it: a topic, a group's committed offset, and the worker under test."""

    committed: int = 0  # what the broker has
    owned: bool = True
    position: int = 0  # what this worker reads next
    current: dict[int, Started] = field(default_factory=dict)  # the latest delivery of each offset of this life, rising
    finished: set[Started] = field(default_factory=set)
    next_offset: int | None = None  # what may be committed
    told: int | None = None  # what the tracker was told that the broker has
    done: set[int] = field(default_factory=set)  # offsets finished at least once, by anybody, ever
    under_way: list[Started] = field(default_factory=list)  # what the pipeline may still finish, from old lives too

    def start(self, delivery: Started) -> None:
        assert delivery not in self.under_way and delivery not in self.finished, "each delivery is told apart"
        self.under_way.append(delivery)
        self.current[self.position] = delivery
        self.position += 1

    def finish(self, delivery: Started) -> None:
        self.done.add(delivery.offset)
        self.finished.add(delivery)
        while self.current and next(iter(self.current.values())) in self.finished:
            first = next(iter(self.current))
            del self.current[first]
            self.next_offset = first + 1

    def gone(self) -> None:
        self.owned, self.current, self.next_offset, self.told = False, {}, None, None

    def come(self) -> None:
        self.owned, self.position = True, self.committed


PARTITIONS = st.sampled_from([P, OTHER])


class Group(RuleBasedStateMachine):
    """Any interleaving of reading, finishing, committing, handing over, losing, rewinding and crashing.

    The pipeline may finish any delivery of this process at any time, several times, also long after its partition went
    away and came back. Another worker may take a partition on meanwhile.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tracker = OffsetTracker()
        self.lives = {P: _Life(), OTHER: _Life()}

    @rule(partition=PARTITIONS, gap=st.integers(0, 2), count=st.integers(1, 4))
    def read(self, partition: Partition, gap: int, count: int) -> None:
        life = self.lives[partition]
        if not life.owned:
            return
        life.done |= set(range(life.position, life.position + gap))  # offsets that hold no record
        life.position += gap
        for _ in range(count):
            life.start(self.tracker.start(partition, life.position))

    @rule(partition=PARTITIONS, which=st.integers(0, 1_000), again=st.booleans())
    def finish(self, partition: Partition, which: int, again: bool) -> None:
        life = self.lives[partition]
        if not life.under_way:
            return
        delivery = life.under_way[which % len(life.under_way)]
        if not again:
            life.under_way.remove(delivery)
        self.tracker.finish(delivery)
        life.finish(delivery)

    @rule(partition=PARTITIONS)
    def give_up(self, partition: Partition) -> None:
        """A record was read, and given up before anybody saw it."""
        life = self.lives[partition]
        if life.owned:
            self.tracker.withdraw(self.tracker.start(partition, life.position))

    @rule(outcome=st.sampled_from(["taken", "refused", "taken, but nobody heard"]))
    def commit(self, outcome: str) -> None:
        due = self.tracker.committable()
        if outcome != "refused":
            for partition, offset in due.items():
                self.lives[partition].committed = offset
        if outcome == "taken":
            self.tracker.committed(due)
            for partition, offset in due.items():
                self.lives[partition].told = offset
            assert self.tracker.committable() == {}

    @rule(partition=PARTITIONS, in_order=st.booleans())
    def revoke(self, partition: Partition, in_order: bool) -> None:
        """With a last commit where it went in order, without one where the partition was lost."""
        life = self.lives[partition]
        if in_order and life.owned:
            life.committed = self.tracker.committable().get(partition, life.committed)
        self.tracker.forget({partition})
        life.gone()

    @rule(partition=PARTITIONS, count=st.integers(0, 5))
    def another_worker_holds_it(self, partition: Partition, count: int) -> None:
        life = self.lives[partition]
        if not life.owned:
            life.done |= set(range(life.committed, life.committed + count))
            life.committed += count

    @rule(partition=PARTITIONS)
    def assign(self, partition: Partition) -> None:
        if not self.lives[partition].owned:
            self.lives[partition].come()

    @rule(partition=PARTITIONS, back=st.integers(1, 5))
    def rewind(self, partition: Partition, back: int) -> None:
        """Reading goes back, as after a truncated topic; a lower offset that starts tells of it."""
        life = self.lives[partition]
        if not life.owned or life.position == 0:
            return
        life.position = max(0, life.position - back)
        life.current = {offset: delivery for offset, delivery in life.current.items() if offset < life.position}
        if life.next_offset is not None:
            life.next_offset = min(life.next_offset, life.position)
        life.start(self.tracker.start(partition, life.position))

    @rule()
    def crash(self) -> None:
        """The process and all that it had under way are gone; another one starts where the commits say."""
        self.tracker = OffsetTracker()
        for life in self.lives.values():
            life.gone()
            life.under_way, life.finished = [], set()
            life.come()

    @invariant()
    def agrees_with_the_model(self) -> None:
        expected = {p: life.next_offset for p, life in self.lives.items() if life.next_offset != life.told}
        assert self.tracker.committable() == {p: offset for p, offset in expected.items() if offset is not None}
        for partition, life in self.lives.items():
            assert self.tracker.in_flight(partition) == len(life.current)

    @invariant()
    def nothing_unfinished_is_passed(self) -> None:
        for partition, life in self.lives.items():
            due = self.tracker.committable().get(partition, 0)
            open_offsets = [offset for offset, delivery in life.current.items() if delivery not in life.finished]
            assert due <= min(open_offsets, default=due)
            # What is committed never comes again, so every offset below it must have been finished by somebody.
            assert set(range(max(due, life.committed))) <= life.done

    def teardown(self) -> None:
        """Whatever happened: once all that is under way is finished, all that was read can be committed."""
        for partition, life in self.lives.items():
            started = bool(life.current)
            for delivery in life.under_way:
                self.tracker.finish(delivery)
            assert self.tracker.in_flight(partition) == 0
            if started:
                assert self.tracker.committable()[partition] == life.position


TestGroup = Group.TestCase
TestGroup.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)


def test_what_comes_back_from_an_earlier_life_of_a_partition_is_ignored() -> None:
    tracker = OffsetTracker()
    earlier = tracker.start(P, 5)
    other = tracker.start(OTHER, 9)
    tracker.forget({P})
    later = tracker.start(P, 5)
    tracker.finish(earlier)
    tracker.finish(other)
    assert tracker.committable() == {OTHER: 10}
    tracker.finish(later)
    assert tracker.committable() == {OTHER: 10, P: 6}


def test_only_the_last_one_started_can_be_withdrawn() -> None:
    tracker = OffsetTracker()
    first, last = tracker.start(P, 5), tracker.start(P, 6)
    with pytest.raises(ValueError, match="not the last"):
        tracker.withdraw(first)
    tracker.withdraw(last)
    tracker.finish(first)
    assert tracker.committable() == {P: 6}


def test_what_is_committed_is_not_due_again() -> None:
    tracker = OffsetTracker()
    tracker.finish(tracker.start(P, 0))
    tracker.committed(tracker.committable())
    assert tracker.committable() == {}
    last = tracker.start(P, 1)
    assert tracker.committable() == {}
    tracker.finish(last)
    assert tracker.committable() == {P: 2}
