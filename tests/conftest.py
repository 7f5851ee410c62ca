"""Real servers for the tests, started once and ended with them; and the rule on what may be skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import redis

from monitor import logs
from monitor.embedded import EmbeddedBroker, EmbeddedValkey

# As in production: without this, structlog draws every traceback with all its local variables, which takes seconds.
logs.set_up()


@pytest.fixture(scope="session")
def valkey() -> Iterator[EmbeddedValkey]:
    """A Valkey server for the whole session; tests keep apart by their key prefix."""
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture
def redis_client(valkey: EmbeddedValkey) -> Iterator[redis.Redis]:
    """A client as `monitor.compose` makes it."""
    client = redis.Redis.from_url(valkey.address, decode_responses=True, socket_timeout=5)
    yield client
    client.close()


@pytest.fixture
def prefix() -> str:
    """A key prefix of this test's own."""
    return f"test-{uuid4().hex[:10]}"


@pytest.fixture(scope="session")
def broker() -> Iterator[EmbeddedBroker]:
    """A Kafka-protocol broker for the whole session; tests keep apart by their topics."""
    with EmbeddedBroker() as server:
        yield server


@pytest.fixture
def topic(broker: EmbeddedBroker) -> str:
    """A topic of this test's own, with two partitions, and its dead-letter topic."""
    name = f"frames-{uuid4().hex[:10]}"
    broker.create_topic(name, partitions=2)
    broker.create_topic(f"{name}.dlq", partitions=1)
    return name


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real pictures and films; tests that want it are skipped where it is not named."""
    named = os.environ.get("LINEWATCH_DATA")
    if not named or not Path(named).is_dir():
        pytest.skip("LINEWATCH_DATA does not name a folder with the shared data; this test wants real pictures")
    return Path(named)
