"""What happened, written down before anything else is done about it: alerts and their events in Redis."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import redis
import structlog

from monitor.alerting.alert import ACKNOWLEDGED, ANOMALY, Alert, Event

log = structlog.get_logger(__name__)

MAX_EVENTS = 100_000
"""The stream keeps about so many events; dispatchers that were away for longer miss the oldest."""


MARKS = ("acknowledged", "false_alarm")


class AlertUnknown(KeyError):
    """No alert with this id is kept."""


class Outbox:
    """Alerts, their index by time, and the stream of events that dispatchers and the page read. Thread-safe.

    Keys, under `prefix`: `alert:<id>` (a hash: `episode` is written by the pipeline, `acknowledged` and
    `false_alarm` by people, so that neither overwrites the other), `alerts` (sorted by start, ms), `firing` (a set of
    ids), `events` (the stream). An alert's state and its event are written in one transaction. Every method may
    raise redis.RedisError.
    """

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        self._client: Any = client
        self._prefix = prefix
        self.stream = f"{prefix}:events"

    def write(self, event: Event, ttl_s: float) -> None:
        """Note an episode's new state and its event, atomically. Writing the same event again appends it again,
        with the same event id, by which every reader can tell."""
        alert = event.alert
        key = self._key(alert.alert_id)
        *said, known = self._client.hmget(key, (*MARKS, "episode"))
        alert = _shown_by(alert, known).model_copy(update=_marks(dict(zip(MARKS, said, strict=True))))
        event = replace(event, alert=alert)
        with self._client.pipeline(transaction=True) as transaction:
            transaction.hset(key, "episode", alert.model_dump_json())
            transaction.expire(key, round(ttl_s))
            transaction.zadd(f"{self._prefix}:alerts", {alert.alert_id: alert.started_at // 1_000_000})
            if alert.ended_at is None:
                transaction.sadd(f"{self._prefix}:firing", alert.alert_id)
            else:
                transaction.srem(f"{self._prefix}:firing", alert.alert_id)
            self._append(transaction, event)
            transaction.execute()

    def firing(self) -> list[Alert]:
        """The alerts whose episodes have not ended."""
        return self._load([str(member) for member in self._client.smembers(f"{self._prefix}:firing")])

    def get(self, alert_id: str) -> Alert:
        """One alert. Raises AlertUnknown."""
        found = self._load([alert_id])
        if not found:
            raise AlertUnknown(alert_id)
        return found[0]

    def newest(self, *, offset: int, limit: int, camera: str | None = None) -> list[Alert]:
        """Alerts by start, newest first; with `camera` only that camera's."""
        index = f"{self._prefix}:alerts"
        if camera is None:
            return self._load(self._client.zrange(index, offset, offset + limit - 1, desc=True))
        found = [a for a in self._load(self._client.zrange(index, 0, -1, desc=True)) if a.camera == camera]
        return found[offset : offset + limit]

    def acknowledge(self, alert_id: str, by: str) -> Alert:
        """Somebody has seen it. Doing so again keeps the first name and time. Raises AlertUnknown."""
        return self._mark(alert_id, "acknowledged", by)

    def false_alarm(self, alert_id: str, by: str) -> Alert:
        """Somebody says that nothing was wrong. Raises AlertUnknown."""
        return self._mark(alert_id, "false_alarm", by)

    def forget_before(self, time_ms: int) -> int:
        """Drop alerts that started earlier from the index (their hashes expire); how many."""
        return int(self._client.zremrangebyscore(f"{self._prefix}:alerts", "-inf", f"({time_ms}"))

    def _mark(self, alert_id: str, mark: str, by: str) -> Alert:
        self.get(alert_id)
        now_ns = time.time_ns()
        first = self._client.hsetnx(self._key(alert_id), mark, json.dumps({"at": now_ns, "by": by}))
        alert = self.get(alert_id)
        if first and mark == "acknowledged":
            self._append(self._client, Event(ACKNOWLEDGED, now_ns, alert))
        return alert

    def _append(self, client: Any, event: Event) -> None:
        client.xadd(self.stream, {"event": json.dumps(event.document())}, maxlen=MAX_EVENTS, approximate=True)

    def _load(self, ids: Sequence[str]) -> list[Alert]:
        with self._client.pipeline(transaction=False) as pipe:
            for alert_id in ids:
                pipe.hgetall(self._key(alert_id))
            rows = pipe.execute() if ids else []
        return [alert for row in rows if row and "episode" in row and (alert := _alert(row)) is not None]

    def _key(self, alert_id: str) -> str:
        return f"{self._prefix}:alert:{alert_id}"


def _alert(row: dict[str, str]) -> Alert | None:
    try:
        return Alert.model_validate_json(row["episode"]).model_copy(update=_marks(row))
    except ValueError as error:  # of another version, or touched by others: it must not hide the rest
        log.warning("alert_unreadable", error=str(error).splitlines()[0])
        return None


def _shown_by(alert: Alert, known: str | None) -> Alert:
    """A camera's trouble that ends keeps the frame that showed how it began."""
    if known is None or alert.condition == ANOMALY or alert.ended_at is None:
        return alert
    try:
        return alert.model_copy(update={"frame": Alert.model_validate_json(known).frame})
    except ValueError:
        return alert


def _marks(row: Mapping[str, str | None]) -> dict[str, Any]:
    """What people said of an alert, as its fields."""
    marks: dict[str, Any] = {}
    for mark in MARKS:
        if text := row.get(mark):
            noted = json.loads(text)
            marks |= {f"{mark}_at": noted["at"], f"{mark}_by": noted["by"]}
    return marks
