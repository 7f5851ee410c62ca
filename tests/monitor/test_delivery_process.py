"""The process that delivers for a worker: it is there when it is needed, comes back, and ends with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from monitor.alerting.alert import Alert, Event
from monitor.alerting.outbox import Outbox
from monitor.delivery_process import DeliveryProcess
from monitor.embedded import EmbeddedValkey
from monitor.settings import Settings
from tests.faults.hook import SECRET, FlakyHook
from tests.monitor.peer import event
from tests.monitor.service import until

pytestmark = pytest.mark.slow


@pytest.fixture
def hook() -> Iterator[FlakyHook]:
    with FlakyHook(0.0) as peer:
        yield peer


def settings(valkey: EmbeddedValkey, prefix: str, folder: Path, hook: FlakyHook | None) -> Settings:
    channels = [] if hook is None else [{"name": "hook", "webhook": {"url": hook.url, "secret": SECRET}}]
    return Settings.model_validate(
        {
            "model": {"checkpoint": "none.safetensors"},
            "sources": [{"files": {"camera": "a", "path": "*.mp4"}}],
            "redis": {"url": valkey.address, "prefix": prefix},
            "evidence": {"dir": folder},
            "channels": channels,
            "subscriptions": [] if hook is None else [{"name": "all", "to": ["hook"]}],
            "delivery": {"allow_targets": ["127.0.0.1"]},
        }
    )


def happen(client: redis.Redis, prefix: str, number: int) -> str:
    """An alert begins; the id of the event."""
    told: dict[str, Any] = event(number)
    alert = Alert.model_validate(told["data"])
    Outbox(client, prefix).write(Event(told["type"], alert.started_at, alert), 600)
    return str(told["id"])


def test_it_comes_with_the_first_channel_and_again_when_it_was_killed(
    valkey: EmbeddedValkey, redis_client: redis.Redis, prefix: str, tmp_path: Path, hook: FlakyHook
) -> None:
    tried: list[tuple[str, str, bool]] = []
    process = DeliveryProcess(
        settings(valkey, prefix, tmp_path, None),
        "http://page",
        lambda channel, outcome, late_s: tried.append((channel, outcome, late_s is not None)),
    )
    process.start()
    assert process.pid is None  # there is nobody to tell
    first = happen(redis_client, prefix, 1)
    process.use(settings(valkey, prefix, tmp_path, hook))
    assert until(lambda: first in hook.arrived())
    killed = process.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    second = happen(redis_client, prefix, 2)
    assert until(lambda: second in hook.arrived()) and process.pid not in (None, killed)
    assert until(lambda: tried == [("hook", "delivered", True)] * 2)
    third = happen(redis_client, prefix, 3)
    process.stop(10)
    assert third in hook.arrived() and process.pid is None and not hook.unsigned


def test_it_ends_with_its_parent_whatever_way_that_ends(
    valkey: EmbeddedValkey, prefix: str, tmp_path: Path, hook: FlakyHook
) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, valkey.address, prefix, str(tmp_path), hook.url],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    assert until(lambda: not Path(f"/proc/{child}").exists())


PARENT = """
import sys, time
from monitor.delivery_process import DeliveryProcess
from monitor.settings import Settings
url, prefix, folder, hook = sys.argv[1:]
process = DeliveryProcess(Settings.model_validate({
    "model": {"checkpoint": "none.safetensors"},
    "sources": [{"files": {"camera": "a", "path": "*.mp4"}}],
    "redis": {"url": url, "prefix": prefix},
    "evidence": {"dir": folder},
    "channels": [{"name": "hook", "webhook": {"url": hook}}],
    "subscriptions": [{"name": "all", "to": ["hook"]}],
}), "http://page", print)
process.start()
while process.pid is None:
    time.sleep(0.01)
print(process.pid, flush=True)
time.sleep(60)
"""
