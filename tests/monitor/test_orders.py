"""Shelving, maintenance and products: by hand, by the schedule, in several processes, with Redis away."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from monitor.embedded import EmbeddedValkey
from monitor.line_settings import Maintenance, ProductPlan
from monitor.orders.orders import MAX_SHELF_MS, SCHEDULE, Orders
from monitor.orders.shelf import KEEP_ENDED_MS, OrderRefused
from streams.frame import Frame

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
NOON_MS = round(datetime(2026, 5, 29, 12, tzinfo=UTC).timestamp() * 1000)
CLEANING = Maintenance(cameras=("line-*",), start="11:30", end="12:30", why="cleaning")
MORNING = ProductPlan(product="lids", start="06:00", end="14:00")


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now_ms = NOON_MS

    def __call__(self) -> float:
        return self.now_ms / 1000

    @property
    def now_ns(self) -> int:
        return self.now_ms * 1_000_000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def orders(redis_client: redis.Redis, prefix: str, clock: Clock) -> Orders:
    return Orders(redis_client, prefix, clock=clock)


def ns(time_ms: int) -> int:
    return time_ms * 1_000_000


def test_a_shelf_holds_for_frames_captured_while_it_lasts(orders: Orders, clock: Clock) -> None:
    shelf = orders.shelve("line-1", NOON_MS + HOUR_MS, "Ada", "new lamp")
    assert (shelf.from_ms, shelf.until_ms, shelf.by, shelf.why) == (NOON_MS, NOON_MS + HOUR_MS, "Ada", "new lamp")
    assert [orders.shelved("line-1", ns(NOON_MS + d)) is not None for d in (-1, 0, HOUR_MS - 1, HOUR_MS)] == [
        False,
        True,
        True,
        False,
    ]
    assert orders.shelved("line-2", clock.now_ns) is None
    assert orders.shelves() == [shelf]
    clock.now_ms += HOUR_MS
    assert orders.shelves() == [], "what ended is no longer listed"
    assert orders.shelved("line-1", ns(NOON_MS)) == shelf, "a late frame is judged as it would have been"


def test_shelving_again_extends_or_shortens(orders: Orders, clock: Clock) -> None:
    orders.shelve("line-1", NOON_MS + HOUR_MS, "Ada", "lamp")
    clock.now_ms += MINUTE_MS
    longer = orders.shelve("line-1", NOON_MS + 2 * HOUR_MS, "Bob", "lamp, still")
    assert (longer.from_ms, longer.until_ms, longer.by) == (NOON_MS, NOON_MS + 2 * HOUR_MS, "Bob")
    shorter = orders.shelve("line-1", NOON_MS + 5 * MINUTE_MS, "Ada", "nearly done")
    assert orders.shelves() == [shorter]
    assert orders.shelved("line-1", ns(NOON_MS + 6 * MINUTE_MS)) is None


def test_a_shelf_that_is_ended_held_until_then(orders: Orders, clock: Clock) -> None:
    orders.shelve("line-1", NOON_MS + HOUR_MS, "Ada", "lamp")
    clock.now_ms += MINUTE_MS
    orders.unshelve("line-1", "Ada")
    assert orders.shelves() == []
    assert orders.shelved("line-1", ns(NOON_MS + MINUTE_MS - 1)) is not None
    assert orders.shelved("line-1", ns(NOON_MS + MINUTE_MS)) is None
    with pytest.raises(OrderRefused, match="line-1 is not shelved"):
        orders.unshelve("line-1", "Ada")
    clock.now_ms += MINUTE_MS
    orders.shelve("line-1", NOON_MS + HOUR_MS, "Bob", "again")
    assert [orders.shelved("line-1", ns(NOON_MS + d * MINUTE_MS)) is not None for d in (0, 1, 2)] == [True, False, True]


@pytest.mark.parametrize(
    ("camera", "minutes", "by", "why", "fault"),
    [
        ("line-1", 0, "Ada", "lamp", "in the future"),
        ("line-1", -5, "Ada", "lamp", "in the future"),
        ("line-1", 7 * 24 * 60 + 1, "Ada", "lamp", "7 days at most: .*`maintenance`"),
        ("line-1", 5, " ", "lamp", "by: expected 1 to 100"),
        ("line-1", 5, "Ada", "w" * 201, "why: expected 1 to 200"),
        ("line-1", 5, "Ada", "two\nlines", "why: expected"),
        ("", 5, "Ada", "lamp", "must not be empty"),
    ],
)
def test_a_shelf_that_makes_no_sense_is_refused(
    orders: Orders, camera: str, minutes: int, by: str, why: str, fault: str
) -> None:
    with pytest.raises(OrderRefused, match=fault):
        orders.shelve(camera, NOON_MS + minutes * MINUTE_MS, by, why)
    assert orders.shelves() == []


def test_seven_days_are_the_longest(orders: Orders) -> None:
    assert orders.shelve("line-1", NOON_MS + MAX_SHELF_MS, "Ada", "holidays").until_ms == NOON_MS + MAX_SHELF_MS


def test_maintenance_of_the_configuration_shelves_by_itself(redis_client: redis.Redis, prefix: str) -> None:
    clock = Clock()
    orders = Orders(redis_client, prefix, [CLEANING], clock=clock)
    held = orders.shelved("line-1", clock.now_ns)
    assert held is not None and (held.by, held.why) == (SCHEDULE, "cleaning")
    assert (held.from_ms, held.until_ms) == (NOON_MS - 30 * MINUTE_MS, NOON_MS + 30 * MINUTE_MS)
    assert orders.shelved("hall", clock.now_ns) is None and orders.shelved("line-1", ns(NOON_MS + HOUR_MS)) is None
    with pytest.raises(OrderRefused, match=r"under maintenance \(cleaning\).*change it there"):
        orders.unshelve("line-1", "Ada")
    orders.shelve("line-1", NOON_MS + MINUTE_MS, "Ada", "lamp")
    assert (found := orders.shelved("line-1", clock.now_ns)) and found.by == SCHEDULE, "it lasts longer"
    orders.shelve("line-1", NOON_MS + HOUR_MS, "Ada", "lamp")
    assert (found := orders.shelved("line-1", clock.now_ns)) and found.by == "Ada"
    orders.plan([], [])
    orders.unshelve("line-1", "Ada")
    assert orders.shelved("line-1", clock.now_ns) is None


def test_what_a_frame_says_goes_before_the_hand_and_that_before_the_schedule(
    redis_client: redis.Redis, prefix: str
) -> None:
    clock = Clock()
    orders = Orders(redis_client, prefix, (), [MORNING], clock=clock)

    def seen(header: str | None = None, at_ms: int | None = None) -> str:
        return orders.product_of(Frame("line-1", 1, ns(clock.now_ms if at_ms is None else at_ms), "o", product=header))

    assert [seen(at_ms=NOON_MS + h * HOUR_MS) for h in (-7, -6, 0, 2)] == ["", "lids", "lids", ""]
    orders.set_product("line-1", "cups", "Ada")
    assert seen() == "cups" and seen("jars") == "jars" and seen("") == "cups"
    assert seen(at_ms=NOON_MS - 1) == "lids", "frames captured before the order are what they were"
    clock.now_ms += MINUTE_MS
    orders.set_product("line-1", "plugs", "Bob")
    assert (seen(), seen(at_ms=NOON_MS)) == ("plugs", "cups")
    hand = orders.by_hand("line-1")
    assert hand is not None and (hand.product, hand.by, hand.from_ms) == ("plugs", "Bob", NOON_MS + MINUTE_MS)
    clock.now_ms += MINUTE_MS
    orders.set_product("line-1", None, "Bob")
    assert (seen(), seen(at_ms=NOON_MS + MINUTE_MS)) == ("lids", "plugs")
    assert orders.by_hand("line-1") is None
    assert orders.product("line-2", clock.now_ns) == "lids"


def test_a_header_that_cannot_be_part_of_a_key_is_made_fit(orders: Orders) -> None:
    frame = Frame("line-1", 1, ns(NOON_MS), "o", product=" a\x00b\n" + "c" * 500)
    assert orders.product_of(frame) == "ab" + "c" * 126
    assert orders.product_of(Frame("line-1", 1, ns(NOON_MS), "o", product="\n")) == ""
    with pytest.raises(OrderRefused, match="product: expected 1 to 128"):
        orders.set_product("line-1", "p" * 129, "Ada")


def test_orders_reach_the_other_processes_with_their_next_look(
    orders: Orders, redis_client: redis.Redis, prefix: str, clock: Clock
) -> None:
    other = Orders(redis_client, prefix, clock=clock)
    orders.shelve("line-1", NOON_MS + HOUR_MS, "Ada", "lamp")
    orders.set_product("line-1", "cups", "Ada")
    assert other.shelved("line-1", clock.now_ns) is None
    other.refresh()
    assert other.shelved("line-1", clock.now_ns) == orders.shelved("line-1", clock.now_ns)
    assert other.product("line-1", clock.now_ns) == "cups"
    other.unshelve("line-1", "Bob")
    orders.refresh()
    assert orders.shelved("line-1", clock.now_ns + 1) is None


def test_of_orders_at_once_none_is_lost(redis_client: redis.Redis, prefix: str, clock: Clock) -> None:
    workers = [Orders(redis_client, prefix, clock=clock) for _ in range(4)]
    threads = [
        threading.Thread(target=lambda o=o, n=n: [o.set_product("line-1", f"{n}-{i}", "x") for i in range(5)])
        for n, o in enumerate(workers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    kept = json.loads(str(redis_client.hget(f"{prefix}:product", "line-1")))
    assert sorted(entry["product"] for entry in kept) == sorted(f"{n}-{i}" for n in range(4) for i in range(5))


def test_what_another_clock_that_is_ahead_ordered_gives_way(
    orders: Orders, redis_client: redis.Redis, prefix: str, clock: Clock
) -> None:
    ahead = Clock()
    ahead.now_ms += MINUTE_MS
    fast = Orders(redis_client, prefix, clock=ahead)
    fast.set_product("line-1", "cups", "Ada")
    fast.shelve("line-1", NOON_MS + HOUR_MS, "Ada", "lamp")
    orders.set_product("line-1", "lids", "Bob")
    orders.unshelve("line-1", "Bob")
    assert orders.product("line-1", ahead.now_ns) == "lids"
    assert orders.shelved("line-1", ahead.now_ns) is None


def test_shelves_that_ended_long_ago_leave_redis(
    orders: Orders, redis_client: redis.Redis, prefix: str, clock: Clock
) -> None:
    orders.shelve("line-1", NOON_MS + HOUR_MS, "Ada", "lamp")
    clock.now_ms += HOUR_MS + KEEP_ENDED_MS - 1
    orders.refresh()
    assert redis_client.hexists(f"{prefix}:shelved", "line-1")
    clock.now_ms += 1
    orders.refresh()
    assert not redis_client.exists(f"{prefix}:shelved")
    assert orders.shelved("line-1", ns(NOON_MS)) is None


def test_the_history_of_a_camera_does_not_grow_without_end(
    orders: Orders, redis_client: redis.Redis, prefix: str, clock: Clock
) -> None:
    for i in range(120):
        clock.now_ms += 1000
        orders.set_product("line-1", f"p{i}", "Ada")
        orders.shelve("line-1", clock.now_ms + 500, "Ada", "lamp")
    assert orders.product("line-1", clock.now_ns) == "p119"
    assert orders.product("line-1", ns(clock.now_ms - 40_000)) == "p79"
    assert all(len(json.loads(str(redis_client.hget(f"{prefix}:{k}", "line-1")))) <= 51 for k in ("product", "shelved"))


@pytest.mark.parametrize("junk", ["no json", "{}", '[{"camera": 1}]', '[{"from_ms": -1, "until_ms": 1}]', "[[]]"])
def test_what_others_wrote_there_hides_nothing_else(
    orders: Orders, redis_client: redis.Redis, prefix: str, clock: Clock, junk: str
) -> None:
    orders.shelve("line-2", NOON_MS + HOUR_MS, "Ada", "lamp")
    redis_client.hset(f"{prefix}:shelved", "line-1", junk)
    redis_client.hset(f"{prefix}:product", "line-1", junk)
    orders.refresh()
    assert orders.shelved("line-1", clock.now_ns) is None and orders.product("line-1", clock.now_ns) == ""
    assert orders.shelved("line-2", clock.now_ns) is not None
    orders.shelve("line-1", NOON_MS + HOUR_MS, "Ada", "lamp")
    assert orders.shelved("line-1", clock.now_ns) is not None


@pytest.fixture
def own() -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey() as server:
        yield server


def test_while_redis_is_away_the_last_known_stands_and_orders_are_refused(own: EmbeddedValkey, clock: Clock) -> None:
    client: Any = redis.Redis.from_url(own.address, decode_responses=True, socket_timeout=2, retry=None)
    orders = Orders(client, "p", clock=clock)
    orders.shelve("line-1", NOON_MS + HOUR_MS, "Ada", "lamp")
    orders.set_product("line-1", "cups", "Ada")
    own.stop()
    orders.refresh()
    assert orders.shelved("line-1", clock.now_ns) is not None and orders.product("line-1", clock.now_ns) == "cups"
    for order in (
        lambda: orders.shelve("line-2", NOON_MS + HOUR_MS, "Ada", "lamp"),
        lambda: orders.unshelve("line-1", "Ada"),
        lambda: orders.set_product("line-1", None, "Ada"),
    ):
        with pytest.raises(redis.RedisError):
            order()
    assert orders.shelved("line-1", clock.now_ns) is not None and orders.product("line-1", clock.now_ns) == "cups"
    assert orders.shelved("line-2", clock.now_ns) is None


def test_a_question_for_a_frame_waits_for_nobody(orders: Orders, clock: Clock) -> None:
    """The judge asks while another thread waits for Redis with an order."""
    orders.shelve("line-1", NOON_MS + HOUR_MS, "Ada", "lamp")
    answered = threading.Event()

    def ask() -> None:
        assert orders.shelved("line-1", clock.now_ns) is not None and orders.product("line-1", clock.now_ns) == ""
        answered.set()

    with orders._writing:
        threading.Thread(target=ask, daemon=True).start()
        assert answered.wait(20)
