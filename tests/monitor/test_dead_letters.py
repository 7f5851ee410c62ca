"""What could not be delivered: listed, sent again once and in order, thrown away; and how much is kept."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from redis.cluster import ClusterNode, RedisCluster

from monitor.delivery.dead_letters import DeadLetter, DeadLetters, letter_of
from monitor.delivery.delivery import Delivery
from monitor.delivery.lease import Lease
from monitor.delivery.queue import DeliveryQueue, Entry, delivery_of
from monitor.embedded import EmbeddedValkey
from tests.monitor.baselines import RedisServer
from tests.monitor.deliveries import Remembering, at_last, delivery, dispatching, number_of


class Grave:
    """Puts messages among the dead letters as a dispatcher does."""

    def __init__(self, client: Any, prefix: str, at_most: int = 10_000) -> None:
        self.queue = DeliveryQueue(client, prefix)
        self.letters = DeadLetters(client, prefix, at_most)
        self.lease = Lease(client, f"{prefix}:lease:test", "me", 60_000)
        self.lease.hold()

    def bury(self, message: Delivery, error: str = "no") -> DeadLetter:
        self.queue.ready(message.channel)
        self.queue.put(message)
        (entry,) = self.queue.take(message.channel, 1)
        letter = letter_of(entry, message.channel, "refused", error, 1)
        assert self.letters.bury(entry, letter, self.lease)
        return letter


@pytest.fixture
def grave(redis_client: redis.Redis, prefix: str) -> Grave:
    return Grave(redis_client, prefix)


def queued(grave: Grave, channel: str = "hook") -> list[Delivery]:
    return [delivery_of(entry.text) for entry in grave.queue.oldest(channel, 1000)]


def test_listed_newest_first_by_channel_and_page(grave: Grave) -> None:
    for number in range(10):
        grave.bury(delivery(number, channel="mail" if number % 2 else "hook"))
    letters = grave.letters
    assert [number_of(each.delivery) for each in letters.list() if each.delivery] == list(range(9, -1, -1))
    assert [number_of(each.delivery) for each in letters.list("mail", 1, 3) if each.delivery] == [7, 5, 3]
    assert letters.list(None, 8, 5) == letters.list()[8:] and letters.list(limit=0) == []
    assert letters.count() == {"hook": 5, "mail": 5}
    newest = letters.list()[0]
    assert letters.get(newest.id) == newest and letters.get("hook:gone") is None
    assert newest.delivery is not None and newest.id == f"mail:{newest.delivery.delivery_id}"
    assert grave.queue.depth("hook") == 0 == grave.queue.taken("hook")


def test_sent_again_at_the_end_with_the_same_id_and_as_much_time_as_a_new_one(grave: Grave) -> None:
    for number in range(250):
        grave.bury(delivery(number, age_s=90_000))
    grave.queue.put(delivery(999))
    assert grave.letters.replay(None, "hook", "anna") == 250
    first, *again = queued(grave)
    assert number_of(first) == 999 and [number_of(each) for each in again] == list(range(250))
    for each in again:
        old = delivery(number_of(each))
        assert (each.delivery_id, each.events, each.replayed) == (old.delivery_id, old.events, 1)
        assert each.queued_ms >= old.queued_ms - 60_000
    assert grave.letters.count() == {} and grave.letters.replay(None, None, "anna") == 0


def test_two_that_ask_at_once_send_each_once(grave: Grave) -> None:
    ids = [grave.bury(delivery(number)).id for number in range(400)]
    barrier = threading.Barrier(4)

    def replay(_: int) -> int:
        barrier.wait()
        return grave.letters.replay(ids, None, "anna")

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(replay, range(4))) == 400
    assert sorted(number_of(each) for each in queued(grave)) == list(range(400))


def test_only_those_that_are_meant(grave: Grave) -> None:
    kept, meant, other = (grave.bury(delivery(n, channel=c)) for n, c in ((1, "hook"), (2, "hook"), (3, "mail")))
    assert grave.letters.replay([meant.id, other.id, "hook:unknown"], "hook", "anna") == 1
    assert grave.letters.discard([kept.id, "x"], "mail", "anna") == 0
    assert grave.letters.discard([kept.id], None, "anna") == 1
    assert [each.id for each in grave.letters.list()] == [other.id]
    assert grave.letters.discard(None, None, "anna") == 1 and grave.letters.count() == {}
    assert [number_of(each) for each in queued(grave)] == [2]


def test_what_dies_again_is_one_letter_that_tells_how_often(redis_client: redis.Redis, prefix: str) -> None:
    grave = Grave(redis_client, prefix)
    grave.bury(delivery(1))
    grave.letters.replay(None, None, "anna")
    (entry,) = grave.queue.take("hook", 1)
    assert grave.letters.bury(entry, letter_of(entry, "hook", "expired", "still away", 7), grave.lease)
    (letter,) = grave.letters.list()
    assert (letter.outcome, letter.error, letter.tries) == ("expired", "still away", 7)
    assert letter.delivery is not None and letter.delivery.replayed == 1


def test_moved_only_by_who_has_the_lease_and_only_once(grave: Grave, redis_client: redis.Redis) -> None:
    grave.queue.ready("hook")
    grave.queue.put(delivery(1))
    (entry,) = grave.queue.take("hook", 1)
    letter = letter_of(entry, "hook", "refused", "no", 1)
    stranger = Lease(redis_client, grave.lease.key, "somebody else", 60_000)
    assert not stranger.hold() and not grave.letters.bury(entry, letter, stranger)
    assert grave.queue.depth("hook") == 1 and grave.letters.count() == {}
    assert grave.letters.bury(entry, letter, grave.lease)
    grave.letters.discard(None, None, "anna")
    assert not grave.letters.bury(entry, letter, grave.lease) and grave.letters.count() == {}


def test_the_oldest_make_room_and_that_is_told(
    redis_client: redis.Redis, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    grave = Grave(redis_client, prefix, at_most=3)
    for number in range(5):
        grave.bury(delivery(number))
    assert [number_of(each.delivery) for each in grave.letters.list() if each.delivery] == [4, 3, 2]
    assert redis_client.hlen(f"{prefix}:dead") == 3
    told = [record.msg for record in caplog.records if "dead_letter_dropped" in str(record.msg)]
    assert len(told) == 2 and all(delivery(n).delivery_id in str(told[n]) for n in (0, 1))


def test_what_cannot_be_read_is_shown_and_goes_back_as_it_was(
    grave: Grave, redis_client: redis.Redis, prefix: str
) -> None:
    text = json.dumps({"of": "a later version"})
    grave.queue.ready("hook")
    for fields in ({"delivery": text}, {"what": "ever"}):
        redis_client.xadd(grave.queue.key("hook"), fields)  # type: ignore[arg-type]
    for entry in grave.queue.take("hook", 1):
        assert grave.letters.bury(entry, letter_of(entry, "hook", "unreadable", "no delivery", 0), grave.lease)
    redis_client.hset(f"{prefix}:dead", "hook:broken", "{")
    redis_client.zadd(f"{prefix}:dead:at", {"hook:broken": 1})
    letters = grave.letters.list()
    assert [letter.delivery for letter in letters] == [None, None, None]
    assert {letter.text for letter in letters} == {text, ""} and all(letter.error for letter in letters)
    assert grave.letters.replay(None, None, "anna") == 1
    assert [entry.text for entry in grave.queue.oldest("hook", 9)] == [text]
    assert grave.letters.discard(None, None, "anna") == 2


@pytest.fixture
def cluster() -> Iterator[RedisCluster]:
    """Of one server, which has all slots."""
    with RedisServer(EmbeddedValkey()._binary(), cluster=True) as server:
        with redis.Redis(port=server.port, decode_responses=True) as node:
            node.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16_383)
            at_last("the cluster is well", lambda: node.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
        first = ClusterNode("127.0.0.1", server.port)  # type: ignore[no-untyped-call]
        client = RedisCluster(startup_nodes=[first], decode_responses=True)
        yield client
        client.close()


@pytest.mark.slow
def test_on_a_cluster_too(cluster: Any, prefix: str) -> None:
    grave = Grave(cluster, f"{{{prefix}}}")
    grave.bury(delivery(1))
    grave.bury(delivery(2))
    assert grave.letters.replay(None, "hook", "anna") == 2
    channel = Remembering()
    with dispatching(cluster, f"{{{prefix}}}", channel) as dispatcher:
        grave.queue.put(delivery(3))
        at_last("all arrived", lambda: dispatcher.depth() == 0)
    assert channel.numbers() == [1, 2, 3] and grave.letters.count() == {}


def test_long_errors_are_cut() -> None:
    assert len(letter_of(Entry("1-0", ""), "hook", "refused", "x" * 9000, 1).error) == 2000
