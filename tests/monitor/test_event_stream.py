"""Listening to events: nothing that is kept is missed, and what is missed is told. On a real Valkey, over real HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import redis.asyncio

from monitor.embedded import EmbeddedValkey
from monitor.embedded.server import free_port
from monitor.serving.event_stream import GAP, event_stream, place_of
from monitor.serving.routes.events import MAX_LISTENERS
from monitor.serving.server import SILENT_MS, HttpServer
from tests.monitor.guarded import Guarded
from tests.monitor.line_state import LineState
from tests.monitor.recorded import until

KIND = "linewatch.alert.firing"
Event = tuple[str, str, str]


@pytest.fixture
def line(valkey: EmbeddedValkey, prefix: str, tmp_path: Path) -> LineState:
    return LineState(tmp_path, valkey.address, prefix)


@pytest.fixture
def served(line: LineState) -> Iterator[Guarded]:
    made = Guarded(line).start()
    yield made
    made.server.stop()


def write(line: LineState, count: int, first: int = 0) -> list[str]:
    """So many events, as the outbox appends them; their ids."""
    with line.client.pipeline(transaction=False) as pipe:
        for number in range(first, first + count):
            pipe.xadd(line.outbox.stream, {"event": json.dumps({"type": KIND, "id": str(number)})})
        return [str(entry_id) for entry_id in pipe.execute()]


@contextmanager
def listening(served: Guarded, header: str = "", query: str = "") -> Iterator[Callable[[int], list[Event]]]:
    """`(take)`: take(n) are the next n events as (type, id, data)."""
    headers = {"Last-Event-ID": header} if header else {}
    params = {"last_event_id": query} if query else {}
    with served.client().stream("GET", "/api/events", headers=headers, params=params) as answer:
        assert answer.status_code == 200, answer.read()
        lines = answer.iter_lines()
        assert next(lines).startswith(":"), "from here on it listens"

        def take(count: int) -> list[Event]:
            found: list[Event] = []
            fields: dict[str, str] = {}
            for line in lines:
                name, _, value = line.partition(": ")
                fields[name] = value
                if line == "" and "data" in fields:
                    found.append((fields["event"], fields.get("id", ""), fields["data"]))
                    fields = {}
                    if len(found) == count:
                        break
            return found

        yield take


def test_an_hour_of_sleep_misses_nothing_that_is_kept(served: Guarded, line: LineState) -> None:
    seen, missed = write(line, 1)[0], write(line, 5000)
    for asked in ({"header": seen}, {"query": seen}, {"header": seen, "query": "0-0"}):
        with listening(served, **asked) as take:
            events = take(len(missed))
            assert [entry_id for _, entry_id, _ in events] == missed
            assert {kind for kind, _, _ in events} == {KIND} and json.loads(events[4999][2])["id"] == "4999"
            missed += write(line, 1)
            assert take(1)[0][1] == missed[-1], "and what comes now"


def test_what_is_no_longer_kept_is_told_first(served: Guarded, line: LineState) -> None:
    ids = write(line, 20)
    with listening(served, "0-0") as take:
        assert [event[1] for event in take(20)] == ids, "from the very beginning, all of which is kept"
    line.client.xtrim(line.outbox.stream, maxlen=10, approximate=False)
    for asked in ("0-0", ids[0], ids[9]):
        with listening(served, asked) as take:
            events = take(11)
            assert events[0] == (GAP, "", ids[10]) and [event[1] for event in events[1:]] == ids[10:]
    with listening(served, ids[10]) as take:
        assert [event[1] for event in take(9)] == ids[11:], "nothing is missing after that one"


@pytest.mark.parametrize("asked", ["99999999999999-0", "yesterday", "18446744073709551616-0", "-", "1-1-1", "x" * 500])
def test_an_id_that_no_event_has_goes_on_from_now(served: Guarded, line: LineState, asked: str) -> None:
    ids = write(line, 3)
    with listening(served, asked) as take:
        assert take(1) == [(GAP, ids[2], ids[0])]
        fresh = write(line, 2)
        assert [event[1] for event in take(2)] == fresh


def test_before_the_first_event_and_after_redis_was_emptied(served: Guarded, line: LineState) -> None:
    with listening(served) as take:
        first = write(line, 1)
        assert take(1)[0][:2] == (KIND, first[0]), "no gap: nothing was asked for"
    line.client.delete(line.outbox.stream)
    with listening(served, first[0]) as take:
        assert take(1) == [(GAP, "0-0", "0-0")]
        assert take(len(write(line, 1)))[0][0] == KIND


def test_what_is_no_event_does_not_end_the_stream(served: Guarded, line: LineState) -> None:
    with listening(served) as take:
        for odd in ({"event": "{"}, {"other": "x"}, {"event": "[]"}, {"event": "{}"}):
            line.client.xadd(line.outbox.stream, odd)
        good = write(line, 1)
        assert take(1)[0][1] == good[0]


def test_what_comes_after_the_answer_began_is_heard(line: LineState) -> None:
    """A page reads the list of alerts once it is told that it listens: an event after that may be in one only."""

    async def heard() -> bytes:
        client = redis.asyncio.Redis.from_url(line.address, decode_responses=True)
        try:
            told = await event_stream(client, line.outbox.stream, "")
            write(line, 1)  # before anything of the answer is read
            assert (await anext(told)).startswith(b":")
            return await anext(told)
        finally:
            await client.aclose()

    write(line, 1, first=7)
    assert b'"id": "0"' in asyncio.run(heard())


def test_redis_away_is_told_and_costs_no_place(served: Guarded, line: LineState) -> None:
    address, line.address = line.address, f"redis://127.0.0.1:{free_port()}"
    for _ in range(MAX_LISTENERS + 1):
        answer = served.client().get("/api/events")
        assert answer.status_code == 503 and "Redis does not answer" in answer.json()["detail"]
    line.address = address
    with listening(served) as take:
        assert take(len(write(line, 1)))[0][0] == KIND


def test_the_end_of_the_service_ends_it_without_a_fault(line: LineState, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever stops the service while a page is open reads no traceback."""
    served = Guarded(line).start()
    with served.client().stream("GET", "/api/events") as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith(":")
        served.server.stop()
        assert list(lines) == [""], "a whole answer, not one that is cut off"
    assert "uvicorn.error" not in {record.name for record in caplog.records}


def test_listeners_are_bounded_and_leave_their_place(served: Guarded, line: LineState) -> None:
    client = httpx.Client(
        base_url=served.server.url, timeout=30, trust_env=False, verify=False, limits=httpx.Limits(max_connections=None)
    )
    held = [client.stream("GET", "/api/events") for _ in range(MAX_LISTENERS)]
    answers = [each.__enter__() for each in held]
    assert {answer.status_code for answer in answers} == {200}
    refused = client.get("/api/events")
    assert refused.status_code == 503 and refused.headers["retry-after"] == "10"
    assert "100 listen already" in refused.json()["detail"]
    assert client.get("/api/alerts").status_code == 200, "all else is answered"
    for each in held:
        each.__exit__(None, None, None)

    def again() -> bool:
        with client.stream("GET", "/api/events") as answer:
            return answer.status_code == 200

    assert until(again)
    client.close()
    assert until(lambda: not any(each["cmd"] == "xread" for each in line.client.client_list())), "and their connection"


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux can be told so")
def test_a_listener_that_left_without_a_word_is_given_up() -> None:
    server = HttpServer("127.0.0.1", 0)
    address = urlsplit(server.url)
    server._socket.listen()
    with socket.create_connection((address.hostname, address.port)), server._socket.accept()[0] as accepted:
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == SILENT_MS
    server.stop()


def test_ids_are_compared_as_numbers() -> None:
    assert place_of("9-10") == (9, 10) and place_of("10-0") > place_of("9-10")  # type: ignore[operator]
    assert [place_of(odd) for odd in ("", "1", "1-", "١-١", "1-1\n", f"{1 << 64}-0")] == [None] * 6
