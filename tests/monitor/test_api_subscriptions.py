"""Subscriptions, trials, dead letters, escalation and clips by HTTP: the real application, a real Valkey."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI, Request

from monitor.channel_settings import ChannelSettings, Webhook
from monitor.delivery.book import SubscriptionBook
from monitor.delivery.channels.channel import Channel, DeliveryFailed
from monitor.delivery.channels.make import make_channel
from monitor.delivery.dead_letters import DeadLetters
from monitor.delivery.delivery import Delivery, Kind, id_of
from monitor.delivery.escalating import escalate
from monitor.delivery.materials import Place
from monitor.delivery.queue import DeliveryQueue
from monitor.delivery.trial import Tried, try_out
from monitor.delivery.trial_event import trial_event
from monitor.delivery.trial_materials import TrialMaterials
from monitor.embedded import EmbeddedValkey
from monitor.serving.evidence_answer import ranged
from monitor.serving.routes import alerts, dead_letters, subscriptions
from monitor.serving.server import HttpServer
from monitor.subscription_settings import Escalation, Subscription
from tests.monitor.dead import bury
from tests.monitor.line_state import LineState
from tests.monitor.peer import Answered, HttpPeer

CONFIGURED = (
    Subscription(name="day", to=("hook",), lines=("line-3",), escalate=Escalation(to="lead", after_s=60)),
    Subscription(name="lead", to=("hook",), tell=("escalated",)),
)


def place(camera: str) -> Place:
    return Place(line="line-3") if camera.startswith("line-3") else Place()


@dataclass
class Api:
    """The routes on a free port, with what they ask. By default the token is nobody's in particular."""

    line: LineState
    hook: HttpPeer
    me: str = ""

    def __post_init__(self) -> None:
        client, prefix = self.line.client, self.line.prefix
        entries = {"hook": ChannelSettings(name="hook", webhook=Webhook.model_validate({"url": self.hook.url}))}
        book = SubscriptionBook(client, prefix, lambda: CONFIGURED, lambda: frozenset(entries))
        self.queue, self.dead = DeliveryQueue(client, prefix), DeadLetters(client, prefix)
        self.tried_by: list[str] = []

        def try_one(one: Subscription, by: str) -> list[Tried]:
            self.tried_by.append(by)
            materials = TrialMaterials("http://page", place)
            return try_out(
                one, lambda n: make_channel(entries[n], materials, ("127.0.0.1",)), trial_event(one, ["line-3"], place)
            )

        served: Any = SimpleNamespace(
            outbox=self.line.outbox,
            evidence=self.line.evidence,
            subscriptions=book,
            dead_letters=self.dead,
            queue=self.queue,
            channel_kinds=lambda: {"grafana": "grafana", "hook": "webhook"},
            try_out=try_one,
            escalate=lambda alert_id, by, to: escalate(self.line.outbox, book, place, alert_id, by, to),
        )
        app = FastAPI()
        for routes in (subscriptions, dead_letters, alerts):
            routes.add(app, served)
        api = self

        @app.middleware("http")
        async def gate(request: Request, call_next: Any) -> Any:
            request.state.access = SimpleNamespace(name=api.me, role="admin")
            return await call_next(request)

        self.server = HttpServer("127.0.0.1", 0)
        self.server.serve(app)
        self.server.start()

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(urlsplit(self.server.url).netloc, timeout=60)
        try:
            data = None if body is None else json.dumps(body).encode()
            connection.request(method, path, data, {"Content-Type": "application/json"} | headers)
            answer = connection.getresponse()
            raw = answer.read()
            return answer.status, json.loads(raw) if "json" in answer.headers.get("Content-Type", "") else raw
        finally:
            connection.close()


@pytest.fixture
def hook() -> Iterator[HttpPeer]:
    with HttpPeer() as there:
        yield there


@pytest.fixture
def api(valkey: EmbeddedValkey, prefix: str, tmp_path: Path, hook: HttpPeer) -> Iterator[Api]:
    made = Api(LineState(tmp_path, valkey.address, prefix), hook)
    yield made
    made.server.stop()


def test_a_subscription_comes_changes_and_goes(api: Api) -> None:
    night = {"name": "night", "to": ["hook"], "cameras": ["line-3-*"]}
    status, made = api.ask("POST", "/api/subscriptions", {"subscription": night, "by": "Ada"})
    assert (status, made["origin"], made["on"], made["changed_by"]) == (201, "api", True, "Ada")
    assert made["subscription"]["cameras"] == ["line-3-*"] and made["subscription"]["tell"] == ["begin", "end"]
    assert api.ask("POST", "/api/subscriptions", {"subscription": night})[0] == 409
    changed = {**made["subscription"], "from_severity": "critical"}
    status, told = api.ask("PUT", "/api/subscriptions/night", {"subscription": changed, "by": "Bo"})
    assert (status, told["subscription"]["from_severity"], told["changed_by"]) == (200, "critical", "Bo")
    status, told = api.ask("POST", "/api/subscriptions/day/switch", {"on": False, "by": "Ada"})
    assert (status, told["on"], told["switched_by"]) == (200, False, "Ada")
    listed = api.ask("GET", "/api/subscriptions")[1]
    assert [(one["subscription"]["name"], one["on"]) for one in listed["subscriptions"]] == [
        ("day", False),
        ("lead", True),
        ("night", True),
    ]
    assert api.ask("DELETE", "/api/subscriptions/night?by=Ada") == (200, {"name": "night"})
    for method, path, body in [
        ("PUT", "night", {"subscription": night}),
        ("DELETE", "night", None),
        ("POST", "night/switch", {"on": True}),
        ("POST", "night/test", {}),
    ]:
        assert api.ask(method, f"/api/subscriptions/{path}", body) == (404, {"detail": "no subscription night"})


REFUSED: list[tuple[Any, int, str]] = [
    ({"subscription": {"name": "night", "to": ["pager"]}}, 409, "no channel pager; there are: hook"),
    ({"subscription": {"name": "day", "to": ["hook"]}}, 409, "already"),
    (
        {"subscription": {"name": "n", "to": ["hook"], "escalate": {"to": "x", "after_s": 9}}},
        409,
        "Create that one",
    ),
    ({"subscription": {"name": "a b", "to": ["hook"]}}, 422, "name"),
    ({"subscription": {"name": "n", "to": []}}, 422, "to"),
    ({"subscription": {"name": "n", "to": ["hook"], "cameras": ["c"] * 201}}, 422, "cameras"),
    ({"subscription": {"name": "n", "to": ["hook"], "when": {"timezone": "Mars"}}}, 422, "no time zone"),
    ({"subscription": {"name": "n", "to": ["hook"], "colour": "red"}}, 422, "colour"),
    ({"subscription": {"name": "n", "to": ["hook"]}, "by": "b" * 101}, 422, "by"),
]


def test_a_subscription_that_cannot_be_is_refused_and_changes_nothing(api: Api) -> None:
    for body, status, says in REFUSED:
        got, told = api.ask("POST", "/api/subscriptions", body)
        assert got == status and says in json.dumps(told["detail"]), body
    assert len(api.ask("GET", "/api/subscriptions")[1]["subscriptions"]) == len(CONFIGURED)


def test_those_of_the_configuration_are_changed_there(api: Api) -> None:
    status, told = api.ask("PUT", "/api/subscriptions/day", {"subscription": {"name": "day", "to": ["hook"]}})
    assert status == 409 and "stands in the configuration" in told["detail"]
    status, told = api.ask("DELETE", "/api/subscriptions/day")
    assert status == 409 and "stands in the configuration" in told["detail"]


def test_a_trial_goes_out_at_once_and_tells_who_is_off(api: Api) -> None:
    api.ask("POST", "/api/subscriptions/day/switch", {"on": False})
    api.me = "Ada Lovelace"
    status, told = api.ask("POST", "/api/subscriptions/day/test", {"by": "somebody else"})
    assert (status, told["on"], api.tried_by) == (200, False, ["Ada Lovelace"]), "the token's name goes first"
    assert [(result["channel"], result["outcome"], result["detail"]) for result in told["results"]] == [
        ("hook", "delivered", "")
    ]
    assert json.loads(api.hook.requests[0].body)["type"] == "linewatch.test"
    assert api.queue.depth("hook") == 0
    api.hook.answer = lambda _: Answered(503)
    (result,) = api.ask("POST", "/api/subscriptions/day/test")[1]["results"]
    assert result["outcome"] == "failed" and "HTTP 503" in result["detail"]


def dead_letter(api: Api, channel: str, number: int) -> str:
    alert = api.line.alarm(f"{number:x}", f"line-{number}")
    event: dict[str, Any] = {
        "id": f"{alert.alert_id}.firing",
        "subject": alert.camera,
        "data": alert.model_dump(mode="json"),
    }
    delivery = Delivery(id_of(event["id"], channel), channel, Kind.EVENT, (event,), ("day",), queued_ms=1000 * number)
    return bury(api.line.client, api.line.prefix, delivery, "HTTP 410: gone")


def test_dead_letters_are_shown_by_pages_replayed_and_discarded(api: Api) -> None:
    ids = [dead_letter(api, "hook", 1), dead_letter(api, "hook", 2), dead_letter(api, "left", 3)]
    channels = {one["name"]: one for one in api.ask("GET", "/api/subscriptions")[1]["channels"]}
    assert {name: (one["kind"], one["built_in"], one["dead"]) for name, one in channels.items()} == {
        "grafana": ("grafana", True, 0),
        "hook": ("webhook", False, 2),
        "left": ("gone", False, 1),
    }
    page = api.ask("GET", "/api/dead-letters?limit=2")[1]
    assert ([one["id"] for one in page["dead_letters"]], page["next"]) == ([ids[2], ids[1]], 2)
    rest = api.ask("GET", "/api/dead-letters?offset=2&limit=2")[1]
    assert rest["next"] is None and [one["id"] for one in rest["dead_letters"]] == [ids[0]]
    told = rest["dead_letters"][0]
    assert (told["channel"], told["kind"], told["cameras"], told["alert_ids"]) == ("hook", "event", ["line-1"], ["1"])
    assert (told["events"], told["error"], told["outcome"], told["tries"]) == (1, "HTTP 410: gone", "refused", 1)
    assert told["queued_ms"] == 1000
    replayed, discarded = "/api/dead-letters/replay", "/api/dead-letters/discard"
    assert api.ask("POST", discarded, {})[0] == 422, "an empty order does not mean all"
    status, said = api.ask("POST", replayed, {"ids": None, "channel": None})
    assert status == 409 and "no channel left is configured" in said["detail"]
    assert api.ask("POST", replayed, {"ids": [ids[0]], "channel": None}) == (200, {"replayed": 1})
    assert api.ask("POST", replayed, {"ids": [ids[0]], "channel": None}) == (200, {"replayed": 0})
    hooked = next(one for one in api.ask("GET", "/api/subscriptions")[1]["channels"] if one["name"] == "hook")
    assert (hooked["queued"], hooked["dead"]) == (1, 1) and 0 <= hooked["oldest_s"] < 600
    assert api.ask("POST", discarded, {"ids": None, "channel": "left"}) == (200, {"discarded": 1})
    assert [one["id"] for one in api.ask("GET", "/api/dead-letters")[1]["dead_letters"]] == [ids[1]]


def test_an_alert_is_escalated(api: Api) -> None:
    api.line.alarm("a1", "line-3-left", lasted_s=None)
    api.line.alarm("a2", "line-1", lasted_s=None)
    for _ in range(2):
        status, told = api.ask("POST", "/api/alerts/a1/escalate", {"by": "Ada"})
        assert (status, told["escalated_to"], told["escalated_by"]) == (200, "lead", "Ada")
    events = [json.loads(row["event"]) for _, row in api.line.client.xrange(api.line.outbox.stream)]
    assert [e["id"] for e in events if e["type"] == "linewatch.alert.escalated"] == ["a1.escalated.lead"]
    status, told = api.ask("POST", "/api/alerts/a2/escalate")
    assert status == 409 and "name one" in told["detail"]
    assert api.ask("POST", "/api/alerts/a2/escalate", {"to": "nobody"}) == (404, {"detail": "no subscription nobody"})
    assert api.ask("POST", "/api/alerts/a2/escalate", {"to": "lead"})[1]["escalated_to"] == "lead"
    api.ask("POST", "/api/subscriptions/lead/switch", {"on": False})
    assert api.ask("POST", "/api/alerts/a2/escalate", {"to": "lead"})[0] == 409
    api.me = "Ada Lovelace"
    told = api.ask("POST", "/api/alerts/a2/acknowledge", {"by": "somebody else"})[1]
    assert told["acknowledged_by"] == "Ada Lovelace", "the token's name goes first"


def test_a_clip_is_shown_whole_or_in_ranges_or_it_is_told_why_not(api: Api) -> None:
    now_ns = time.time_ns()
    new, old = api.line.alarm("a1", ago_s=5), api.line.alarm("a2", ago_s=900)
    api.line.alarm("a3")
    for alert in (new, old):
        api.line.outbox.stage_alert(api.line.client, alert.model_copy(update={"clip_url": "http://page/clip"}), 600)
    for alert_id, says in (("a1", "is being made"), ("a2", "kept (any more)"), ("a3", "was made"), ("a4", "no alert")):
        status, told = api.ask("GET", f"/api/alerts/{alert_id}/clip.mp4")
        assert status == 404 and says in told["detail"]
    api.line.evidence.put("a1", "clip", now_ns, b"0123456789")
    assert api.ask("GET", "/api/alerts/a1/clip.mp4") == (200, b"0123456789")
    assert api.ask("GET", "/api/alerts/a1/clip.mp4", Range="bytes=2-4") == (206, b"234")
    assert api.ask("GET", "/api/alerts/a1/clip.mp4", Range="bytes=99-")[0] == 416
    stale = {"Range": "bytes=2-4", "If-Range": '"that of a shorter one"'}
    assert api.ask("GET", "/api/alerts/a1/clip.mp4", **stale) == (200, b"0123456789")
    status, picture = api.ask("GET", "/api/alerts/a3/evidence.jpg")
    assert status == 200 and picture.startswith(b"\xff\xd8")
    assert api.ask("GET", "/api/alerts/a3/heatmap.jpg")[0] == 404


def test_a_trial_waits_for_nobody_and_tells_each_fault() -> None:
    """A channel that hangs, one that fails, one that breaks, one that cannot be made, and one that is not there."""
    released, closed = threading.Event(), threading.Event()

    class Faulty:
        parallel = 1

        def __init__(self, name: str) -> None:
            self.name = name

        def deliver(self, delivery: Delivery) -> None:
            assert delivery.kind is Kind.TEST and delivery.channel == self.name
            if self.name == "hangs":
                released.wait(60)
            elif self.name == "fails":
                raise DeliveryFailed("the server at smtp.plant:587 refused the password", retry_after_s=30)
            elif self.name == "breaks":
                raise RuntimeError("http://ada:secret@plant/ said nothing")

        def close(self) -> None:
            if self.name == "hangs":
                closed.set()

    def made(name: str) -> Channel:
        if name == "gone":
            raise KeyError(name)
        if name == "unmade":
            raise ValueError("channel unmade: template: cannot read body.j2")
        return Faulty(name)

    one = Subscription(name="all", to=("hangs", "fails", "breaks", "gone", "unmade"), cameras=("line-3-*",))
    began_s = time.monotonic()
    tried = {result.channel: result for result in try_out(one, made, trial_event(one, [], place), most_s=1.0)}
    assert time.monotonic() - began_s < 30 and list(tried) == list(one.to)
    assert (tried["hangs"].outcome, tried["hangs"].detail) == ("failed", "no answer within 1 s")
    assert tried["fails"].outcome == "failed" and "refused the password (asks to be left alone for 30 s)" in str(tried)
    assert tried["breaks"].outcome == "refused" and "secret" not in tried["breaks"].detail
    assert "section `channels`" in tried["gone"].detail and "body.j2" in tried["unmade"].detail
    released.set()
    assert closed.wait(30), "also the one that was given up is closed"


@pytest.mark.parametrize(
    ("keys", "cameras", "expected"),
    [
        ({"lines": ["line-3"]}, ["line-1", "line-3-b", "line-3-a"], ("line-3-a", "anomaly", "warning")),
        ({"cameras": ["hall-*"], "kinds": ["camera"]}, ["line-1"], ("hall-*", "offline", "warning")),
        ({"from_severity": "critical", "tell": ["escalated"], "kinds": ["drift"]}, ["b"], ("b", "drift", "critical")),
        ({}, [], ("test", "anomaly", "warning")),
    ],
)
def test_a_trial_is_about_a_camera_that_matches(
    keys: dict[str, Any], cameras: list[str], expected: tuple[str, str, str]
) -> None:
    event = trial_event(Subscription.model_validate({"name": "s", "to": ["hook"], **keys}), cameras, place)
    assert (event["subject"], event["data"]["condition"], event["data"]["severity"]) == expected
    assert event["type"] == "linewatch.test" and event["id"] == f"{event['data']['alert_id']}.test"


@pytest.mark.parametrize(
    ("asked", "status", "body", "told"),
    [
        (None, 200, b"0123456789", None),
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=7-99", 206, b"789", "bytes 7-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-30", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=-0", 416, b"", "bytes */10"),
        ("bytes=4-2", 200, b"0123456789", None),
        ("bytes=0-1,4-5", 200, b"0123456789", None),
        ("lines=0-1", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
    ],
)
def test_ranges(asked: str | None, status: int, body: bytes, told: str | None) -> None:
    answer = ranged(b"0123456789", "video/mp4", asked)
    assert (answer.status_code, answer.body, answer.headers.get("content-range")) == (status, body, told)
