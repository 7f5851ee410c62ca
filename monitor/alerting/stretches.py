"""When cameras had real alarms: what a threshold for false alarms must not be learnt from."""

from __future__ import annotations

import time
from collections.abc import Callable

from monitor.alerting.alert import ANOMALY, Alert
from monitor.alerting.outbox import Outbox

Stretch = tuple[int, int]
"""From and to, ms since the epoch."""

READ_EVERY_S = 5.0
NEWEST = 1000
"""So many alerts are looked at; older ones lie before what a window still holds."""


class AlarmStretches:
    """Reads the outbox every few seconds. One thread at a time; raises redis.RedisError.

    An alert that somebody called a false alarm is none: its frames are what normal parts look like at times.
    """

    def __init__(self, outbox: Outbox, clock: Callable[[], float] = time.monotonic) -> None:
        self._outbox = outbox
        self._clock = clock
        self._alerts: dict[str, list[Alert]] = {}
        self._next_read_s = 0.0

    def __call__(self, camera: str, from_ms: int, to_ms: int) -> list[Stretch]:
        """The stretches of this camera that reach into the time between, oldest first; one that is firing lasts."""
        if self._clock() >= self._next_read_s:
            self._alerts = {}
            for alert in self._outbox.newest(offset=0, limit=NEWEST):
                if alert.condition == ANOMALY and alert.false_alarm_at is None:
                    self._alerts.setdefault(alert.camera, []).append(alert)
            self._next_read_s = self._clock() + READ_EVERY_S
        found = []
        for alert in self._alerts.get(camera, ()):
            begun = alert.started_at // 1_000_000
            ended = to_ms if alert.ended_at is None else alert.ended_at // 1_000_000
            if begun <= to_ms and ended >= from_ms:
                found.append((begun, ended))
        return sorted(found)
