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

from streams.kafka_client import close_hard, opened
from streams.kafka_security import IN_THE_CLEAR, KafkaSecurity

log = structlog.get_logger(__name__)


RETRY_AFTER_S = 10.0
TOLD_AFTER_S = 5.0
"""So long the broker may take nothing before it is called trouble."""
MOST_LETTERS = 1_000
MOST_BYTES = 64 << 20


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

    A thread of its own sends, from the first letter on: a topic that cannot be had holds up nobody, neither the
    reader nor a rebalance. While the broker is away the letters wait, and with them the offsets that they hold back.
    They are all kept, so whoever adds looks at `full` and holds back what may become one.
    A value that the broker will not take for its size is left out, and the header `value_left_out_bytes` says so.
    """

    def __init__(
        self, bootstrap_servers: str, topic: str, max_message_bytes: int, security: KafkaSecurity = IN_THE_CLEAR
    ) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._topic = topic
        self._max_request_bytes = max_message_bytes + (1 << 20)
        self._security = security
        self._change = threading.Condition()
        self._due: deque[_Letter] = deque()
        self._next_try_s = 0.0
        self._closing = False
        self._thread: threading.Thread | None = None
        self._producer: Any = None
        self._held = 0  # letters that the broker does not have yet
        self._held_bytes = 0
        self._last_taken_s = 0.0  # or since when one waits, where none did before
        self._problem = "no answer"

    @property
    def full(self) -> bool:
        """Whether more wait than memory should hold."""
        return self._held > MOST_LETTERS or self._held_bytes > MOST_BYTES

    @property
    def trouble(self) -> str | None:
        """Why letters wait, in words for an operator, where none was taken for some seconds."""
        with self._change:
            if not self._held or time.monotonic() - self._last_taken_s < TOLD_AFTER_S:
                return None
            waiting = "; no more is read until they are" if self.full else ""
            return (
                f"dead letters cannot be written to {self._topic} at {self._bootstrap_servers}: "
                f"{self._problem}{waiting}; retrying"
            )

    def add(self, *, error: str, origin: str, key: bytes | None, value: bytes | None, done: Callable[[], None]) -> None:
        """Note a message for sending. Thread-safe; never blocks."""
        with self._change:
            if not self._held:
                self._last_taken_s = time.monotonic()
            self._held += 1
            self._held_bytes += len(value or b"")
            self._due.append(_Letter(error, origin, key, value, done))
            if self._thread is None and not self._closing:
                self._thread = threading.Thread(target=self._run, name=f"dead-letters-{self._topic}", daemon=True)
                self._thread.start()
            self._change.notify()

    def close(self) -> None:
        """Send what is due and wait for it, some twenty seconds at most."""
        with self._change:
            self._closing = True
            self._change.notify()
        if self._thread is not None:
            self._thread.join(30)

    def _run(self) -> None:
        while (letter := self._next()) is not None:
            self._send(letter)
        if (producer := self._producer) is None:
            return
        for _ in range(2):  # twice: letters come back for their size
            try:
                producer.flush(timeout=10)
            except KafkaError as error:
                log.warning("dead_letters_unsent", topic=self._topic, error=type(error).__name__)
                break
            while (letter := self._next()) is not None:
                self._send(letter)
        close_hard(producer)

    def _next(self) -> _Letter | None:
        """The next letter, when its time has come; None at the end, once there is none that could be sent."""
        with self._change:
            while True:
                pause_s = self._next_try_s - time.monotonic()
                if self._due and pause_s <= 0:
                    return self._due.popleft()
                if self._closing:
                    return None
                self._change.wait(pause_s if self._due else None)

    def _send(self, letter: _Letter) -> None:
        headers = [("error", letter.error.encode()), ("origin", letter.origin.encode())]
        if letter.left_out_bytes:
            headers.append(("value_left_out_bytes", str(letter.left_out_bytes).encode()))
        producer = self._producer  # another thread may put it aside at any time
        try:
            if producer is None:
                producer = self._producer = opened(
                    KafkaProducer,
                    bootstrap_servers=self._bootstrap_servers,
                    client_id="linewatch-dead-letters",
                    acks="all",
                    linger_ms=5,
                    max_block_ms=5_000,
                    max_request_size=self._max_request_bytes,
                    bootstrap_timeout_ms=5_000,
                    **self._security.arguments(),
                )
            # A message has a key or a value; one that came with neither goes on with an empty value.
            value = b"" if letter.key is None and letter.value is None else letter.value
            future = producer.send(self._topic, key=letter.key, value=value, headers=headers)
        except Exception as error:
            self._failed(letter, error, producer)
            return
        future.add_callback(lambda _: self._taken(letter))
        future.add_errback(lambda error: self._failed(letter, error, producer))

    def _taken(self, letter: _Letter) -> None:
        with self._change:
            self._held -= 1
            self._held_bytes -= len(letter.value or b"")
            self._last_taken_s = time.monotonic()
        letter.done()

    def _failed(self, letter: _Letter, error: BaseException, producer: Any) -> None:
        """`producer`: the one that should have sent it, if there was one. It goes: where a batch was given up, or the
        broker has forgotten it, the numbering that guards against repetition is lost, and it delivers nothing more."""
        if isinstance(error, (MessageSizeTooLargeError, RecordListTooLargeError)):
            self._without_value(letter)
            return
        log.warning("dead_letter_delayed", topic=self._topic, error=type(error).__name__)
        with self._change:
            given_up = producer is not None and self._producer is producer
            if given_up:
                self._producer = None
                self._problem = type(error).__name__  # what else it held fails for being closed
            elif producer is None:
                self._problem = type(error).__name__
            self._next_try_s = time.monotonic() + RETRY_AFTER_S
            self._due.appendleft(letter)
            self._change.notify()
        if given_up:  # in a thread, since this is called by the producer's own
            threading.Thread(target=close_hard, args=(producer,), name="dead-letters-close", daemon=True).start()

    def _without_value(self, letter: _Letter) -> None:
        if letter.value is None:  # nothing left to leave out: the headers alone are refused
            log.error("dead_letter_lost", topic=self._topic, origin=letter.origin, error=letter.error)
            self._taken(letter)
            return
        smaller = _Letter(letter.error, letter.origin, letter.key, None, letter.done, len(letter.value))
        with self._change:
            self._held_bytes -= len(letter.value)
            self._due.append(smaller)
            self._change.notify()
