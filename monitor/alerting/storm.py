"""Too many alerts at once are one alert, which says how many others were held back, and where."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import Any

import redis
import structlog
from pydantic import BaseModel, ConfigDict

from monitor.alerting.alert import EVENT_TYPES, Alert, Event, storm_alert
from monitor.alerting.outbox import TRIES, Outbox
from monitor.judging.episodes import Change

log = structlog.get_logger(__name__)

REFRESH_MS = 250
"""So old may be what is known of the other workers' alerts when one is let through."""

LOOK_EVERY_MS = 1000
RETRY_AFTER_S = 2.0


class _Storm(BaseModel):
    """What is kept of the storm that goes on. Times in ms since the epoch; `last_ms`: something was held back then;
    `alerts`: let through when it began."""

    model_config = ConfigDict(frozen=True)

    began_ms: int
    last_ms: int
    alerts: int
    limit: int
    held: dict[str, int]


class StormGuard:
    """Lets `max_alerts` episodes begin within `within_s`, over all cameras and workers, and holds the others back.

    A storm begins with the first one that is held back, and is over when none was for `within_s`; it is an alert of
    its own. One that is held back begins later, when there is room again and its frames are still anomalous.
    Times are those of the clock on the wall, ms since the epoch, not of the frames: what floods people is how many
    alerts reach them at once, also from a backlog. Belongs to one thread. While Redis is away it decides by what this
    worker knows, and the storm's own alert waits.

    In Redis, under `prefix`: `storm` (written by the outbox with every alert that fires), `storm:now` (the storm that
    goes on).
    """

    def __init__(
        self,
        client: redis.Redis,
        prefix: str,
        max_alerts: int,
        within_s: float,
        *,
        keep_s: float = 30 * 86_400.0,
        model: str = "",
    ) -> None:
        """keep_s: how long the storm's alert is kept. model: named in it."""
        self._client: Any = client
        self._outbox = Outbox(client, prefix)
        self._fired_key = f"{prefix}:storm"
        self._now_key = f"{prefix}:storm:now"
        self._max_alerts = max_alerts
        self._within_s = within_s
        self._keep_s = keep_s
        self._model = model
        self._fired: dict[str, int] = {}  # alert ids, told here or read from Redis
        self._admitted: deque[int] = deque()  # let through, and about to be told
        self._held: Counter[str] = Counter()  # held back, and not in Redis yet
        self._held_since_ms: int | None = None
        self._last_ms = 0  # when something was last held back here ...
        self._last_noted_ms = 0  # ... and when that was last written
        self._read_ms: int | None = None
        self._looked_ms: int | None = None
        self._next_try_s = 0.0
        self._away = False

    @property
    def unsaved(self) -> int:
        """Cameras whose held-back episodes are not in Redis yet."""
        return len(self._held)

    def limit(self, max_alerts: int, within_s: float) -> None:
        """Other settings from now on."""
        self._max_alerts, self._within_s = max_alerts, within_s

    def admit(self, camera: str, now_ms: int) -> bool:
        """Whether an episode of this camera may begin now. Where it may, it does, and `told` follows."""
        self._refresh(now_ms)
        if len(self._fired) + len(self._admitted) < self._max_alerts:
            self._admitted.append(now_ms)
            return True
        self._last_ms = now_ms
        return False

    def told(self, alert_id: str, now_ms: int) -> None:
        """An episode has begun. In Redis this is written by the outbox, together with its event."""
        if self._admitted:
            self._admitted.popleft()
        self._fired[alert_id] = now_ms

    def held(self, camera: str, now_ms: int) -> None:
        """An episode of this camera is held back; once for each, not for each of its frames (`Episodes.on_held`)."""
        self._held[camera] += 1
        self._held_since_ms = now_ms if self._held_since_ms is None else self._held_since_ms
        self._last_ms = now_ms

    def tick(self, now_ms: int) -> list[Event]:
        """Write down what was held back, and see whether the storm is over; the events that this wrote. To be called
        often: it asks Redis only where there is something to write, and about once a second."""
        idle = self._looked_ms is not None and 0 <= now_ms - self._looked_ms < LOOK_EVERY_MS
        if (idle and not self._held) or time.monotonic() < self._next_try_s:
            return []
        events: list[Event] = []
        try:
            while (event := self._settle(now_ms)) is not None:
                events.append(event)
            self._looked_ms = now_ms
            self._away = False
        except redis.RedisError as error:
            self._be_without_redis(error)
        return events

    def _refresh(self, now_ms: int) -> None:
        """Learn what other workers told, and forget what was too long ago."""
        since_ms = now_ms - round(self._within_s * 1000)
        if self._read_ms is None or not 0 <= now_ms - self._read_ms < REFRESH_MS:
            self._learn(since_ms, now_ms)
        # What lies in the future was noted before this clock was set back.
        self._fired = {alert_id: ms for alert_id, ms in self._fired.items() if since_ms < ms <= now_ms + 60_000}
        while self._admitted and self._admitted[0] <= since_ms:
            self._admitted.popleft()

    def _learn(self, since_ms: int, now_ms: int) -> None:
        if time.monotonic() < self._next_try_s:
            return
        bounds = {"byscore": True, "desc": True, "offset": 0, "num": self._max_alerts, "withscores": True}
        try:
            found = self._client.zrange(self._fired_key, "+inf", f"({since_ms}", **bounds)
        except redis.RedisError as error:
            self._be_without_redis(error)
            return
        self._fired |= {alert_id: int(ms) for alert_id, ms in found}
        self._read_ms = now_ms

    def _be_without_redis(self, error: redis.RedisError) -> None:
        self._next_try_s = time.monotonic() + RETRY_AFTER_S
        if not self._away:
            log.warning(
                "storm_guard_alone",
                error=type(error).__name__,
                remedy="Redis is away; storms are told by this worker's own alerts until it answers",
            )
        self._away = True

    def _settle(self, now_ms: int) -> Event | None:
        """One step towards what is true now: a storm that begins, goes on, or ends. None where that is all."""
        with self._client.pipeline(transaction=True) as transaction:
            for _ in range(TRIES):
                try:
                    transaction.watch(self._now_key)
                    storm = self._read(transaction.get(self._now_key))
                    if storm is not None and self._over(storm, now_ms):
                        return self._end(transaction, storm)
                    if self._held:
                        return self._note(transaction, storm)
                    if storm is not None and self._last_ms - max(storm.last_ms, self._last_noted_ms) >= self._lag_ms:
                        # Nothing new, but what is held back still is.
                        transaction.multi()
                        self._keep(transaction, storm.model_copy(update={"last_ms": self._last_ms}))
                        transaction.execute()
                        self._last_noted_ms = self._last_ms
                    return None
                except redis.WatchError:
                    continue
        raise redis.WatchError(f"{self._now_key} was changed {TRIES} times while it was to be written")

    @property
    def _lag_ms(self) -> float:
        return min(1000.0, self._within_s * 250)

    def _over(self, storm: _Storm, now_ms: int) -> bool:
        if self._held_since_ms is not None:
            now_ms = self._held_since_ms
        else:
            storm = storm.model_copy(update={"last_ms": max(storm.last_ms, self._last_ms)})
        return now_ms - storm.last_ms >= self._within_s * 1000

    def _end(self, transaction: Any, storm: _Storm) -> Event:
        """The first of the workers to get here ends it: for the others the watched key has changed."""
        ended_ms = storm.last_ms + round(self._within_s * 1000)
        event = Event(EVENT_TYPES[Change.RESOLVED], ended_ms * 1_000_000, self._alert(storm, ended_ms))
        transaction.watch(self._outbox.key(event.alert.alert_id))
        self._outbox.stage(transaction, event, self._keep_s)
        transaction.delete(self._now_key)
        transaction.execute()
        return event

    def _note(self, transaction: Any, known: _Storm | None) -> Event | None:
        assert self._held_since_ms is not None
        held = Counter(known.held if known else {}) + self._held
        if known is None:
            storm = _Storm(
                began_ms=self._held_since_ms,
                last_ms=self._last_ms,
                alerts=len(self._fired) + len(self._admitted),
                limit=self._max_alerts,
                held=held,
            )
        else:
            storm = known.model_copy(update={"held": dict(held), "last_ms": max(known.last_ms, self._last_ms)})
        event = Event(EVENT_TYPES[Change.FIRING], storm.began_ms * 1_000_000, self._alert(storm, None))
        if known is None:
            transaction.watch(self._outbox.key(event.alert.alert_id))
            self._outbox.stage(transaction, event, self._keep_s)
        else:
            transaction.multi()
            self._outbox.stage_alert(transaction, event.alert, self._keep_s)
        self._keep(transaction, storm)
        transaction.execute()
        self._held.clear()
        self._held_since_ms = None
        self._last_noted_ms = self._last_ms
        return event if known is None else None

    def _keep(self, transaction: Any, storm: _Storm) -> None:
        transaction.set(self._now_key, storm.model_dump_json(), ex=round(self._keep_s))

    def _read(self, text: str | None) -> _Storm | None:
        try:
            return None if text is None else _Storm.model_validate_json(text)
        except ValueError as error:  # of another version, or touched by others
            log.warning("storm_unreadable", key=self._now_key, error=str(error).splitlines()[0])
            return None

    def _alert(self, storm: _Storm, ended_ms: int | None) -> Alert:
        return storm_alert(
            storm.began_ms * 1_000_000,
            None if ended_ms is None else ended_ms * 1_000_000,
            storm.held,
            alerts=storm.alerts + sum(storm.held.values()),
            limit=storm.limit,
            model=self._model,
        )
