"""When cameras had real alarms: what a threshold for false alarms must not be learnt from."""

from __future__ import annotations

import time
from collections.abc import Callable

from monitor.alerting.alert import ANOMALY, Alert
from monitor.alerting.outbox import Outbox
from monitor.judging.thresholds.sources import Alarmed

READ_EVERY_S = 5.0
READ_SHARE = 0.05
"""Of the time at most goes into reading, however many alerts there are."""

NEWEST = 1000
"""So many alerts about parts are looked at; older ones lie before what a window still holds."""
PAGE = 1000

LONGEST_S = 86_400.0
"""An alarm that began so long before the oldest alert that is kept may still reach past it."""


class AlarmStretches:
    """Reads the outbox every few seconds. One thread at a time; raises redis.RedisError.

    An alert that somebody called a false alarm is none: its frames are what normal parts look like at times.
    """

    def __init__(
        self,
        outbox: Outbox,
        keep_s: float,
        clock: Callable[[], float] = time.monotonic,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        """keep_s: how long alerts are kept after they began. wall_s: the time of day, seconds since the epoch."""
        self._outbox = outbox
        self._keep_s = keep_s
        self._clock = clock
        self._wall_s = wall_s
        self._alerts: dict[str, list[Alert]] = {}
        self._all_read = True
        self._next_read_s = 0.0

    def __call__(self, camera: str, from_ms: int, to_ms: int) -> Alarmed:
        """The stretches of this camera that reach into the time between, oldest first; one that is firing lasts."""
        begun_s = self._clock()
        if begun_s >= self._next_read_s:
            self._read()
            now_s = self._clock()
            self._next_read_s = now_s + max(READ_EVERY_S, (now_s - begun_s) / READ_SHARE)
        found = []
        for alert in self._alerts.get(camera, ()):
            begun = alert.started_at // 1_000_000
            ended = to_ms if alert.ended_at is None else alert.ended_at // 1_000_000
            if begun <= to_ms and ended >= from_ms and alert.false_alarm_at is None:
                found.append((begun, ended))
        return Alarmed(sorted(found), self._since_ms(camera))

    def _read(self) -> None:
        """The newest alerts about parts, in pages, since those about cameras may outnumber them by far."""
        found: dict[str, Alert] = {}  # by id: what is written meanwhile pushes some on to the next page
        offset = 0
        while len(found) < NEWEST:
            page = self._outbox.newest(offset=offset, limit=PAGE)
            if not page:
                break
            found |= {alert.alert_id: alert for alert in page if alert.condition == ANOMALY}
            offset += PAGE
        self._all_read = len(found) < NEWEST
        self._alerts = {}
        for alert in found.values():
            self._alerts.setdefault(alert.camera, []).append(alert)

    def _since_ms(self, camera: str) -> int:
        """From when on all alarms of this camera are known here.

        Where not all alerts were read, from the first of this camera that was: the one before it, if there was one,
        had ended by then, though it may have ended later than the oldest alert that was read began.
        """
        now_ms = round(self._wall_s() * 1000)
        known_s = self._keep_s - min(LONGEST_S, self._keep_s / 2)
        since_ms = now_ms - round(known_s * 1000)
        if self._all_read:
            return since_ms
        first_ms = min((alert.started_at // 1_000_000 for alert in self._alerts.get(camera, ())), default=now_ms)
        return max(since_ms, first_ms)
