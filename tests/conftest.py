"""Real servers for the tests, started once and ended with them; and the rule on what may be skipped."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from hypothesis import settings
from playwright.sync_api import Browser, sync_playwright

from monitor import logs
from monitor.embedded import EmbeddedBroker, EmbeddedValkey
from scripts.page_picture import BROWSERS, FLAGS

# How long an example takes says nothing on a machine that does other things as well.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

# As in production: without this, structlog draws every traceback with all its local variables, which takes seconds.
logs.set_up()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest first, so that no worker sits alone with one of them at the end."""
    weight: Counter[Path] = Counter()
    for item in items:
        weight[item.path] += 20 if item.get_closest_marker("slow") else 1
    items.sort(key=lambda item: -weight[item.path])  # stable: within a file nothing changes


@pytest.fixture(scope="session")
def valkey() -> Iterator[EmbeddedValkey]:
    """A Valkey server for the whole session; tests keep apart by their key prefix."""
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Networks as small as those of the tests gain nothing from more, and threads that wait for each other on a busy
    machine lose a lot."""
    import torch  # noqa: PLC0415 - most tests do without

    from models.threads import keeping_threads  # noqa: PLC0415

    with keeping_threads():
        torch.set_num_threads(1)
        yield


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium. Skipped where there is none, except in CI."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        message = f"no browser on the PATH: the page is tested in one of {', '.join(BROWSERS)}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


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
