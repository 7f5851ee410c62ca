"""The router on a real Valkey: from the outbox into the queues, each event once and in order, whoever is killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis

from monitor.alerting.alert import Alert, Event
from monitor.alerting.outbox import Outbox
from monitor.delivery import router as router_module
from monitor.delivery.book import SubscriptionBook
from monitor.delivery.delivery import EVENTS_AT_MOST, Delivery, Kind, id_of
from monitor.delivery.fence import Fence, NotOurs
from monitor.delivery.lease import unique_owner
from monitor.delivery.materials import Place
from monitor.delivery.router import Router
from monitor.embedded import EmbeddedValkey
from monitor.judging.episodes import Severity
from monitor.subscription_settings import Subscription
from tests.monitor.recorded import until

CHANNELS = frozenset({"mail", "chat", "phone", "siren"})
NOON_S = datetime(2026, 6, 3, 12, tzinfo=UTC).timestamp()
LEASE_MS = 1500
NIGHT = [{"start": "22:00", "end": "06:00"}]


def sub(name: str, *to: str, **says: Any) -> Subscription:
    return Subscription.model_validate({"name": name, "to": to or ("mail",), **says})


class Line:
    """A router with its clock, its outbox and its subscriptions."""

    def __init__(self, client: Any, prefix: str, always: tuple[str, ...] = ()) -> None:
        self.client, self.prefix, self.always = client, prefix, always
        self.now_s = NOON_S
        self.configured: tuple[Subscription, ...] = ()
        self.outbox = Outbox(client, prefix)
        self.book = SubscriptionBook(client, prefix, lambda: self.configured, lambda: CHANNELS)
        # The stream's ids are of the real clock: where the router is to begin is said here.
        client.set(f"{prefix}:routed", "0-0")

    @contextlib.contextmanager
    def routed(self, always: Callable[[], tuple[str, ...]] | None = None) -> Iterator[Router]:
        router = Router(
            self.client,
            self.prefix,
            self.outbox,
            self.book,
            place=lambda camera: Place("line-3" if camera.startswith("three-") else None, ()),
            always=always or (lambda: self.always),
            owner=unique_owner(),
            clock=lambda: self.now_s,
            lease_ms=LEASE_MS,
        )
        router.start()
        try:
            yield router
        finally:
            router.stop()

    def fire(
        self, alert_id: str, camera: str = "cam", severity: str = "warning", ended: bool = False, kind: str = ""
    ) -> str:
        """Write an event; its id."""
        alert = Alert(
            alert_id=alert_id,
            camera=camera,
            severity=Severity(severity),
            started_at=1,
            ended_at=2 if ended else None,
            peak_score=1.0,
            threshold=0.5,
            frame=None,
            model="m",
        )
        event = Event(kind or f"linewatch.alert.{'resolved' if ended else 'firing'}", int(self.now_s * 1e9), alert)
        if kind:
            self.client.xadd(self.outbox.stream, {"event": json.dumps(event.document())})
        else:
            assert self.outbox.write(event, ttl_s=600)
        return event.event_id

    def queue(self, channel: str) -> list[Delivery]:
        return [Delivery.from_json(f["delivery"]) for _, f in self.client.xrange(f"{self.prefix}:queue:{channel}")]

    def depth(self, channel: str) -> int:
        return int(self.client.xlen(f"{self.prefix}:queue:{channel}"))

    def ids(self, channel: str) -> list[list[str]]:
        """The ids of the events of each delivery."""
        return [[event["id"] for event in one.events] for one in self.queue(channel)]

    def later(self) -> dict[str, float]:
        return {
            member: score / 1000 - self.now_s
            for member, score in self.client.zrange(f"{self.prefix}:later", 0, -1, withscores=True)
        }

    def at_rest(self, router: Router) -> None:
        self.wait(lambda: router.waiting().events == 0)

    @staticmethod
    def wait(condition: Callable[[], bool]) -> None:
        assert until(condition)


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in production, but it looks ten times as often what is due and whether it is to end."""
    monkeypatch.setattr(router_module, "LOOK_S", router_module.LOOK_S / 10)
    monkeypatch.setattr(router_module, "BLOCK_MS", router_module.BLOCK_MS // 10)


@pytest.fixture
def line(redis_client: redis.Redis, prefix: str) -> Line:
    return Line(redis_client, prefix)


def test_each_channel_gets_one_delivery_and_those_that_get_everything_get_everything(line: Line) -> None:
    line.always = ("siren",)
    line.configured = (
        sub("all", "mail", "chat"),
        sub("critical", "mail", "siren", from_severity="critical"),
        sub("three", "chat", lines=["line-3"], tell=["begin"]),
    )
    with line.routed() as router:
        line.fire("a")
        line.fire("b", "three-1", "critical")
        line.fire("b", "three-1", "critical", ended=True)
        line.at_rest(router)
    assert line.ids("mail") == line.ids("chat") == line.ids("siren") == [["a.firing"], ["b.firing"], ["b.resolved"]]
    assert [one.subscriptions for one in line.queue("mail")] == [("all",), ("all", "critical"), ("all", "critical")]
    assert [one.subscriptions for one in line.queue("chat")] == [("all",), ("all", "three"), ("all",)]
    assert [one.subscriptions for one in line.queue("siren")] == [(), (), ()]
    first = line.queue("mail")[0]
    assert first.delivery_id == id_of("a.firing", "mail") and first.kind is Kind.EVENT and first.queued_ms


def test_a_change_of_the_subscriptions_holds_from_the_next_event_on(line: Line) -> None:
    line.configured = (sub("all"),)
    with line.routed() as router:
        line.fire("a")
        line.at_rest(router)
        line.book.switch("all", False, "Ann")
        line.fire("b")
        line.at_rest(router)
        line.book.switch("all", True, "Ann")
        line.book.create(sub("chat", "chat"), "Ann")
        line.fire("c")
        line.at_rest(router)
    assert line.ids("mail") == [["a.firing"], ["c.firing"]] and line.ids("chat") == [["c.firing"]]


def test_what_is_no_event_holds_nothing_up(line: Line) -> None:
    line.always, line.configured = ("siren",), (sub("all"),)
    with line.routed() as router:
        for text in ("{", "[]", "null", '"x"', json.dumps({"id": "x"}), "[" * 100_000):
            line.client.xadd(line.outbox.stream, {"event": text})
        line.client.xadd(line.outbox.stream, {b"\xff": b"\xfe"})
        odd = {"id": "odd", "type": "linewatch.alert.firing", "subject": "*"}
        line.client.xadd(line.outbox.stream, {"event": json.dumps({**odd, "data": {"alert_id": "x", "held_back": 3}})})
        line.client.xadd(line.outbox.stream, {"other": "field"})
        line.fire("new", kind="linewatch.alert.of_a_newer_version")
        line.fire("a")
        line.at_rest(router)
    assert line.ids("mail")[-1] == ["a.firing"]
    assert line.ids("siren") == [["odd"], ["new.of_a_newer_version"], ["a.firing"]]


def test_a_group_is_told_in_one_message_when_its_window_ends(line: Line) -> None:
    line.configured = (sub("grouped", "mail", "chat", how_often={"group_s": 60}),)
    with line.routed() as router:
        ids = [line.fire("a"), line.fire("b"), line.fire("a", ended=True)]
        line.at_rest(router)
        assert line.later() == {"held:grouped:window": 60} and line.queue("mail") == []
        line.now_s += 61
        line.wait(lambda: line.ids("mail") == [ids])
        line.fire("c")
        line.at_rest(router)
        line.now_s += 61
        line.wait(lambda: line.ids("chat") == [ids, ["c.firing"]])
    told = line.queue("mail")[0]
    assert told.kind is Kind.GROUP and told.subscriptions == ("grouped",) and told.omitted == 0
    assert told.delivery_id == id_of("grouped", "window", "a.firing", "mail")
    assert [key for key in line.client.scan_iter(f"{line.prefix}:held:*")] == [] and line.later() == {}


def test_quiet_hours_end_with_one_message_and_critical_events_pass(line: Line) -> None:
    line.configured = (
        sub("quiet", "mail", when={"quiet": NIGHT}),
        sub("strict", "chat", when={"quiet": NIGHT, "critical_passes": False, "missed": "drop"}),
        sub("digest", "phone", how_often={"digest": {"at": ["00:30", "09:00"]}}, when={"quiet": NIGHT}),
    )
    line.now_s += 11 * 3600  # 23:00
    with line.routed() as router:
        line.fire("a")
        line.fire("b", severity="critical")
        line.fire("c")
        line.at_rest(router)
        assert line.ids("mail") == [["b.firing"]] and line.ids("chat") == []
        line.book.switch("digest", False, "Ann")
        line.fire("d")
        line.book.switch("digest", True, "Ann")
        line.fire("e")
        line.at_rest(router)
        assert line.later() == {"held:quiet:quiet": 7 * 3600, "held:digest:window": 1.5 * 3600}
        line.now_s += 2 * 3600  # at night a digest waits, but for one that holds a critical event
        line.wait(lambda: len(line.queue("phone")) == 1)
        line.fire("f")
        line.at_rest(router)
        line.now_s += 5 * 3600  # 6:00
        line.wait(lambda: len(line.queue("mail")) == 2)
        line.now_s += 3 * 3600 + 1
        line.wait(lambda: len(line.queue("phone")) == 2)
    assert line.ids("mail")[1] == ["a.firing", "c.firing", "d.firing", "e.firing", "f.firing"]
    assert line.queue("mail")[1].kind is Kind.DIGEST and line.ids("chat") == []
    assert line.ids("phone")[0][:3] == ["a.firing", "b.firing", "c.firing"] and line.ids("phone")[1] == ["f.firing"]


def test_more_than_a_message_holds_is_counted(line: Line) -> None:
    line.configured = (sub("grouped", how_often={"group_s": 60}),)
    with line.routed() as router:
        for number in range(EVENTS_AT_MOST + 30):
            line.fire(f"{number:04x}", kind="linewatch.alert.firing")
        line.at_rest(router)
        line.now_s += 61
        line.wait(lambda: len(line.queue("mail")) == 1)
    told = line.queue("mail")[0]
    assert told.omitted == 30 and len(told.events) == EVENTS_AT_MOST
    assert told.events[-1]["id"] == f"{EVENTS_AT_MOST + 29:04x}.firing"


def test_what_was_gathered_for_a_subscription_that_is_off_or_gone_is_dropped(line: Line) -> None:
    line.configured = (sub("grouped", how_often={"group_s": 60}),)
    line.book.create(sub("gone", "chat", how_often={"group_s": 60}), "Ann")
    with line.routed() as router:
        line.fire("a")
        line.at_rest(router)
        line.book.switch("grouped", False, "Ann")
        line.book.delete("gone", "Ann")
        assert set(line.later()) == {"held:grouped:window"}
        line.client.zadd(f"{line.prefix}:later", {"nonsense": 0, "held::window": 0, "held:x:y": 0})
        line.now_s += 61
        line.wait(lambda: line.later() == {})
    assert line.queue("mail") == line.queue("chat") == []


CHAIN = (
    sub("shift", "mail", tell=["begin"], escalate={"to": "lead", "after_s": 60}),
    sub("lead", "chat", cameras=["none"], escalate={"to": "boss", "after_s": 300}, how_often={"group_s": 3600}),
    sub("boss", "phone", cameras=["none"], when={"quiet": NIGHT}, how_often={"digest": {"at": ["09:00"]}}),
)


def test_nobody_acknowledges_and_one_after_the_other_is_called_in(line: Line) -> None:
    line.always, line.configured = ("siren",), CHAIN
    with line.routed() as router:
        line.fire("a")
        line.at_rest(router)
        line.now_s += 59
        assert line.later() == {"escalate:a:shift": 1}
        line.now_s += 2
        line.wait(lambda: line.ids("chat") == [["a.escalated.lead"]])
        assert line.outbox.get("a").escalated_to == "lead"
        line.at_rest(router)
        assert line.later() == {"escalate:a:lead": 300} and line.queue("phone") == []
        line.now_s += 301
        line.wait(lambda: line.ids("phone") == [["a.escalated.boss"]])
        line.at_rest(router)
    assert line.ids("mail") == [["a.firing"]] and line.later() == {}
    assert line.ids("siren") == [["a.firing"], ["a.escalated.lead"], ["a.escalated.boss"]]


def test_what_is_acknowledged_or_over_is_not_escalated(line: Line) -> None:
    stubborn = sub("stubborn", "chat", tell=["begin"], escalate={"to": "boss", "after_s": 60, "resolved_too": True})
    line.configured = (*CHAIN, stubborn)
    with line.routed() as router:
        for name in ("seen", "false", "over"):
            line.fire(name)
        line.at_rest(router)
        assert len(line.later()) == 6
        line.outbox.acknowledge("seen", "Ann")
        line.outbox.false_alarm("false", "Ann")
        line.fire("over", ended=True)
        line.client.zadd(f"{line.prefix}:later", {"escalate:never-heard-of:shift": 0})
        line.now_s += 61
        line.wait(lambda: line.later() == {})
        line.at_rest(router)
    assert line.ids("phone") == [["over.escalated.boss"]]
    assert [line.outbox.get(name).escalated_to for name in ("seen", "false", "over")] == [None, None, "boss"]


def test_only_the_last_hour_is_told_by_the_first_router(line: Line) -> None:
    line.client.delete(f"{line.prefix}:routed")
    line.now_s = time.time()
    line.configured = (sub("all"),)
    event = json.dumps({"id": "x", "type": "linewatch.alert.firing", "subject": "c", "data": {"alert_id": "x"}})
    for minutes in (130, 61, 59, 1):
        entry = {"event": event.replace('"id": "x"', f'"id": "{minutes}"')}
        line.client.xadd(line.outbox.stream, entry, id=f"{round(line.now_s - 60 * minutes) * 1000}-0")
    with line.routed() as router:
        line.at_rest(router)
        assert line.ids("mail") == [["59"], ["1"]]


@pytest.mark.parametrize("retaken", [False, True])
def test_a_router_that_has_lost_its_lease_without_knowing_changes_nothing(line: Line, retaken: bool) -> None:
    line.configured = (sub("all"), sub("grouped", "chat", how_often={"group_s": 60}))
    busy, go_on = threading.Event(), threading.Event()

    def held_up() -> tuple[str, ...]:
        """Asked for after the events were read, before they are routed."""
        busy.set()
        assert go_on.wait(30)
        return ()

    with line.routed(always=held_up) as late:
        line.fire("a")
        assert busy.wait(30)
        lease = f"{line.prefix}:lease:router"
        owner = line.client.get(lease)
        line.client.delete(lease)  # as if its time were over
        with line.routed() as router:
            line.fire("b")
            line.at_rest(router)
        if retaken:  # as if it had been held up between taking the lease anew and reading on
            line.client.set(lease, owner, px=60_000)
        go_on.set()
        line.fire("c")
        line.at_rest(late)
    assert line.ids("mail") == [["a.firing"], ["b.firing"], ["c.firing"]]
    assert line.client.llen(f"{line.prefix}:held:grouped:window") == 3


def test_a_transaction_fails_once_another_one_has_the_lease(line: Line) -> None:
    key = f"{line.prefix}:lease:x"
    fence = Fence(line.client, key, "first")
    assert fence.hold()
    with pytest.raises(NotOurs, match="taken by another"), fence.transaction() as (transaction, _):
        line.client.set(key, "second")
        transaction.multi()
        transaction.set(f"{line.prefix}:written", "by the first")
        transaction.execute()
    with pytest.raises(NotOurs, match="held by second"), fence.transaction():
        raise AssertionError("not to be reached")
    assert not fence.hold() and line.client.get(f"{line.prefix}:written") is None
    short = Fence(line.client, f"{key}:short", "first", ttl_ms=40)
    assert short.hold()
    with pytest.raises(NotOurs), short.transaction() as (transaction, _):
        line.wait(lambda: line.client.pttl(f"{key}:short") < 0)  # it ends, and nobody takes it
        transaction.multi()
        transaction.set(f"{line.prefix}:written", "by the first")
        transaction.execute()
    assert line.client.get(f"{line.prefix}:written") is None


CHILD = """
import sys, time, redis
from monitor.alerting.outbox import Outbox
from monitor.delivery.book import SubscriptionBook
from monitor.delivery.lease import unique_owner
from monitor.delivery.materials import Place
from monitor.delivery.router import Router
address, prefix, lease_ms = sys.argv[1:]
client = redis.Redis.from_url(address, decode_responses=True, socket_timeout=5)
book = SubscriptionBook(client, prefix, lambda: (), lambda: frozenset({"mail", "chat"}))
Router(client, prefix, Outbox(client, prefix), book, place=lambda c: Place(), always=lambda: ("siren",),
       owner=unique_owner(), lease_ms=int(lease_ms)).start()
print("started", flush=True)
time.sleep(120)
"""


@contextlib.contextmanager
def child(address: str, prefix: str) -> Iterator[subprocess.Popen[str]]:
    """A router in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, address, prefix, str(LEASE_MS)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.slow
def test_each_event_is_routed_once_though_routers_are_killed_and_held_up(line: Line, valkey: EmbeddedValkey) -> None:
    line.book.create(sub("all", "mail", "chat"), "Ann")
    line.book.create(sub("grouped", "mail", how_often={"group_s": 1}), "Ann")
    line.now_s, line.always = time.time(), ("siren",)
    expected: list[list[str]] = []

    def some(number: int) -> None:
        for _ in range(number):
            expected.append([line.fire(f"{len(expected):04x}", kind="linewatch.alert.firing")])

    with child(valkey.address, line.prefix) as other:
        assert other.stdout is not None and other.stdout.readline() == "started\n"
        line.wait(lambda: str(other.pid) in (line.client.get(f"{line.prefix}:lease:router") or ""))
        some(150)
        line.wait(lambda: line.depth("chat") > 10)
        os.kill(other.pid, signal.SIGSTOP)  # held up in the middle of it, for longer than its lease lasts
        with line.routed() as router:
            some(150)
            line.at_rest(router)
            os.kill(other.pid, signal.SIGCONT)
            some(150)
            line.at_rest(router)
        some(150)
        line.wait(lambda: line.depth("chat") > 460)  # the other one has gone on
        other.kill()
        with line.routed() as router:
            some(150)
            line.at_rest(router)
            line.now_s = time.time() + 60
            line.wait(lambda: line.later() == {})
    assert line.ids("chat") == line.ids("siren") == expected
    at_once = [one for one in line.queue("mail") if one.kind is Kind.EVENT]
    grouped = [one for one in line.queue("mail") if one.kind is Kind.GROUP]
    assert [[event["id"] for event in one.events] for one in at_once] == expected
    assert sum(len(one.events) + one.omitted for one in grouped) == len(expected)
    assert len({one.delivery_id for one in line.queue("mail")}) == len(line.queue("mail"))


def test_a_redis_that_goes_away_and_comes_back(tmp_path: Path) -> None:
    with EmbeddedValkey(data=tmp_path) as server:
        port = server.port
        client = redis.Redis.from_url(server.address, decode_responses=True, socket_timeout=5)
        line = Line(client, "away")
        line.configured = (sub("all"),)
        router_on = line.routed()
        router = router_on.__enter__()
        line.fire("a")
        line.wait(lambda: line.ids("mail") == [["a.firing"]])
    with pytest.raises(redis.RedisError):
        router.waiting()
    with EmbeddedValkey(port=port, data=tmp_path):
        line.fire("b")
        line.wait(lambda: line.ids("mail") == [["a.firing"], ["b.firing"]])
        client.flushall()  # one that comes back with nothing
        line.now_s = time.time()
        line.fire("c")
        line.wait(lambda: line.ids("mail") == [["c.firing"]])
        router_on.__exit__(None, None, None)
        assert client.get("away:lease:router") is None  # let go, so that the next one need not wait
    client.close()
