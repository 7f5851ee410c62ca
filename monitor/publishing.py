"""Scores on a Kafka topic, one JSON a frame. A convenience for others: it never holds the pipeline up."""

from __future__ import annotations

import contextlib
import json
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from kafka import KafkaProducer
from kafka.errors import KafkaError

from monitor.judging.judge import Verdict
from streams.backoff import Backoff
from streams.kafka_client import opened
from streams.kafka_security import IN_THE_CLEAR, KafkaSecurity

log = structlog.get_logger(__name__)

MAX_WAITING = 20_000

CONTRACT = ("camera", "seq", "captured_at", "score", "normalised", "low", "high", "count", "state", "model")
"""What a message on the scores topic holds, no more and no less."""
REPLAY_HEADER = "replay"
"""The header with what a replay needs besides, as JSON: `monitor.recording.recorded`."""


def score_record(verdict: Verdict) -> dict[str, Any]:
    """The contract's JSON for one frame."""
    return {
        "camera": verdict.frame.camera,
        "seq": verdict.frame.seq,
        "captured_at": verdict.frame.captured_at_ns,
        "score": verdict.score,
        "normalised": verdict.normalised,
        "low": verdict.low,
        "high": verdict.high,
        "count": verdict.count,
        "state": verdict.state.value,
        "model": verdict.model,
    }


class ScorePublisher:
    """Sends scores from a thread of its own. While the broker is away up to `MAX_WAITING` wait; the oldest go, counted.

    `counted(channel, outcome)` is told `scores` and `delivered`, `failed` or `dropped` for every score.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topic: str,
        counted: Callable[[str, str], None],
        security: KafkaSecurity = IN_THE_CLEAR,
    ) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._security = security
        self._topic = topic
        self._counted = counted
        self._waiting: deque[dict[str, Any]] = deque()
        self._change = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="publish-scores", daemon=True)
        self._thread.start()

    def publish(self, records: Sequence[dict[str, Any]]) -> None:
        """Take the records; returns at once. What they hold beyond the contract goes into a header."""
        with self._change:
            for record in records:
                if len(self._waiting) >= MAX_WAITING:
                    self._waiting.popleft()
                    self._counted("scores", "dropped")
                self._waiting.append(record)
            self._change.notify()

    def close(self) -> None:
        """Send what waits, ten seconds at most."""
        with self._change:
            self._closing = True
            self._change.notify()
        self._thread.join(20)

    def _run(self) -> None:
        backoff, producer = Backoff(limit_s=10.0), None
        while True:
            with self._change:
                while not self._waiting and not self._closing:
                    self._change.wait()
                if not self._waiting:
                    break
                record = self._waiting.popleft()
            try:
                if producer is None:
                    producer = self._connect()
                    backoff.reset()
                self._send(producer, record)
            except (KafkaError, OSError) as error:
                with self._change:
                    self._waiting.appendleft(record)
                    if self._closing:
                        log.warning("scores_unsent", topic=self._topic, count=len(self._waiting))
                        break
                log.warning(
                    "scores_delayed", topic=self._topic, servers=self._bootstrap_servers, error=type(error).__name__
                )
                threading.Event().wait(backoff.next_s())
        if producer is not None:
            try:
                producer.flush(timeout=10)
            except KafkaError as error:
                log.warning(
                    "scores_unsent", topic=self._topic, servers=self._bootstrap_servers, error=type(error).__name__
                )
            with contextlib.suppress(KafkaError):
                producer.close(timeout=1)

    def _connect(self) -> Any:
        return opened(
            KafkaProducer,
            bootstrap_servers=self._bootstrap_servers,
            client_id="linewatch-scores",
            acks=1,
            enable_idempotence=False,
            linger_ms=20,
            batch_size=1 << 18,
            bootstrap_timeout_ms=5_000,
            max_block_ms=5_000,
            **self._security.arguments(),
        )

    def _send(self, producer: Any, record: dict[str, Any]) -> None:
        said = {key: record[key] for key in CONTRACT}
        more = {key: value for key, value in record.items() if key not in said}
        future = producer.send(
            self._topic,
            key=record["camera"].encode(),
            value=json.dumps(said).encode(),
            headers=[(REPLAY_HEADER, json.dumps(more).encode())] if more else [],
        )
        future.add_callback(lambda _: self._counted("scores", "delivered"))
        future.add_errback(lambda _: self._counted("scores", "failed"))
