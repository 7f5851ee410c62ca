"""Dead letters whose broker forgets, refuses, or is not there."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from kafka.errors import KafkaConnectionError

from monitor.embedded import EmbeddedBroker
from monitor.embedded.server import HOST, free_port
from streams import dead_letters
from streams.dead_letters import DeadLetters


def add(letters: DeadLetters, value: bytes) -> threading.Event:
    done = threading.Event()
    letters.add(error="empty: a test", origin="frames/0/0", key=None, value=value, done=done.set)
    return done


@pytest.mark.slow
def test_a_broker_that_has_forgotten_the_producer_gets_the_letters_from_a_new_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The client numbers what it sends; a broker that knows nothing of the earlier numbers refuses it for ever."""
    monkeypatch.setattr(dead_letters, "RETRY_AFTER_S", 0.5)
    port = free_port()
    with EmbeddedBroker(port) as first:
        first.create_topic("frames.dlq")
        letters = DeadLetters(first.address, "frames.dlq", 1 << 20)
        assert add(letters, b"before").wait(20)
    with EmbeddedBroker(port) as second:
        second.create_topic("frames.dlq")
        assert [done.wait(30) for done in [add(letters, b"after") for _ in range(3)]] == [True] * 3
        letters.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("dead-letters")]


@pytest.fixture
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_: Any, **__: Any) -> Any:
        raise KafkaConnectionError("a test")

    monkeypatch.setattr(dead_letters, "opened", opened)


@pytest.mark.usefixtures("no_broker")
def test_letters_that_cannot_be_written_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "TOLD_AFTER_S", 0.2)
    letters = DeadLetters(f"{HOST}:{free_port()}", "frames.dlq", 1 << 20)
    assert letters.trouble is None and not letters.full
    letters.add(error="empty", origin="frames/0/0", key=None, value=b"x", done=lambda: None)
    assert letters.trouble is None, "not at once"
    end_s = time.monotonic() + 20
    while letters.trouble is None and time.monotonic() < end_s:
        time.sleep(0.02)
    assert f"dead letters cannot be written to frames.dlq at {HOST}:" in str(letters.trouble)
    assert "KafkaConnectionError" in str(letters.trouble)
    letters.close()


@pytest.mark.slow
def test_the_trouble_is_over_when_the_letters_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "TOLD_AFTER_S", 0.0)
    monkeypatch.setattr(dead_letters, "RETRY_AFTER_S", 0.5)
    monkeypatch.setattr(dead_letters, "MOST_LETTERS", 1)
    port = free_port()
    letters = DeadLetters(f"{HOST}:{port}", "frames.dlq", 1 << 20)
    waiting = [add(letters, b"x" * 1000), add(letters, b"y")]
    assert letters.full and "no more is read" in str(letters.trouble)
    with EmbeddedBroker(port) as broker:
        broker.create_topic("frames.dlq")
        assert all(done.wait(30) for done in waiting)
        assert letters.trouble is None and not letters.full
        letters.close()


@pytest.mark.usefixtures("no_broker")
@pytest.mark.parametrize(("number", "size"), [(1_001, 0), (1, (64 << 20) + 1)])
def test_what_may_wait_is_bounded_in_number_and_in_bytes(number: int, size: int) -> None:
    letters = DeadLetters(f"{HOST}:{free_port()}", "frames.dlq", 1 << 20)
    for _ in range(number - 1):
        letters.add(error="empty", origin="frames/0/0", key=None, value=None, done=lambda: None)
    assert not letters.full
    letters.add(error="empty", origin="frames/0/0", key=None, value=bytes(size), done=lambda: None)
    assert letters.full
    letters.close()
