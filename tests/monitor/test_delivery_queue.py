"""The queue of a channel, the lease on it, and the lanes in it."""

from __future__ import annotations

import json
import time
from collections import defaultdict, deque
from typing import Any

import pytest
import redis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from monitor.delivery.delivery import Delivery
from monitor.delivery.lanes import Lanes, Turn
from monitor.delivery.lease import Lease, unique_owner
from monitor.delivery.queue import DeliveryQueue, delivery_of
from tests.monitor.deliveries import at_last, delivery, number_of


@pytest.fixture
def queue(redis_client: redis.Redis, prefix: str) -> DeliveryQueue:
    queue = DeliveryQueue(redis_client, prefix)
    queue.ready("hook")
    return queue


def test_what_is_finished_is_gone_and_the_rest_counts(queue: DeliveryQueue) -> None:
    assert queue.oldest_ms("hook") is None and queue.depth("hook") == 0
    for number in range(3):
        queue.put(delivery(number))
    first, second, third = queue.take("hook", 1)
    assert [number_of(delivery_of(each.text)) for each in (first, second, third)] == [0, 1, 2]
    assert queue.take("hook", 1) == [] and queue.taken("hook") == 3 == queue.depth("hook")
    for _ in range(2):  # a second time changes nothing
        queue.finish("hook", first.id)
    assert queue.read("hook", first.id) is None and queue.read("hook", second.id) == second
    assert queue.depth("hook") == 2 == queue.taken("hook")
    assert (
        queue.oldest_ms("hook") == int(second.id.split("-")[0]) and abs(time.time() * 1000 - int(second.id[:13])) < 6e4
    )


def test_what_was_taken_comes_back_oldest_first_whoever_took_it(
    queue: DeliveryQueue, redis_client: redis.Redis
) -> None:
    for number in range(230):
        queue.put(delivery(number))
    redis_client.xreadgroup("dispatch", "somebody", {queue.key("hook"): ">"}, count=130)
    queue.take("hook", 1)
    pages = list(queue.claim("hook"))
    assert [number_of(delivery_of(each.text)) for page in pages for each in page] == list(range(230))
    assert max(map(len, pages)) <= 100 and queue.take("hook", 1) == []


def test_staged_with_what_belongs_to_it_or_not_at_all(
    queue: DeliveryQueue, redis_client: redis.Redis, prefix: str
) -> None:
    with redis_client.pipeline(transaction=True) as transaction:
        transaction.watch(prefix)  # type: ignore[no-untyped-call]
        transaction.multi()
        queue.stage(transaction, delivery(1))
        redis_client.set(prefix, "changed by another")
        with pytest.raises(redis.WatchError):
            transaction.execute()
    assert queue.depth("hook") == 0


def test_whoever_gives_no_time_gets_now(queue: DeliveryQueue) -> None:
    document = {**json.loads(delivery(1).to_json()), "queued_ms": 0}
    queue.put(Delivery.from_json(json.dumps(document)))
    (entry,) = queue.take("hook", 1)
    assert abs(delivery_of(entry.text).queued_ms / 1000 - time.time()) < 60


@pytest.mark.parametrize(
    "change",
    [
        {"events": []},
        {"events": "abc"},
        {"events": [1]},
        {"events": [{}]},
        {"kind": "song"},
        {"delivery_id": ""},
        {"queued_ms": "now"},
        {"replayed": None},
        {"subscriptions": [1]},
        {"more": 1},
    ],
)
def test_what_would_only_show_while_it_is_sent_is_seen_before(change: dict[str, Any]) -> None:
    document = json.loads(delivery(1).to_json())
    assert delivery_of(json.dumps(document)).lane == "camera:line-1"
    with pytest.raises(ValueError, match="no delivery"):
        delivery_of(json.dumps({**document, **change}))


@pytest.mark.parametrize("text", ["", "{", "1", "null", "[" * 100_000])
def test_what_is_no_delivery_at_all_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"^no delivery"):
        delivery_of(text)


def test_one_holds_the_lease_until_it_ends_or_is_given_up(redis_client: redis.Redis, prefix: str) -> None:
    key = f"{prefix}:lease:x"
    first, second = (Lease(redis_client, key, unique_owner(), 60_000) for _ in range(2))
    before_s = time.monotonic()
    assert first.hold() and first.hold() and first.ours and not second.hold() and not second.ours
    assert before_s + 50 < first.until_s < time.monotonic() + 60
    second.release()
    assert redis_client.get(key) == first.owner, "who has it not cannot give it up"
    first.release()
    assert not first.ours and second.hold()
    short = Lease(redis_client, f"{prefix}:lease:y", "short", 150)
    assert short.hold()
    at_last("it has run out for its holder", lambda: not short.ours)
    at_last("and then for all", lambda: Lease(redis_client, short.key, "next", 1000).hold())
    assert not short.hold() and short.until_s == 0


class LaneMachine(RuleBasedStateMachine):
    """Lanes held against a plain account of what is queued, by a clock that the machine turns."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.lanes = Lanes(max_wait_s=8.0, clock=lambda: self.now_s)
        self.queued: dict[str, deque[str]] = defaultdict(deque)
        self.out: dict[str, Turn] = {}
        self.not_before: dict[str, float] = {}
        self.tries: dict[str, int] = defaultdict(int)
        self.number = 0

    @rule(name=st.sampled_from("abc"))
    def add(self, name: str) -> None:
        self.number += 1
        self.lanes.add(name, str(self.number))
        self.queued[name].append(str(self.number))

    @rule()
    def take(self) -> None:
        ready = {
            n for n, q in self.queued.items() if q and n not in self.out and self.not_before.get(n, 0) <= self.now_s
        }
        turn = self.lanes.poll()
        if turn is None:
            assert not ready, "a lane that may go on is never forgotten"
            return
        assert turn.lane in ready and turn.entry_id == self.queued[turn.lane][0]
        assert turn.tries == self.tries[turn.entry_id]
        self.out[turn.lane] = turn

    @precondition(lambda self: self.out)
    @rule(
        data=st.data(), how=st.sampled_from(["done", "failed", "last", "untried"]), asked_s=st.sampled_from([0.0, 20.0])
    )
    def back(self, data: st.DataObject, how: str, asked_s: float) -> None:
        name = data.draw(st.sampled_from(sorted(self.out)))
        turn = self.out.pop(name)
        held = bool(self.queued[name]) and self.queued[name][0] == turn.entry_id
        if how == "done":
            self.lanes.done(turn)
            self.not_before[name] = 0
        elif how == "untried":
            self.lanes.untried(turn, 1.0)
            self.not_before[name] = self.now_s + 1.0
        else:
            wait_s = self.lanes.failed(turn, asked_s, last=how == "last")
            assert max(asked_s, 0.01) <= wait_s <= max(asked_s, 8.0)
            self.not_before[name] = self.now_s + wait_s
            self.tries[turn.entry_id] += 1
        if how in {"done", "last"} and held:
            self.queued[name].popleft()

    @rule(passed_s=st.sampled_from([0.1, 5.0, 30.0]))
    def wait(self, passed_s: float) -> None:
        self.now_s += passed_s

    @rule()
    def reload(self) -> None:
        """As after the lease was away: all that is not finished is lined up anew, in order."""
        self.lanes.clear()
        for name, queue in self.queued.items():
            for entry_id in queue:
                self.lanes.add(name, entry_id)

    @invariant()
    def counts(self) -> None:
        assert len(self.lanes) == sum(map(len, self.queued.values()))
        assert self.lanes.busy == len(self.out)
        soonest_s = self.lanes.soonest_s()
        waiting = [self.not_before.get(n, 0) for n, q in self.queued.items() if q and n not in self.out]
        assert (soonest_s is None) == (not waiting)
        if soonest_s is not None:
            assert soonest_s <= max(min(waiting), self.now_s)


TestLanes = LaneMachine.TestCase
TestLanes.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)


def test_lanes_take_turns() -> None:
    lanes = Lanes(max_wait_s=1.0)
    for number in range(3):
        lanes.add("loud", f"loud-{number}")
    lanes.add("quiet", "quiet-0")
    taken = []
    while turn := lanes.poll():
        taken.append(turn.entry_id)
        lanes.done(turn)
    assert taken == ["loud-0", "quiet-0", "loud-1", "loud-2"]
    lanes.close()
    lanes.add("late", "1")
    assert lanes.take() is None
