"""Who is let in, what each role may do, how often, and under which names: the real application over real HTTP."""

from __future__ import annotations

import http.client
import itertools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi.routing import APIRoute
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.routing import Route

from monitor.embedded import EmbeddedValkey
from monitor.http_settings import Role
from monitor.serving.hosts import Hosts, is_loopback, name_of
from monitor.serving.rates import Rate, network_of
from monitor.serving.roles import CHANGES, OPEN, RANK, SAFE_METHODS, is_open, may, needed
from tests.monitor.guarded import ADMIN, OF_ALL, OPERATOR, PEOPLE, VIEWER, Guarded
from tests.monitor.line_state import LineState


@pytest.fixture
def line(valkey: EmbeddedValkey, prefix: str, tmp_path: Path) -> LineState:
    return LineState(tmp_path, valkey.address, prefix)


@pytest.fixture
def served(line: LineState) -> Iterator[Guarded]:
    made = Guarded(line, {"token": OF_ALL, "access": PEOPLE}).start()
    made.see()
    made.alarm()
    yield made
    made.server.stop()


def routes_of(served: Guarded) -> Iterator[tuple[str, str]]:
    """Method and path of all that the application does."""
    for route in served.app.routes:
        if isinstance(route, (APIRoute, Route)):
            for method in route.methods or ():
                yield method, route.path


def test_the_table_says_of_every_change_who_may_do_it(served: Guarded) -> None:
    """A new route that changes something fails here until somebody has thought about who may use it."""
    routes = set(routes_of(served))
    changing = {(method, path) for method, path in routes if method not in SAFE_METHODS and path not in OPEN}
    assert changing == set(CHANGES)
    assert {path for path in OPEN if not path.startswith("/static/")} <= {path for _, path in routes}
    for method, path in changing:
        asked = path.replace("{camera:path}", "hall/2").replace("{alert_id}", "a1").replace("{name}", "shift")
        assert needed(method, asked) == CHANGES[method, path] and not is_open(asked)
        assert needed("PATCH", asked) == needed(method, f"{asked}/else") == "admin", "what is in no row"
        assert needed("GET", asked) == "viewer"


def test_each_role_may_do_what_the_table_says(served: Guarded) -> None:
    nobody = served.client()
    clients: dict[Role, httpx.Client] = {
        role: served.client(token) for role, token in (("viewer", VIEWER), ("operator", OPERATOR), ("admin", ADMIN))
    }
    for (method, path), least in CHANGES.items():
        # Names that are nowhere, and no body: 404 or 422 mean that the gate let it through.
        asked = path.replace("{camera:path}", "nowhere").replace("{alert_id}", "ff").replace("{name}", "nowhere")
        for role, client in clients.items():
            answer = client.request(method, asked)
            if may(role, least):
                assert answer.status_code not in (401, 403), (method, path, role)
            else:
                assert answer.status_code == 403 and f"needs the role {least}" in answer.json()["detail"]
                assert f"has the role {role}" in answer.json()["detail"]
        assert nobody.request(method, asked).status_code == 401
    for path in ("/api/cameras", "/api/alerts", "/api/subscriptions", "/api/dead-letters", "/metrics", "/openapi.json"):
        assert clients["viewer"].get(path).status_code == 200
        assert nobody.get(path).status_code == 401


def test_the_service_says_whom_it_takes_one_for_and_notes_that_name(served: Guarded) -> None:
    for token, name, role in (
        (VIEWER, "Vera", "viewer"),
        (OPERATOR, "Otto", "operator"),
        (ADMIN, "Ada", "admin"),
        (OF_ALL, "", "admin"),
    ):
        assert served.client(token).get("/api/me").json() == {"name": name, "role": role}
        basic = served.client().get("/api/me", auth=("anybody", token))
        assert basic.json() == {"name": name, "role": role}
    told = served.client(OPERATOR).post("/api/alerts/a1/acknowledge", json={"by": "somebody else"}).json()
    assert told["acknowledged_by"] == "Otto"
    told = served.client(OF_ALL).post("/api/alerts/a1/false-alarm", json={"by": "Zoë"}).json()
    assert told["false_alarm_by"] == "Zoë", "nobody in particular holds http.token"


def test_wrong_tokens_are_refused_for_a_minute_and_the_right_one_never(
    served: Guarded, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    guess = served.client("guess-0123456789abcdef")
    seen = [guess.get("/api/me") for _ in range(25)]
    assert [answer.status_code for answer in seen] == [401] * 20 + [429] * 5
    assert 0 < int(seen[-1].headers["retry-after"]) <= 61 and "from this address" in seen[-1].json()["detail"]
    assert served.client(VIEWER).get("/api/me").status_code == 200
    assert served.client().get("/api/me").status_code == 401, "a browser that has not asked yet"
    assert caplog.text.count("wrong_tokens") == 1
    for text in (caplog.text, *(answer.text for answer in seen)):
        assert "0123456789abcdef" not in text


def test_tokens_are_nowhere_to_be_read(served: Guarded, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = served.client(ADMIN)
    link = urlsplit(served.links.picture("a1", "evidence"))
    assert client.get(f"{link.path}?{link.query}").status_code == 200
    paths = ("/openapi.json", "/metrics", "/readyz", "/api/me", "/api/subscriptions")
    texts = [client.get(path).text for path in paths]
    texts += [client.post("/api/cameras/line-1/shelve", content=b"{", headers={"X-Token": ADMIN}).text]
    # Addresses hold signatures, and this is where they would be written; pytest listens to it all the same.
    assert not logging.getLogger("uvicorn.access").propagate
    others = ("httpx", "httpcore", "uvicorn.access")
    texts += [record.getMessage() for record in caplog.records if not record.name.startswith(others)]
    for text in texts:
        assert "0123456789abcdef" not in text and "sig=" not in text


def test_an_address_that_asks_too_often_waits(line: LineState) -> None:
    served = Guarded(line, {"orders_per_minute": 3, "reads_per_minute": 60}).start()
    try:
        client = served.client()
        forged = (client.post("/api/reload", headers={"X-Forwarded-For": f"10.0.0.{n}"}) for n in range(5))
        assert [answer.status_code for answer in forged] == [200, 200, 200, 429, 429]
        reads = [client.get("/api/me") for _ in range(61)]
        assert {answer.status_code for answer in reads[:60]} == {200} and reads[60].status_code == 429
        assert 0 < int(reads[60].headers["retry-after"]) <= 61
        assert "http.reads_per_minute" in reads[60].json()["detail"]
        assert reads[60].headers["x-content-type-options"] == "nosniff"
        assert client.get("/healthz").status_code == 200, "it is alive all the same"
    finally:
        served.server.stop()


def test_rates_are_counted_by_the_minute_and_in_bounded_memory() -> None:
    now_s = 0.0
    rate = Rate(2, most=100, clock=lambda: now_s)
    assert [rate.exceeded_s("a") for _ in range(3)] == [None, None, 60]
    now_s = 59.5
    assert rate.exceeded_s("a") == 1 and rate.exceeded_s("b") is None
    now_s = 60.0
    assert rate.exceeded_s("a") is None, "a new minute"
    for n in range(1000):
        rate.exceeded_s(f"10.0.{n >> 8}.{n & 255}")
    assert len(rate._counts._counts) == 100


def test_who_counts_as_one() -> None:
    assert network_of("10.0.0.1") != network_of("10.0.0.2")
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1%eth0") != network_of("2001:db8:0:1::1")
    assert network_of("::ffff:10.0.0.1") == "10.0.0.1"
    assert network_of(None) == network_of("not an address") == "elsewhere"


def host_answer(served: Guarded, path: str, *hosts: str) -> list[int]:
    found = []
    for host in hosts:
        connection = http.client.HTTPConnection(urlsplit(served.server.url).netloc, timeout=30)
        connection.putrequest("GET", path, skip_host=True)
        connection.putheader("Host", host)
        connection.endheaders()
        answer = connection.getresponse()
        answer.read()
        found.append(answer.status)
        connection.close()
    return found


def test_another_name_may_not_stand_for_this_machine(line: LineState) -> None:
    """DNS rebinding: a page of evil.example lets its name point here, and is of the same origin then."""
    served = Guarded(line, {"public_url": "https://Line.Example:8443/"}).start()
    try:
        local = ("localhost", "LOCALHOST:8090", "127.0.0.1:80", "127.9.9.9", "[::1]:1", "a.localhost")
        assert set(host_answer(served, "/api/me", *local, "line.example", "line.example.:443")) == {200}
        foreign = (
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.nip.io",
            "10.0.0.1",
            "line.example@evil.example",
        )
        assert set(host_answer(served, "/api/me", *foreign, "")) == {421}
        assert host_answer(served, "/healthz", "10.0.0.1", "evil.example") == [200, 200], "a health check by address"
        told = served.client(Host="evil.example").post("/api/reload")
        assert told.status_code == 421 and "http.allowed_hosts" in told.json()["detail"]
    finally:
        served.server.stop()


def test_names_that_are_allowed() -> None:
    def answers(host: str, **options: Any) -> bool:
        hosts = Hosts(lambda *_: None, **{"allowed": (), "public_url": None, "has_tokens": True} | options)  # type: ignore
        name = name_of(host)
        return hosts._any or name in hosts._names or name.endswith(hosts._below) or is_loopback(name)

    assert answers("anything.example") and not answers("anything.example", has_tokens=False)
    named = {"allowed": ("line.example:8090", "*.plant.example", "10.0.0.1", "[fd00::1]"), "public_url": "http://p"}
    for good in ("LINE.example", "a.b.plant.example:1", "10.0.0.1:8090", "[fd00::1]:8090", "p", "localhost"):
        assert answers(good, **named), good
    for bad in ("anything.example", "plant.example", "xplant.example", "10.0.0.11", "[fd00::2]"):
        assert not answers(bad, **named), bad
    assert answers("anything", allowed=("*",), has_tokens=False)


@settings(max_examples=40)
@given(st.text(max_size=40))
def test_no_host_is_too_odd(host: str) -> None:
    is_loopback(name_of(host))
    network_of(host)


def test_answers_say_who_may_show_and_keep_them(served: Guarded) -> None:
    client = served.client(VIEWER)
    api = client.get("/api/alerts").headers
    assert api["cache-control"] == "no-store" and api["cross-origin-resource-policy"] == "same-origin"
    assert api["x-frame-options"] == "SAMEORIGIN" and "frame-ancestors 'self'" in api["content-security-policy"]
    assert api["cross-origin-opener-policy"] == "same-origin" and "camera=()" in api["permissions-policy"]
    picture = client.get("/api/alerts/a1/evidence.jpg").headers
    assert picture["cache-control"] == "private" and picture["cross-origin-resource-policy"] == "same-site"
    assert client.get("/api/cameras/line-1/latest.jpg").headers["cross-origin-resource-policy"] == "same-site"
    assert client.get("/static/page.css").headers["cache-control"] == "no-cache"
    assert served.client().get("/static/act.css").status_code == 200
    for refused in (served.client().get("/api/me"), client.post("/api/reload"), client.get("/nowhere")):
        assert refused.headers["content-security-policy"] == api["content-security-policy"]


def test_addresses_are_bounded(served: Guarded) -> None:
    client = served.client(VIEWER)
    for path in ("/api/alerts?camera=" + "a" * 9000, "/" + "a" * 9000):
        answer = client.get(path)
        assert answer.status_code == 414 and "8,192 bytes" in answer.json()["detail"]
    assert client.get("/api/me?" + "a" * 8000).status_code == 200


def test_odd_credentials_are_only_wrong(served: Guarded) -> None:
    odd = ["Bearer", "Basic", "Basic !!!", "Basic /w==", "Basic Og==", "Digest x", "Bearer é", "x" * 2000]
    client = served.client()
    for given_so in odd:
        answer = client.get("/api/me", headers={"Authorization": given_so.encode()})
        assert answer.status_code == 401 and "www-authenticate" in answer.headers, given_so
    odd_origin = served.client(OPERATOR).post("/api/alerts/a1/acknowledge", headers={"Origin": "http://[::1"})
    assert odd_origin.status_code == 403


def test_roles_include_each_other() -> None:
    order: list[Role] = ["viewer", "operator", "admin"]
    assert sorted(RANK, key=RANK.__getitem__) == order
    assert all(
        may(high, low) == (order.index(high) >= order.index(low)) for high, low in itertools.product(order, order)
    )
