"""The offset tracker against a plain model: what may be committed is what is finished without a gap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.offsets import OffsetTracker, Partition

P = Partition("frames", 0)
OTHER = Partition("frames", 1)


@given(st.data())
def test_commits_exactly_the_contiguous_finished_prefix(data: st.DataObject) -> None:
    first = data.draw(st.integers(0, 1000))
    count = data.draw(st.integers(1, 40))
    offsets = [first + i for i in range(count)]
    # Gaps, as compaction and transactions leave them.
    offsets = [o for o in offsets if o == first or data.draw(st.booleans())]
    finished_in = data.draw(st.permutations(offsets))
    tracker = OffsetTracker()
    for offset in offsets:
        tracker.start(P, offset)
    finished: set[int] = set()
    for offset in finished_in:
        tracker.finish(P, offset)
        finished.add(offset)
        prefix = [o for i, o in enumerate(offsets) if set(offsets[: i + 1]) <= finished]
        expected = {P: prefix[-1] + 1} if prefix else {}
        assert tracker.committable() == expected
        assert tracker.in_flight(P) == len(offsets) - len(prefix)


@given(st.lists(st.sampled_from(["start", "finish", "commit", "revoke"]), max_size=60), st.randoms())
def test_never_commits_past_an_unfinished_offset(steps: list[str], random: object) -> None:
    tracker = OffsetTracker()
    next_offset, open_offsets, committed = 0, [], 0
    for step in steps:
        if step == "start":
            tracker.start(P, next_offset)
            open_offsets.append(next_offset)
            next_offset += 1
        elif step == "finish" and open_offsets:
            offset = open_offsets.pop(random.randrange(len(open_offsets)))  # type: ignore[attr-defined]
            tracker.finish(P, offset)
            tracker.finish(P, offset)
        elif step == "commit":
            due = tracker.committable()
            committed = max(committed, due.get(P, 0))
            tracker.committed(due)
            assert tracker.committable() == {}
        elif step == "revoke":
            tracker.forget({P})
            # What was read and not committed comes again, from the committed offset.
            next_offset, open_offsets = committed, []
        assert tracker.committable().get(P, 0) <= min(open_offsets, default=next_offset)


def test_a_partition_that_was_lost_is_ignored() -> None:
    tracker = OffsetTracker()
    tracker.start(P, 5)
    tracker.start(OTHER, 9)
    tracker.forget({P})
    tracker.finish(P, 5)
    tracker.finish(OTHER, 9)
    assert tracker.committable() == {OTHER: 10}


def test_what_is_committed_is_not_due_again() -> None:
    tracker = OffsetTracker()
    tracker.start(P, 0)
    tracker.finish(P, 0)
    tracker.committed(tracker.committable())
    assert tracker.committable() == {}
    tracker.start(P, 1)
    assert tracker.committable() == {}
    tracker.finish(P, 1)
    assert tracker.committable() == {P: 2}
