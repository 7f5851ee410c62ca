"""Messages arrive: dispatchers killed, ousted and stopped; Redis killed; channels that fail, refuse and block."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from monitor.delivery.channels.channel import DeliveryFailed, DeliveryRefused
from monitor.delivery.courier import Courier
from monitor.delivery.dead_letters import DeadLetters
from monitor.delivery.delivery import Delivery
from monitor.delivery.dispatcher import Told
from monitor.delivery.lanes import Lanes
from monitor.delivery.lease import Lease
from monitor.delivery.queue import DeliveryQueue
from monitor.embedded import EmbeddedValkey
from tests.monitor.deliveries import Receiver, Remembering, at_last, delivery, dispatching, number_of

CAMERAS = [f"line-{n}" for n in range(8)]


@pytest.fixture
def queue(redis_client: redis.Redis, prefix: str) -> DeliveryQueue:
    return DeliveryQueue(redis_client, prefix)


@pytest.fixture
def dead(redis_client: redis.Redis, prefix: str) -> DeadLetters:
    return DeadLetters(redis_client, prefix)


def put_all(queue: DeliveryQueue, count: int) -> None:
    for number in range(count):
        queue.put(delivery(number, CAMERAS[number % len(CAMERAS)]))


def assert_all_in_order(channel: Remembering, count: int) -> None:
    for at, camera in enumerate(CAMERAS):
        assert channel.numbers(camera) == list(range(at, count, len(CAMERAS)))


@pytest.mark.slow
def test_killed_at_any_moment_every_message_arrives_in_order_and_with_its_id(
    valkey: EmbeddedValkey, redis_client: redis.Redis, prefix: str, queue: DeliveryQueue, dead: DeadLetters
) -> None:
    """Two processes, of which the one that works is killed again and again while the receiver fails at times."""
    count, kills, chance = 600, 4, random.Random(4)
    receiver = Receiver(failing=0.2, seed=4)
    children: list[subprocess.Popen[bytes]] = []
    killed: list[Any] = []

    def child(url: str) -> None:
        command = [sys.executable, "-m", "tests.monitor.dispatcher_child", valkey.address, prefix, url]
        children.append(subprocess.Popen(command, stdout=subprocess.PIPE))

    def working() -> int | None:
        owner: Any = redis_client.get(f"{prefix}:lease:dispatch:hook")
        return int(owner.split(":")[1]) if owner else None

    def has(messages: int) -> bool:
        return len(receiver.received) >= messages

    with receiver.running() as url:
        try:
            child(url)
            child(url)
            for each in children:
                assert each.stdout and each.stdout.readline() == b"ready\n"
            put_all(queue, count)
            for number in range(kills):
                mark = round(count * (number + chance.random()) / (kills + 1))
                at_last(f"{mark} messages have come", partial(has, mark))
                at_last("a living one works", lambda: working() not in {None, *killed})
                time.sleep(chance.random() / 100)  # anywhere within a try
                killed.append(working())
                os.kill(killed[-1], signal.SIGKILL)
                child(url)
            at_last("the queue is empty", lambda: queue.depth("hook") == 0)
        finally:
            for each in children:
                each.kill()
                each.wait()
                assert each.stdout
                each.stdout.close()
    ids, order = defaultdict(set), defaultdict(list)
    for key, camera, n in receiver.received:
        ids[camera, n].add(key)
        order[camera].append(n)
    wanted = {
        (CAMERAS[n % len(CAMERAS)], n): {delivery(n, CAMERAS[n % len(CAMERAS)]).delivery_id} for n in range(count)
    }
    assert ids == wanted
    for at, camera in enumerate(CAMERAS):
        assert list(dict.fromkeys(order[camera])) == list(range(at, count, len(CAMERAS)))
    assert len(receiver.received) <= count + kills * 3, "only what was in hand is repeated"
    assert dead.count() == {} and queue.taken("hook") == 0


@pytest.mark.slow
def test_redis_killed_and_back_with_its_data_loses_nothing(tmp_path: Path, prefix: str) -> None:
    count = 400
    with EmbeddedValkey(data=tmp_path) as server:
        port, client = server.port, redis.Redis.from_url(server.address, decode_responses=True, socket_timeout=2)
        queue = DeliveryQueue(client, prefix)
        put_all(queue, count)
        channel = Remembering(lambda _: time.sleep(0.002))
        with dispatching(client, prefix, channel, lease_ms=1000) as dispatcher:
            at_last("a quarter is through", lambda: len(channel.arrived) > count / 4)
            assert server.pid
            os.kill(server.pid, signal.SIGKILL)
            server.stop()
            # What is in hand waits to be written down; nothing new is begun when it cannot be read.
            at_last("the lease has run out", lambda: not dispatcher.works)
            tried = len(channel.tries)
            with EmbeddedValkey(port=port, data=tmp_path):
                at_last("the queue is empty", lambda: dispatcher.depth() == 0)
        assert tried < count
    assert_all_in_order(channel, count)


def test_connections_that_break_lose_nothing_and_keep_the_order(
    redis_client: redis.Redis, valkey: EmbeddedValkey, prefix: str, queue: DeliveryQueue
) -> None:
    count, client = 400, redis.Redis.from_url(valkey.address, decode_responses=True, socket_timeout=5)
    client.connection_pool.connection_kwargs["client_name"] = prefix
    put_all(queue, count)
    broken = 0
    channel = Remembering(lambda _: time.sleep(0.002))

    def has(fifths: int) -> bool:
        return len(channel.arrived) > count * fifths / 5

    with dispatching(client, prefix, channel, lease_ms=1000) as dispatcher:
        for part in range(1, 5):
            at_last(f"{part} of five", partial(has, part))
            for each in redis_client.client_list():
                if each["name"] == prefix:
                    broken += 1
                    redis_client.client_kill_filter(_id=each["id"])
        at_last("the queue is empty", lambda: dispatcher.depth() == 0)
    assert broken >= 8, "of the thread that reads and of one at least that delivers, each time"
    assert_all_in_order(channel, count)


def test_a_lane_that_fails_holds_up_no_other_and_keeps_its_order(
    redis_client: redis.Redis, prefix: str, queue: DeliveryQueue
) -> None:
    heal = threading.Event()

    def act(message: Delivery) -> None:
        if message.lane == "camera:bad" and not heal.is_set():
            raise DeliveryFailed("away")

    told: list[Told] = []
    channel = Remembering(act, parallel=1)
    for number in range(30):
        queue.put(delivery(number, "bad"))
        queue.put(delivery(number, "good"))
    with dispatching(redis_client, prefix, channel, told=told.append) as dispatcher:
        at_last("the other lane is through", lambda: len(channel.numbers("good")) == 30)
        assert channel.numbers("bad") == [] and dispatcher.depth() >= 30
        heal.set()
        at_last("the queue is empty", lambda: dispatcher.depth() == 0)
    assert channel.numbers("bad") == list(range(30))
    outcomes = {each.outcome for each in told}
    assert outcomes == {"delivered", "failed"} and sum(each.outcome == "delivered" for each in told) == 60
    assert all(each.error == "away" for each in told if each.outcome == "failed")


def test_who_asks_to_be_left_alone_is(redis_client: redis.Redis, prefix: str, queue: DeliveryQueue) -> None:
    def act(message: Delivery) -> None:
        if len([1 for _, each in channel.tries if each.lane == "camera:busy"]) == 1:
            raise DeliveryFailed("429", retry_after_s=0.7)

    channel = Remembering(act)
    queue.put(delivery(1, "busy"))
    with dispatching(redis_client, prefix, channel):
        at_last("the first try", lambda: len(channel.tries) == 1)
        queue.put(delivery(2, "busy"))
        at_last("both are there", lambda: channel.numbers("busy") == [1, 2])
    assert channel.tries[1][0] - channel.tries[0][0] >= 0.7


def test_what_will_never_arrive_is_a_dead_letter_and_the_next_goes_on(
    redis_client: redis.Redis, prefix: str, queue: DeliveryQueue, dead: DeadLetters
) -> None:
    def act(message: Delivery) -> None:
        match number_of(message):
            case 1:
                raise DeliveryRefused("404 from the receiver")
            case 2:
                raise KeyError("https://hook.example/token")
            case 3 | 4:
                raise DeliveryFailed("503 from the receiver")

    told: list[Told] = []
    channel = Remembering(act)
    for message in (delivery(1), delivery(2), delivery(3, age_s=4000), delivery(4, age_s=3599), delivery(5)):
        queue.put(message)
    redis_client.xadd(queue.key("hook"), {"delivery": '{"kind": "event"}'})
    redis_client.xadd(queue.key("hook"), {"something": "else"})
    with dispatching(redis_client, prefix, channel, told=told.append) as dispatcher:
        at_last("all are done with", lambda: dispatcher.depth() == 0)
    assert channel.numbers() == [5]
    found = {letter.id: letter for letter in dead.list()}
    refused, wrong, expired, late = (found[f"hook:{delivery(n).delivery_id}"] for n in (1, 2, 3, 4))
    assert (refused.outcome, refused.error, refused.tries) == ("refused", "404 from the receiver", 1)
    assert wrong.outcome == "refused" and "unexpected KeyError in " in wrong.error and "token" not in wrong.error
    assert (expired.outcome, expired.error, expired.tries) == ("expired", "503 from the receiver", 1)
    assert late.outcome == "expired" and late.tries > 1
    assert refused.delivery is not None and refused.delivery.events == delivery(1).events
    unreadable = [letter for letter in found.values() if letter.outcome == "unreadable"]
    assert len(unreadable) == 2 and all(letter.delivery is None and letter.error for letter in unreadable)
    assert dead.count() == {"hook": 6} and sum(each.outcome == "unreadable" for each in told) == 2


def test_the_one_that_stops_frees_its_place_at_once(
    redis_client: redis.Redis, prefix: str, queue: DeliveryQueue
) -> None:
    """The lease would last for a minute; a successor looks each fifth of its own."""
    first, second = Remembering(), Remembering()
    with dispatching(redis_client, prefix, first, lease_ms=60_000) as works:
        at_last("it works", lambda: works.works)
        with dispatching(redis_client, prefix, second, lease_ms=1000) as stands_by:
            queue.put(delivery(1))
            at_last("it arrived", lambda: works.depth() == 0)
            assert second.arrived == [] and not stands_by.works
            works.stop(5)
            queue.put(delivery(2))
            at_last("the other one works", lambda: second.numbers() == [2], timeout_s=20)
    assert first.numbers() == [1] and first.closed == 1


def test_stopping_delivers_what_is_queued(redis_client: redis.Redis, prefix: str, queue: DeliveryQueue) -> None:
    put_all(queue, 300)
    channel = Remembering(lambda _: time.sleep(0.002))
    with dispatching(redis_client, prefix, channel) as dispatcher:
        dispatcher.stop(30)
        assert dispatcher.depth() == 0
    assert_all_in_order(channel, 300)


def test_a_channel_that_blocks_is_left_behind_and_what_fails_then_is_no_dead_letter(
    redis_client: redis.Redis, prefix: str, queue: DeliveryQueue, dead: DeadLetters
) -> None:
    go_on, left = threading.Event(), threading.Event()

    def act(_: Delivery) -> None:
        try:
            go_on.wait(60)
            raise RuntimeError("closed meanwhile")
        finally:
            left.set()

    told: list[Told] = []
    channel = Remembering(act, parallel=1)
    queue.put(delivery(1))
    with dispatching(redis_client, prefix, channel, told=told.append) as dispatcher:
        at_last("it blocks", lambda: channel.tries)
        began_s = time.monotonic()
        dispatcher.stop(0.3)
        assert time.monotonic() - began_s < 15 and not dispatcher.works
        assert redis_client.get(f"{prefix}:lease:dispatch:hook") is None
    go_on.set()
    left.wait(10)
    other = Remembering()
    with dispatching(redis_client, prefix, other) as successor:
        at_last("the successor has delivered it", lambda: successor.depth() == 0)
    assert other.numbers() == [1] and dead.count() == {} and told == []


def test_stopping_does_not_wait_for_what_will_not_be_tried_in_time(
    redis_client: redis.Redis, prefix: str, queue: DeliveryQueue
) -> None:
    def act(_: Delivery) -> None:
        raise DeliveryFailed("away", retry_after_s=600)

    channel = Remembering(act)
    queue.put(delivery(1))
    with dispatching(redis_client, prefix, channel) as dispatcher:
        at_last("it was tried", lambda: channel.tries)
        began_s = time.monotonic()
        dispatcher.stop(60)
        assert time.monotonic() - began_s < 20
    assert queue.depth("hook") == 1


def test_who_was_ousted_begins_nothing_and_goes_on_with_all_when_it_may(
    redis_client: redis.Redis, prefix: str, queue: DeliveryQueue
) -> None:
    lease = f"{prefix}:lease:dispatch:hook"
    put_all(queue, 40)
    gate = threading.Semaphore(10)
    channel = Remembering(lambda _: gate.acquire())
    with dispatching(redis_client, prefix, channel, lease_ms=1000) as dispatcher:
        at_last("ten are through", lambda: len(channel.arrived) == 10)
        redis_client.set(lease, "somebody else")
        at_last("it knows", lambda: not dispatcher.works)
        tried = len(channel.tries)
        for _ in range(100):
            gate.release()
        at_last("what was in hand is through", lambda: len(channel.arrived) == tried)
        redis_client.xadd(queue.key("hook"), {"delivery": delivery(40, CAMERAS[0]).to_json()})
        assert dispatcher.depth() == 41 - tried and len(channel.tries) == tried
        redis_client.delete(lease)
        at_last("the queue is empty", lambda: dispatcher.depth() == 0)
    assert_all_in_order(channel, 41)
    assert len(channel.tries) == 41


def test_without_the_lease_nothing_is_begun(redis_client: redis.Redis, prefix: str, queue: DeliveryQueue) -> None:
    """Also where the thread that renews it does not run, and so has not noticed."""
    queue.ready("hook")
    queue.put(delivery(1))
    (entry,) = queue.take("hook", 1)
    lanes, channel, lease = Lanes(1.0), Remembering(), Lease(redis_client, f"{prefix}:lease:x", "me", 60_000)
    courier = Courier(channel, queue, DeadLetters(redis_client, prefix), lanes, lease, lambda _: None, 60.0)
    lanes.add("camera:line-1", entry.id)
    began_s = time.monotonic()
    thread = threading.Thread(target=courier.work, daemon=True)
    thread.start()
    at_last("it is put off", lambda: (lanes.soonest_s() or 0) > began_s + 0.3)
    assert channel.tries == []
    lease.hold()
    at_last("it has arrived", lambda: queue.depth("hook") == 0)
    lanes.close()
    thread.join(10)
    assert channel.numbers() == [1]


def test_what_was_taken_and_got_lost_on_the_way_is_found_and_comes_in_its_place(
    redis_client: redis.Redis, prefix: str, queue: DeliveryQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a connection breaks behind an answer, or a dispatcher was frozen while it waited for one."""
    monkeypatch.setattr("monitor.delivery.dispatcher.LOOK_AFTER_S", 0.05)
    gate = threading.Event()
    channel = Remembering(lambda _: gate.wait(60))
    queue.put(delivery(1))
    with dispatching(redis_client, prefix, channel) as dispatcher:
        at_last("the first is out", lambda: channel.tries)
        with redis_client.pipeline(transaction=True) as transaction:
            queue.stage(transaction, delivery(2))
            transaction.xreadgroup("dispatch", "frozen", {queue.key("hook"): ">"})
            queue.stage(transaction, delivery(3))
            transaction.execute()
        pending = partial(redis_client.xpending, queue.key("hook"), "dispatch")
        at_last("all three are with it", lambda: [each["pending"] for each in pending()["consumers"]] == [3])
        gate.set()
        at_last("all arrived", lambda: dispatcher.depth() == 0)
    assert [number_of(each) for each in channel.arrived] == [1, 2, 3]


def test_of_a_queue_that_is_too_long_the_oldest_are_dead_letters(
    redis_client: redis.Redis, prefix: str, queue: DeliveryQueue, dead: DeadLetters
) -> None:
    def act(_: Delivery) -> None:
        raise DeliveryFailed("away", retry_after_s=600)

    for number in range(20):
        queue.put(delivery(number))
    with dispatching(redis_client, prefix, Remembering(act), queue_at_most=15) as dispatcher:
        at_last("it is short enough", lambda: dispatcher.depth() == 15)
    letters = dead.list()
    assert [number_of(letter.delivery) for letter in letters if letter.delivery] == [4, 3, 2, 1, 0]
    assert {(letter.outcome, letter.error) for letter in letters} == {
        ("expired", "more than 15 messages waited for this channel")
    }


def test_what_is_no_text_becomes_a_dead_letter_and_holds_nothing_up(
    redis_client: redis.Redis, prefix: str, queue: DeliveryQueue, dead: DeadLetters
) -> None:
    queue.put(delivery(1))
    redis_client.xadd(queue.key("hook"), {b"delivery": b"\xff\xfe"})
    queue.put(delivery(2))
    channel = Remembering()
    with dispatching(redis_client, prefix, channel):
        at_last("the queue is empty", lambda: queue.depth("hook") == 0)
    assert channel.numbers() == [1, 2]
    assert [letter.outcome for letter in dead.list()] == ["unreadable"]


def test_a_fault_of_ours_ends_no_thread(
    redis_client: redis.Redis, prefix: str, queue: DeliveryQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.delivery.courier.FALTERED_S", 0.01)
    finish, faults = DeliveryQueue.finish, iter([RuntimeError("a fault of ours")] * 2)

    def finishing(self: DeliveryQueue, channel: str, entry_id: str) -> None:
        for fault in faults:
            raise fault
        finish(self, channel, entry_id)

    monkeypatch.setattr(DeliveryQueue, "finish", finishing)
    put_all(queue, 3)
    channel = Remembering(parallel=1)
    with dispatching(redis_client, prefix, channel):
        at_last("the queue is empty", lambda: queue.depth("hook") == 0)
    assert len(channel.arrived) == 5
