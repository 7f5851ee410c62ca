"""What people say of alerts: a false alarm, a defect that was missed, and that such a mark was a mistake."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import redis
import structlog

from monitor.alerting.alert import ACKNOWLEDGED, ANOMALY, MISSED, Alert, Event, missed_alert
from monitor.alerting.evidence import EvidenceStore
from monitor.alerting.outbox import Outbox
from monitor.judging.baseline.store import BaselineStore
from monitor.orders.orders import product_name
from monitor.orders.shelf import OrderRefused
from streams.frame import Frame

log = structlog.get_logger(__name__)

ABOUT_PARTS = (ANOMALY, MISSED)
"""Of other alerts a false alarm is noted, and no frames leave a baseline: they never entered it."""


class Marks:
    """Marks alerts, and takes their frames out of every baseline of the camera. Thread-safe; every method may raise
    redis.RedisError, and giving the order again then finishes what was begun."""

    def __init__(
        self,
        client: redis.Redis,
        prefix: str,
        outbox: Outbox,
        store: BaselineStore,
        evidence: EvidenceStore,
        *,
        base_url: str,
        keep_s: float,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """`keep_s`: how long alerts are kept. `clock`: ns since the epoch."""
        self._client: Any = client
        self._prefix = prefix
        self._outbox = outbox
        self._store = store
        self._evidence = evidence
        self._base_url = base_url.rstrip("/")
        self._keep_s = keep_s
        self._clock = clock

    def false_alarm(self, alert_id: str, by: str) -> Alert:
        """Nothing was wrong: the frames from its start to its end, or to now, leave the baseline. Again keeps the first
        name and time. Raises monitor.alerting.outbox.AlertUnknown."""
        alert = self._outbox.false_alarm(alert_id, by)
        if alert.condition in ABOUT_PARTS:
            until_ns = self._clock() if alert.ended_at is None else alert.ended_at
            gone = self._store.forget_between(alert.camera, alert.started_at // 1_000_000, until_ns // 1_000_000)
            log.info("false_alarm", alert_id=alert_id, camera=alert.camera, by=by, frames_left_the_baseline=gone)
        return alert

    def missed(
        self,
        camera: str,
        at_ns: int,
        by: str,
        seconds: float,
        *,
        frame: Frame | None,
        score: float | None = None,
        limit: float | None = None,
        model: str = "",
        product: str | None = None,
    ) -> Alert:
        """There was a defect at this time that raised no alert: an alert with the condition `missed`, over already and
        acknowledged by who says so. Frames within `seconds` before and after leave the baseline. Again, for the same
        time, changes nothing.

        frame: the one that shows it, with its picture; None where nobody has it. score, limit: raw; where the score is
        not known, it is the highest of those frames, if any are in a baseline. product: None where the caller does not
        know it; then it is what the frame names, or that of the baseline which learnt nearest to that time. OSError
        where the picture cannot be written; nothing is marked then.
        """
        from_ms, until_ms = round(at_ns / 1e6 - seconds * 1000), round(at_ns / 1e6 + seconds * 1000)
        now_ns = self._clock()
        alert = missed_alert(camera, at_ns, by, frame, None, model=model, now_ns=now_ns)
        if frame is not None:
            self._evidence.save(alert.alert_id, frame, None)
            url = f"{self._base_url}/api/alerts/{alert.alert_id}/evidence.jpg"
            alert = alert.model_copy(update={"evidence_url": url})
        highest, nearest = self._around(camera, from_ms, until_ms, at_ns // 1_000_000)
        if product is None:
            product = product_name((frame.product if frame is not None else None) or "") or nearest
        peak = highest if score is None else score
        alert = alert.model_copy(update={"peak_score": peak, "threshold": limit or 0.0, "product": product})
        self._outbox.write(Event(ACKNOWLEDGED, now_ns, alert), self._keep_s)
        gone = self._store.forget_between(camera, from_ms, until_ms)
        log.info("missed", alert_id=alert.alert_id, camera=camera, by=by, frames_left_the_baseline=gone)
        return self._outbox.get(alert.alert_id)

    def withdraw(self, alert_id: str, by: str) -> Alert:
        """The mark was a mistake. An alert that was a false alarm is none any more; a missed defect, which is nothing
        but a mark, is no longer listed. Frames that left a baseline do not come back: new ones take their place.

        Returns the alert as it is, or was. Raises AlertUnknown, and OrderRefused where there is nothing to withdraw.
        """
        alert = self._outbox.get(alert_id)
        key = self._outbox.key(alert_id)
        if alert.false_alarm_at is not None:
            self._client.hdel(key, "false_alarm")
            alert = self._outbox.get(alert_id)
        elif alert.condition == MISSED:
            with self._client.pipeline(transaction=True) as transaction:
                transaction.zrem(f"{self._prefix}:alerts", alert_id)
                transaction.delete(key)
                transaction.execute()
        else:
            raise OrderRefused(f"alert {alert_id} is marked neither as a false alarm nor as missed")
        log.info("mark_withdrawn", alert_id=alert_id, camera=alert.camera, condition=alert.condition, by=by)
        return alert

    def _around(self, camera: str, from_ms: int, until_ms: int, at_ms: int) -> tuple[float, str]:
        """The highest score in any baseline of this camera in this time, 0 where there is none; and the product of the
        one that holds the frame nearest to `at_ms`, "" where none does."""
        highest, product, least_ms = 0.0, "", math.inf
        for key in self._store.list():
            if key.camera == camera:
                series = self._store.series(key, from_ms)
                inside = series.times_ms <= until_ms
                highest = max(highest, float(series.scores[inside].max(initial=0.0)))
                away_ms = min((abs(int(time_ms) - at_ms) for time_ms in series.times_ms[inside]), default=math.inf)
                if away_ms < least_ms:
                    product, least_ms = key.product, away_ms
        return highest, product
