"""The alerts that really fired, as Redis keeps them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from monitor.alerting.alert import ANOMALY, Alert
from monitor.alerting.outbox import Outbox
from monitor.replay.episode import Told, told
from monitor.replay.reading import Wanted

PAGE = 1000


@dataclass(frozen=True)
class Happened:
    """alerts: about parts, by start. false: by camera, the stretches (ms) of those that
    somebody called false alarms. knows_cameras: whether Redis has ever heard of one of the wanted cameras."""

    alerts: list[Told]
    false: dict[str, list[tuple[int, int]]]
    knows_cameras: bool

    def called_false(self, camera: str, from_ms: int, to_ms: int) -> list[tuple[int, int]]:
        """The stretches of alerts called false that reach into the time between."""
        return [found for found in self.false.get(camera, ()) if found[0] <= to_ms and found[1] >= from_ms]


def happened(outbox: Outbox, wanted: Wanted, cameras: Iterable[str]) -> Happened:
    """What Redis keeps of these cameras' alerts that reach into the wanted time. May raise redis.RedisError."""
    named = set(cameras)
    alerts: list[Told] = []
    false: dict[str, list[tuple[int, int]]] = defaultdict(list)
    knows = False
    for alert in _all(outbox):
        if alert.condition != ANOMALY or alert.camera not in named:
            continue
        knows = True
        if alert.started_at >= wanted.until_ns or (alert.ended_at or wanted.from_ns) < wanted.from_ns:
            continue
        alerts.append(told(alert.episode()))
        if alert.false_alarm_at is not None:
            ended = alert.started_at if alert.ended_at is None else alert.ended_at
            false[alert.camera].append((alert.started_at // 1_000_000, ended // 1_000_000))
    return Happened(_closed(alerts), false, knows)


def _all(outbox: Outbox) -> Iterable[Alert]:
    offset = 0
    while page := outbox.newest(offset=offset, limit=PAGE):
        yield from page
        offset += PAGE


def _closed(alerts: list[Told]) -> list[Told]:
    """By start. One whose end was never written, since all workers were killed, ended when the next one began."""
    found = sorted(alerts, key=lambda one: one.started_ns)
    next_ns: dict[str, int] = {}
    for index in range(len(found) - 1, -1, -1):
        one = found[index]
        if one.ended_ns is None and one.camera in next_ns:
            found[index] = replace(one, ended_ns=next_ns[one.camera])
        next_ns[one.camera] = one.started_ns
    return found
