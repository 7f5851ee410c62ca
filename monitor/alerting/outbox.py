"""What happened, written down before anything else is done about it: alerts and their events in Redis."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import redis
import structlog

from monitor.alerting.alert import ACKNOWLEDGED, ANOMALY, ESCALATED, EVENT_TYPES, Alert, Event
from monitor.judging.episodes import Change, Severity

log = structlog.get_logger(__name__)

MAX_EVENTS = 100_000
"""The stream keeps about so many events; dispatchers that were away for longer miss the oldest."""


MARKS = ("acknowledged", "false_alarm", "escalated")
FIRING, RAISED = EVENT_TYPES[Change.FIRING], EVENT_TYPES[Change.RAISED]

STORM_MEMORY_S = 86_400
"""So long it is remembered when alerts fired, which is as far back as a storm may be counted."""

TRIES = 20
"""So often a transaction is tried again that others got in the way of."""

_KEEP = """
-- ARGV: camera, document, camera, document, ... A document that is behind the one that is kept, at every stream, comes
-- from a worker that judged the camera before: it is refused. Returns the cameras whose document was.
local function marks(text)
    local readable, document = pcall(cjson.decode, text)
    return readable and type(document) == 'table' and type(document.marks) == 'table' and document.marks or {}
end
local function behind(new, kept)
    local behind_somewhere = false
    for stream, mark in pairs(new) do
        local known = kept[stream]
        if not known or mark[1] > known[1] or mark[2] > known[2] then return false end
        behind_somewhere = behind_somewhere or mark[1] < known[1] or mark[2] < known[2]
    end
    return behind_somewhere
end
local refused = {}
for i = 1, #ARGV, 2 do
    local kept = redis.call('HGET', KEYS[1], ARGV[i])
    -- One that cannot be read, of another version say, is replaced: an error here would hold every alert back.
    local compared, late = pcall(behind, marks(ARGV[i + 1]), kept and marks(kept) or {})
    if kept and compared and late then
        refused[#refused + 1] = ARGV[i]
    else
        redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
    end
end
return refused
"""


class AlertUnknown(KeyError):
    """No alert with this id is kept."""


class Outbox:
    """Alerts, their index by time, and the stream of events that dispatchers and the page read. Thread-safe.

    Keys, under `prefix`: `alert:<id>` (a hash: `episode` is written by the pipeline, `acknowledged`, `false_alarm` and
    `escalated` by people, so that neither overwrites the other), `alerts` (sorted by start, ms), `firing` (a set of
    ids), `events` (the stream), `storm` (anomaly alerts by when they fired, ms), `episodes` (a hash: the state of each
    camera's episodes). An alert's state, its event and the state of the cameras are written in one transaction, and so
    is what somebody says of it with the event that tells so. Every method may raise redis.RedisError.
    """

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        self._client: Any = client
        self._prefix = prefix
        self._episodes = f"{prefix}:episodes"
        self.stream = f"{prefix}:events"

    def write(self, event: Event, ttl_s: float, states: Mapping[str, str] | None = None) -> bool:
        """Note an alert's new state, its event, and the state of the cameras (`Episodes.changed`), atomically.

        An event that is in already, told again since frames were redelivered, is left as it is; False then, and the
        states are kept all the same.
        """
        with self._client.pipeline(transaction=True) as transaction:
            for _ in range(TRIES):
                try:
                    transaction.watch(self.key(event.alert.alert_id))
                    new = self.stage(transaction, event, ttl_s)
                    self._stage_states(transaction, states or {})
                    results = transaction.execute()
                except redis.WatchError:
                    continue
                if states:
                    _tell_refused(results[-1])
                return new
        raise redis.WatchError(f"alert {event.alert.alert_id} was changed {TRIES} times while it was to be written")

    def stage(self, transaction: Any, event: Event, ttl_s: float) -> bool:
        """Queue an event in a transaction that watches its alert's key (`key`) and is not at MULTI yet; False, and
        nothing queued, where the event is in already."""
        alert = event.alert
        key = self.key(alert.alert_id)
        *said, text = transaction.hmget(key, (*MARKS, "episode"))
        known = None if text is None else _alert({"episode": text})
        transaction.multi()
        if known is not None and _is_in(event, known):
            return False
        alert = _shown_by(alert, known).model_copy(update=_marks(dict(zip(MARKS, said, strict=True))))
        event = replace(event, alert=alert)
        self.stage_alert(transaction, alert, ttl_s)
        transaction.zadd(f"{self._prefix}:alerts", {alert.alert_id: alert.started_at // 1_000_000})
        if alert.ended_at is None:
            transaction.sadd(f"{self._prefix}:firing", alert.alert_id)
        else:
            transaction.srem(f"{self._prefix}:firing", alert.alert_id)
        if event.kind == FIRING and alert.condition == ANOMALY:
            self._stage_fired(transaction, alert.alert_id)
        self._append(transaction, event)
        return True

    def stage_alert(self, transaction: Any, alert: Alert, ttl_s: float) -> None:
        """Queue an alert's new state alone, without an event."""
        transaction.hset(self.key(alert.alert_id), "episode", alert.model_dump_json())
        transaction.expire(self.key(alert.alert_id), round(ttl_s))

    def keep(self, states: Mapping[str, str]) -> None:
        """Keep the state of cameras (`Episodes.changed`) of which there is no event."""
        if states:
            with self._client.pipeline(transaction=True) as transaction:
                self._stage_states(transaction, states)
                _tell_refused(transaction.execute()[-1])

    def forget_state(self, camera: str) -> None:
        """Nobody watches this camera any more."""
        self._client.hdel(self._episodes, camera)

    def states(self, cameras: Iterable[str]) -> dict[str, str]:
        """What is kept of these cameras; those of which nothing is are left out."""
        names = list(cameras)
        kept = self._client.hmget(self._episodes, names) if names else []
        return {name: doc for name, doc in zip(names, kept, strict=True) if doc is not None}

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
        return self._mark(alert_id, "acknowledged", {"by": by}, ACKNOWLEDGED)

    def false_alarm(self, alert_id: str, by: str) -> Alert:
        """Somebody says that nothing was wrong. Raises AlertUnknown."""
        return self._mark(alert_id, "false_alarm", {"by": by}, None)

    def escalate(self, alert_id: str, by: str, to: str) -> Alert:
        """Call in another subscription, and tell of it. Again to the one that was called in last changes nothing.
        Raises AlertUnknown."""
        return self._mark(alert_id, "escalated", {"by": by, "to": to}, ESCALATED)

    def forget_before(self, time_ms: int) -> int:
        """Drop alerts that started earlier from the index (their hashes expire), and from the firing ones those whose
        hash has expired; how many left the index."""
        firing = sorted(str(member) for member in self._client.smembers(f"{self._prefix}:firing"))
        with self._client.pipeline(transaction=False) as pipe:
            for alert_id in firing:
                pipe.exists(self.key(alert_id))
            there = pipe.execute() if firing else []
        if gone := [alert_id for alert_id, exists in zip(firing, there, strict=True) if not exists]:
            self._client.srem(f"{self._prefix}:firing", *gone)
        return int(self._client.zremrangebyscore(f"{self._prefix}:alerts", "-inf", f"({time_ms}"))

    def _mark(self, alert_id: str, mark: str, said: dict[str, str], kind: str | None) -> Alert:
        """Note what somebody says of an alert, and tell of it where there is an event for that, in one transaction.
        Nothing where the same was said before; the first who acknowledges, or calls it false, is kept."""
        key = self.key(alert_id)
        with self._client.pipeline(transaction=True) as transaction:
            for _ in range(TRIES):
                try:
                    transaction.watch(key)
                    row = transaction.hgetall(key)
                    known = _alert(row)
                    if known is None:
                        raise AlertUnknown(alert_id)
                    if mark in row and said.get("to") in (None, known.escalated_to):
                        return known
                    noted = json.dumps({"at": (now_ns := time.time_ns()), **said})
                    alert = known.model_copy(update=_marks({mark: noted}))
                    transaction.multi()
                    transaction.hset(key, mark, noted)
                    if kind is not None:
                        self._append(transaction, Event(kind, now_ns, alert))
                    transaction.execute()
                except redis.WatchError:
                    continue
                return alert
        raise redis.WatchError(f"alert {alert_id} was changed {TRIES} times while somebody said something of it")

    def _stage_states(self, transaction: Any, states: Mapping[str, str]) -> None:
        if states:
            pairs = [text for pair in states.items() for text in pair]
            transaction.execute_command("EVAL", _KEEP, 1, self._episodes, *pairs)  # a cluster's pipeline has no eval

    def _stage_fired(self, transaction: Any, alert_id: str) -> None:
        key, now_ms = f"{self._prefix}:storm", time.time_ns() // 1_000_000
        transaction.zadd(key, {alert_id: now_ms})
        transaction.zremrangebyscore(key, "-inf", now_ms - STORM_MEMORY_S * 1000)
        transaction.expire(key, STORM_MEMORY_S)

    def _append(self, client: Any, event: Event) -> None:
        client.xadd(self.stream, {"event": json.dumps(event.document())}, maxlen=MAX_EVENTS, approximate=True)

    def _load(self, ids: Sequence[str]) -> list[Alert]:
        with self._client.pipeline(transaction=False) as pipe:
            for alert_id in ids:
                pipe.hgetall(self.key(alert_id))
            rows = pipe.execute() if ids else []
        return [alert for row in rows if (alert := _alert(row)) is not None]

    def key(self, alert_id: str) -> str:
        """Where an alert is kept."""
        return f"{self._prefix}:alert:{alert_id}"


def _is_in(event: Event, known: Alert) -> bool:
    """Whether an event told again tells nothing that is not kept already."""
    if known.ended_at is not None:
        return True
    if event.kind == RAISED:
        return known.severity is Severity.CRITICAL
    return event.alert.ended_at is None


def _alert(row: Mapping[str, str]) -> Alert | None:
    if "episode" not in row:
        return None
    try:
        return Alert.model_validate_json(row["episode"]).model_copy(update=_marks(row))
    except ValueError as error:  # of another version, or touched by others: it must not hide the rest
        log.warning("alert_unreadable", error=str(error).splitlines()[0])
        return None


def _shown_by(alert: Alert, known: Alert | None) -> Alert:
    """An alert that ends keeps what it began with: model, product, and the picture that showed it, also where another
    worker ends it, and a camera's trouble its frame."""
    if known is None:
        return alert
    kept = {
        "frame": alert.frame if alert.condition == ANOMALY else known.frame,
        "evidence_url": alert.evidence_url or known.evidence_url,
        "clip_url": alert.clip_url or known.clip_url,
        "model": known.model,
        "product": known.product,
    }
    return alert.model_copy(update=kept)


def _tell_refused(cameras: list[str]) -> None:
    if cameras:
        log.info("episode_state_refused", cameras=cameras, reason="another worker has judged these cameras further")


def _marks(row: Mapping[str, str | None]) -> dict[str, Any]:
    """What people said of an alert, as its fields."""
    marks: dict[str, Any] = {}
    for mark in MARKS:
        if text := row.get(mark):
            noted = json.loads(text)
            marks |= {f"{mark}_{what}": noted[what] for what in ("at", "by", "to") if what in noted}
    return marks
