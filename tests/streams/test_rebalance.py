"""Two workers share a topic: order per camera, nothing lost, and nothing twice where everybody leaves in order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from kafka.errors import KafkaError
from kafka.structs import MemberState

from monitor.embedded import EmbeddedBroker
from streams.kafka import KafkaSourceOptions
from tests.streams.group import Line, Log, Worker

pytestmark = pytest.mark.slow


@pytest.fixture
def line(broker: EmbeddedBroker, topic: str) -> Iterator[Line]:
    line = Line(broker.address, topic)
    yield line
    line.close()


def options(broker: EmbeddedBroker, topic: str, **changed: Any) -> KafkaSourceOptions:
    """No commit but those of the handover and of the end, unless told otherwise; time for both on a busy machine."""
    values: dict[str, Any] = {"session_timeout_ms": 6_000, "commit_every_s": 1_000.0, "handover_s": 15.0} | changed
    return KafkaSourceOptions(broker.address, topic, f"g-{topic}", **values)


def everything(log: Log, line: Line) -> bool:
    return set(log.seqs()) == set(Line.CAMERAS) and all(len(set(s)) == line.sent for s in log.seqs().values())


def test_order_holds_and_nothing_is_repeated_when_a_worker_joins_and_one_leaves(
    broker: EmbeddedBroker, topic: str, line: Line
) -> None:
    log = Log()
    with line.running():
        first = Worker("first", options(broker, topic), log).start()
        assert log.wait(lambda: log.of("first") > 100), first.troubles
        second = Worker("second", options(broker, topic), log).start()
        assert log.wait(lambda: log.of("second") > 50), second.troubles
        before = log.of("first")
        assert log.wait(lambda: log.of("first") > before + 50), "the first keeps one of the two partitions"
        first.leave()
        before = log.of("second")
        assert log.wait(lambda: log.of("second") > before + 200)
    assert log.wait(lambda: everything(log, line))
    second.leave()
    assert log.seqs() == {camera: list(range(line.sent)) for camera in Line.CAMERAS}


def test_a_worker_that_leaves_in_the_middle_of_a_rebalance_leaves_nothing_to_repeat(
    broker: EmbeddedBroker, topic: str, line: Line
) -> None:
    """The broker refuses its last commit until the rebalance is through, so it is seen through."""
    log = Log()
    with line.running():
        first = Worker("first", options(broker, topic), log).start()
        assert log.wait(lambda: log.of("first") > 100), first.troubles
        second = Worker("second", options(broker, topic), log).start()
        consumer: Any = first.source._consumer
        assert log.wait(lambda: consumer.group_metadata().state is MemberState.REBALANCING)
        first.leave()
        assert log.wait(lambda: log.of("second") > 100), second.troubles
    assert log.wait(lambda: everything(log, line))
    second.leave()
    assert log.seqs() == {camera: list(range(line.sent)) for camera in Line.CAMERAS}


def test_what_takes_too_long_is_repeated_and_delays_the_next_owner_by_no_more_than_the_limit(
    broker: EmbeddedBroker, topic: str, line: Line
) -> None:
    line.send(30)
    log = Log()
    first = Worker("first", options(broker, topic, handover_s=1.0), log)
    first.open.clear()  # its pipeline hangs, full
    first.start()
    assert first.wait(lambda: len(first.frames) == Worker.ROOM + 1)
    second = Worker("second", options(broker, topic), log).start()
    assert log.wait(lambda: log.of("second") == 60), second.troubles
    (theirs,) = {frame.origin.split("/")[1] for _, frame in log.done}
    mine = [camera for camera, partition in Line.CAMERAS.items() if str(partition) != theirs]
    assert all(log.seqs()[camera] == list(range(30)) for camera in set(Line.CAMERAS) - set(mine))
    first.open.set()
    # What it finishes late, of a partition that it no longer has, moves nothing.
    assert log.wait(lambda: all(len(set(log.seqs().get(camera, []))) == 30 for camera in mine))
    first.leave()
    second.leave()
    third = Worker("third", options(broker, topic), log).start()
    line.send(1)
    assert log.wait(lambda: log.of("third") == 4), third.troubles
    third.leave()
    assert {frame.seq for name, frame in log.done if name == "third"} == {30}, "all else was committed"


def test_a_worker_whose_polling_fails_comes_back_and_loses_nothing(
    broker: EmbeddedBroker, topic: str, line: Line
) -> None:
    log = Log()
    with ExitStack() as stack:
        workers = [Worker(name, options(broker, topic, commit_every_s=0.2), log) for name in ("first", "second")]
        for worker in workers:
            stack.callback(worker.start().leave)
        with line.running():
            assert log.wait(lambda: min(log.of("first"), log.of("second")) > 50)

            def fails(**_: Any) -> None:
                raise KafkaError("as a listener's or a decompressor's fault would")

            workers[0].source._consumer.poll = fails
            assert workers[0].wait(lambda: any(t and "fails: KafkaError" in t for t in workers[0].troubles))
            before = log.of("first")
            assert log.wait(lambda: log.of("first") > before + 100), workers[0].troubles
        assert log.wait(lambda: everything(log, line))


def test_a_membership_that_is_lost_is_forgotten_without_a_commit_and_taken_up_again(
    broker: EmbeddedBroker, topic: str, line: Line
) -> None:
    line.send(30)
    log = Log()
    worker = Worker("only", options(broker, topic), log)
    worker.open.clear()  # what it has is under way and stays there
    worker.start()
    assert worker.wait(lambda: len(worker.frames) == Worker.ROOM + 1)
    under_way = [frame.origin for frame in worker.frames]
    consumer: Any = worker.source._consumer
    before = consumer.group_metadata()
    consumer._coordinator.reset_generation()  # as when the broker answers that it knows no such member
    assert worker.wait(lambda: consumer.group_metadata().state is MemberState.STABLE, 30)
    assert consumer.group_metadata().member_id != before.member_id
    worker.open.set()
    assert log.wait(lambda: everything(log, line)), worker.troubles
    again = [frame.origin for _, frame in log.done]
    assert all(again.count(origin) == 2 for origin in under_way), "handed on before the loss, and once more after it"
    worker.leave()
