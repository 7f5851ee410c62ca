"""The dead-letter topic: what cannot be used, with where it came from and what was wrong."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

log = structlog.get_logger(__name__)


RETRY_AFTER_S = 10.0


@dataclass(frozen=True, slots=True)
class _Letter:
    error: str
    origin: str
    key: bytes | None
    value: bytes | None
    done: Callable[[], None]
    left_out_bytes: int = 0


class DeadLetters:
    """Sends rejected messages to `topic`, each at least once, and calls `done` when the broker has it.

    `add` is thread-safe and never blocks. `send_due` and `close` belong to one thread. While the broker is away
    the letters wait, and with them the offsets that they hold back. A value that the broker will not take for its
    size is left out, and the header `value_left_out_bytes` says so.
    """

    def __init__(self, bootstrap_servers: str, topic: str, max_message_bytes: int) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._topic = topic
        self._max_request_bytes = max_message_bytes + (1 << 20)
        self._lock = threading.Lock()
        self._due: deque[_Letter] = deque()
        self._producer: Any = None
        self._next_try_s = 0.0

    def add(self, *, error: str, origin: str, key: bytes | None, value: bytes | None, done: Callable[[], None]) -> None:
        """Note a message for sending."""
        with self._lock:
            self._due.append(_Letter(error, origin, key, value, done))

    def send_due(self) -> None:
        """Hand what is due to the producer, once each. A topic that cannot be had leaves it due, for a while untried:
        the thread that reads frames must not wait for it."""
        if time.monotonic() < self._next_try_s:
            return
        for _ in range(len(self._due)):
            with self._lock:
                if not self._due:
                    return
                letter = self._due.popleft()
            if not self._send(letter):
                self._next_try_s = time.monotonic() + RETRY_AFTER_S
                return

    def close(self) -> None:
        """Send what is due and wait for it, ten seconds at most."""
        self._next_try_s = 0.0
        self.send_due()
        if self._producer is not None:
            try:
                self._producer.flush(timeout=10)
                self.send_due()  # letters that came back for their size
                self._producer.flush(timeout=10)
            except KafkaError as error:
                log.warning("dead_letters_unsent", topic=self._topic, error=type(error).__name__)
            self._producer.close(timeout=5)
            self._producer = None

    def _send(self, letter: _Letter) -> bool:
        headers = [("error", letter.error.encode()), ("origin", letter.origin.encode())]
        if letter.left_out_bytes:
            headers.append(("value_left_out_bytes", str(letter.left_out_bytes).encode()))
        try:
            if self._producer is None:
                self._producer = KafkaProducer(
                    bootstrap_servers=self._bootstrap_servers,
                    acks="all",
                    linger_ms=5,
                    max_block_ms=1_000,
                    max_request_size=self._max_request_bytes,
                    bootstrap_timeout_ms=1_000,
                )
            # A message has a key or a value; one that came with neither goes on with an empty value.
            value = b"" if letter.key is None and letter.value is None else letter.value
            future = self._producer.send(self._topic, key=letter.key, value=value, headers=headers)
        except (MessageSizeTooLargeError, RecordListTooLargeError):
            self._without_value(letter)
            return True
        except Exception as error:
            log.warning("dead_letter_delayed", topic=self._topic, error=type(error).__name__)
            with self._lock:
                self._due.appendleft(letter)
            return False
        future.add_callback(lambda _: letter.done())
        future.add_errback(lambda error: self._failed(letter, error))
        return True

    def _failed(self, letter: _Letter, error: BaseException) -> None:
        if isinstance(error, (MessageSizeTooLargeError, RecordListTooLargeError)):
            self._without_value(letter)
        else:
            self._next_try_s = time.monotonic() + RETRY_AFTER_S
            with self._lock:
                self._due.append(letter)

    def _without_value(self, letter: _Letter) -> None:
        if letter.value is None:  # nothing left to leave out: the headers alone are refused
            log.error("dead_letter_lost", topic=self._topic, origin=letter.origin, error=letter.error)
            letter.done()
            return
        smaller = _Letter(letter.error, letter.origin, letter.key, None, letter.done, len(letter.value))
        with self._lock:
            self._due.append(smaller)
