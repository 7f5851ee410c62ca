"""What waits to be delivered, as metrics: how much, for how long, and what was given up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import redis

from monitor.delivery.dead_letters import DeadLetters
from monitor.delivery.queue import DeliveryQueue
from monitor.delivery.router import Router, Waiting
from monitor.delivery_process import Told
from monitor.serving.board import Board
from monitor.serving.metrics import Metrics

LATE_S = 600.0
"""A channel whose oldest message waits for so long is told on the page."""
ALONE_S = 30.0
"""And so is it where nobody has taken events for so long; another router takes over within 5 s, and a process that
died is started again within half a minute."""


def told_to(metrics: Metrics) -> Told:
    """Counts every try, and measures how long alerts took."""

    def told(channel: str, outcome: str, late_s: float | None) -> None:
        metrics.deliveries.labels(channel, outcome).inc()
        if late_s is not None:
            metrics.to_delivery.labels(channel).observe(late_s)

    return told


class DeliveryFigures:
    """Looks when called. Raises nothing for Redis: whether that answers is looked at elsewhere."""

    def __init__(
        self,
        router: Router,
        queue: DeliveryQueue,
        dead_letters: DeadLetters,
        channels: Callable[[], Iterable[str]],
        metrics: Metrics,
        board: Board,
    ) -> None:
        """channels: the names of those that there are."""
        self._router = router
        self._queue = queue
        self._dead_letters = dead_letters
        self._channels = channels
        self._metrics = metrics
        self._board = board
        self._shown: set[str] = set()
        self._alone_since_s: float | None = None

    def __call__(self) -> None:
        try:
            self._look()
        except redis.RedisError:
            return

    def _look(self) -> None:
        metrics, now_ms = self._metrics, time.time() * 1000
        names = set(self._channels())
        dead = self._dead_letters.count()
        unrouted = self._router.waiting() if names else Waiting(0, None)  # where nobody is told, nothing waits
        oldest_ms = unrouted.oldest_ms
        deepest, late = 0, []
        for name in sorted(names):
            depth = self._queue.depth(name)
            since_ms = self._queue.oldest_ms(name) if depth else None
            metrics.queued.labels(name).set(depth)
            metrics.dead_letters.labels(name).set(dead.get(name, 0))
            deepest = max(deepest, depth)
            if since_ms is not None:
                oldest_ms = since_ms if oldest_ms is None else min(oldest_ms, since_ms)
                if now_ms - since_ms > LATE_S * 1000:
                    late.append(f"{name} ({depth} wait, the oldest for {(now_ms - since_ms) / 60_000:.0f} min)")
        for name in self._shown - names:
            metrics.queued.remove(name)
            metrics.dead_letters.remove(name)
        self._shown = names
        metrics.outbox_depth.set(unrouted.events + deepest)
        metrics.outbox_oldest.set(0 if oldest_ms is None else max(0.0, (now_ms - oldest_ms) / 1000))
        told = [f"messages do not get through to {', '.join(late)}"] if late else []
        told += self._nobody(unrouted) if names else []
        told += self._left_behind(names)
        self._board.note("delivery", "; ".join(told) or None)

    def _nobody(self, unrouted: Waiting) -> list[str]:
        """Whether nobody delivers."""
        now_s = time.monotonic()
        if self._router.anybody():
            self._alone_since_s = None
        elif self._alone_since_s is None:
            self._alone_since_s = now_s
        if self._alone_since_s is None or now_s - self._alone_since_s < ALONE_S:
            return []
        return [
            f"nobody delivers, and {unrouted.events} events wait: where delivery.here is false, `linewatch dispatch` "
            "must run; else the log of linewatch says why"
        ]

    def _left_behind(self, names: set[str]) -> list[str]:
        """What waits for channels that were taken out."""
        left = {name: self._queue.depth(name) for name in sorted(self._queue.names() - names)}
        waiting = [f"{name} ({depth})" for name, depth in left.items() if depth]
        if not waiting:
            return []
        return [
            f"messages wait for channels that are not configured any more: {', '.join(waiting)}; configure them again, "
            f"or delete what waits in Redis ({self._queue.key('<channel>')})"
        ]
