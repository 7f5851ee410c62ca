"""Clients of kafka-python that leave nothing behind: where they cannot be made, and where they are given up."""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from kafka.errors import KafkaError
from kafka.net.compat import KafkaNetClient

COLLECT_EVERY_S: Final = 30.0


def opened(kind: Callable[..., Any], **options: Any) -> Any:
    """A KafkaConsumer, KafkaProducer or KafkaAdminClient with these options. Raises what the client raises.

    Their constructors look for the broker, and where nobody answers they raise and leave an event loop behind, with
    its files and, for consumers, a thread that runs on for ever: one more at each attempt, while the broker is away.
    """
    made: list[Any] = []

    def network(**settings: Any) -> Any:
        made.append(KafkaNetClient(**settings))
        return made[-1]

    try:
        return kind(kafka_client=network, **options)
    except BaseException:
        for client in made:
            client.close()
        _collection.due()
        raise


def close_hard(producer: Any) -> None:
    """Give a KafkaProducer up: what it has not delivered fails at once. Takes six seconds at most; raises nothing.

    `KafkaProducer.close()` waits in `flush()` again and raises there, leaving its thread behind for ever. Not for the
    producer's own callbacks, which run in the thread that is waited for.
    """
    producer._sender.force_close()
    producer._sender.join(5)
    with contextlib.suppress(KafkaError):
        producer.close(timeout=1)


class _Collection:
    """The sockets of connections that were refused lie in circles, also those of clients that live on: open until
    Python looks for circles among its oldest objects. With a network in memory it hardly ever does, so it is told to
    while a broker is away. It takes a fifth of a second, in which nothing else runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_s = float("-inf")

    def due(self) -> None:
        """Collect, unless it was done a moment ago."""
        with self._lock:
            if time.monotonic() - self._last_s < COLLECT_EVERY_S:
                return
            self._last_s = time.monotonic()
        gc.collect()


_collection: Final = _Collection()
