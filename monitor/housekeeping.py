"""What has to be looked at now and then: Redis, orders, cameras that fell silent, the outbox, old evidence."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import redis
import structlog

from monitor.alerting.evidence import EvidenceStore
from monitor.alerting.outbox import Outbox
from monitor.judging.episodes import Episodes, Reason
from monitor.serving.board import Board
from monitor.serving.metrics import Metrics

log = structlog.get_logger(__name__)

EVERY_S = 1.0
SWEEP_EVERY_S = 600.0


class Housekeeping:
    """A thread that looks round every second."""

    def __init__(
        self,
        client: redis.Redis,
        address: str,
        outbox: Outbox,
        episodes: Episodes,
        evidence: EvidenceStore,
        board: Board,
        metrics: Metrics,
        keep_days: float,
        chores: Sequence[Callable[[], None]] = (),
    ) -> None:
        """`address` is where Redis is, without secrets. `chores`: what else is to be done each second; each may raise,
        and keeps nothing else from being done."""
        self._client: Any = client
        self._address = address
        self._outbox = outbox
        self._episodes = episodes
        self._evidence = evidence
        self._board = board
        self._metrics = metrics
        self._keep_s = keep_days * 86_400
        self._chores = chores
        self._stop = threading.Event()
        self._redis_answers: bool | None = None
        self._shown: set[str] = set()
        self._held_back: dict[tuple[str, Reason], int] = {}
        self._next_sweep_s = 0.0
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Look round once, so that the first answer of /readyz is true, and then on and on."""
        self._look_round()
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            try:
                self._look_round()
            except Exception:
                log.exception("housekeeping_failed")

    def _look_round(self) -> None:
        self._check_redis()
        for chore in self._chores:
            try:
                chore()
            except Exception:
                log.exception("chore_failed")
        cameras = dict(self._board.read_all(lambda s: (s.camera, s.up)))
        for camera, up in cameras.items():
            self._metrics.camera_up.labels(camera).set(1 if up else 0)
        for camera in self._shown - cameras.keys():  # it may have left between the two lines above
            self._metrics.forget(camera)
        self._shown = set(cameras)
        for (camera, reason), count in list(self._episodes.held_back.items()):
            self._metrics.held_back.labels(camera, reason.value).inc(count - self._held_back.get((camera, reason), 0))
            self._held_back[camera, reason] = count
        if time.monotonic() >= self._next_sweep_s:
            self._next_sweep_s = time.monotonic() + SWEEP_EVERY_S
            gone = self._evidence.sweep(time.time())
            if self._redis_answers:
                self._outbox.forget_before(round((time.time() - self._keep_s) * 1000))
            if gone:
                log.info("evidence_swept", pictures=gone)

    def _check_redis(self) -> None:
        try:
            self._client.ping()
            answers = True
        except redis.RedisError as error:
            answers = False
            if self._redis_answers is not False:
                log.warning(
                    "redis_unreachable",
                    address=self._address,
                    error=type(error).__name__,
                    remedy="check that Redis runs there and redis.url; tried again every second",
                )
        if answers and self._redis_answers is False:
            log.info("redis_answers", address=self._address)
            self._board.trouble("window", None)  # the next batch finds out whether it is true
        self._redis_answers = answers
        self._board.trouble("redis", None if answers else f"Redis at {self._address} does not answer; retrying")
