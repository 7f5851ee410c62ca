"""When cameras had alarms, and since when that is known, as the outbox tells it."""

from __future__ import annotations

import time

import pytest
import redis

from monitor.alerting import stretches as module
from monitor.alerting.alert import DRIFT, Alert, Event
from monitor.alerting.outbox import Outbox
from monitor.alerting.stretches import AlarmStretches
from monitor.judging.episodes import Severity

DAY_S = 86_400
NOW_S = time.time()
NOW_MS = round(NOW_S * 1000)


def write(outbox: Outbox, number: int, ago_s: float, camera: str = "line-1", condition: str = "anomaly") -> int:
    """An alert of a second that began so long ago; when it did, ms since the epoch."""
    at_ms = NOW_MS - round(ago_s * 1000)
    alert = Alert(
        alert_id=f"{number:x}",
        camera=camera,
        condition=condition,
        severity=Severity.WARNING,
        started_at=at_ms * 1_000_000,
        ended_at=(at_ms + 1000) * 1_000_000,
        peak_score=2.0,
        threshold=1.0,
        frame=None,
        model="model",
    )
    outbox.write(Event("linewatch.alert.resolved", at_ms * 1_000_000, alert), ttl_s=3600)
    return at_ms


@pytest.fixture
def outbox(redis_client: redis.Redis, prefix: str) -> Outbox:
    return Outbox(redis_client, prefix)


def alarms(outbox: Outbox) -> AlarmStretches:
    return AlarmStretches(outbox, keep_s=7 * DAY_S, wall_s=lambda: NOW_S)


def test_other_alerts_push_none_about_a_part_out(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NEWEST", 3)
    monkeypatch.setattr(module, "PAGE", 3)
    at_ms = write(outbox, 0, ago_s=1000)
    for number in range(1, 10):
        write(outbox, number, ago_s=number, condition=DRIFT)
    found = alarms(outbox)("line-1", 0, NOW_MS)
    assert found.stretches == [(at_ms, at_ms + 1000)]
    assert found.since_ms == NOW_MS - 6 * DAY_S * 1000  # the outbox holds a week, and an alarm may last for a day


def test_beyond_the_newest_it_says_since_when_it_knows(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NEWEST", 3)
    monkeypatch.setattr(module, "PAGE", 2)
    for number, ago_s in enumerate((5000, 4000)):
        write(outbox, number, ago_s)
    first_ms = write(outbox, 2, 3000)
    write(outbox, 3, 2000, camera="line-2")
    for number, ago_s in enumerate((1000, 500), start=4):
        write(outbox, number, ago_s)
    asked = alarms(outbox)
    here = asked("line-1", 0, NOW_MS)
    assert here.since_ms == here.stretches[0][0] == first_ms
    assert asked("line-3", 0, NOW_MS).since_ms == NOW_MS


def test_one_that_was_called_false_is_none(outbox: Outbox) -> None:
    write(outbox, 1, 1000)
    outbox.false_alarm("1", "somebody")
    found = alarms(outbox)("line-1", 0, NOW_MS)
    assert found.stretches == [] and found.since_ms < NOW_MS - 1_000_000


def test_what_is_asked_bounds_what_is_told(outbox: Outbox) -> None:
    at_ms = write(outbox, 1, 1000)
    asked = alarms(outbox)
    assert asked("line-1", at_ms + 1000, NOW_MS).stretches
    assert not asked("line-1", at_ms + 1001, NOW_MS).stretches
    assert not asked("line-2", 0, NOW_MS).stretches
