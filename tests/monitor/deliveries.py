"""What the tests of delivery share: messages, a channel that remembers, an HTTP receiver."""

from __future__ import annotations

import http.client
import itertools
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import redis

from monitor.delivery.channels.channel import DeliveryFailed
from monitor.delivery.delivery import Delivery, Kind, id_of
from monitor.delivery.dispatcher import Dispatcher, Told


def delivery(number: int, camera: str = "line-1", channel: str = "hook", age_s: float = 0.0) -> Delivery:
    """The message about one event, queued `age_s` ago."""
    event_id = f"{camera}/{number}"
    event = {"id": event_id, "subject": camera, "type": "linewatch.alert.firing", "data": {"n": number}}
    queued_ms = round((time.time() - age_s) * 1000)
    return Delivery(id_of(event_id, channel), channel, Kind.EVENT, (event,), queued_ms=queued_ms)


def number_of(message: Delivery) -> int:
    return int(message.events[0]["data"]["n"])


class Remembering:
    """A channel that keeps what arrives, in order; `act` is asked first and may raise or wait."""

    def __init__(
        self, act: Callable[[Delivery], object] = lambda _: None, parallel: int = 2, name: str = "hook"
    ) -> None:
        self.name, self.parallel, self._act = name, parallel, act
        self.tries: list[tuple[float, Delivery]] = []
        self.arrived: list[Delivery] = []
        self.closed = 0

    def deliver(self, delivery: Delivery) -> None:
        self.tries.append((time.monotonic(), delivery))
        self._act(delivery)
        self.arrived.append(delivery)

    def close(self) -> None:
        self.closed += 1

    def numbers(self, camera: str = "line-1") -> list[int]:
        """What arrived from a camera, repeats left out."""
        return list(dict.fromkeys(number_of(d) for d in self.arrived if d.events[0]["subject"] == camera))


class Posting:
    """A channel that sends over HTTP; what is no 200 may heal."""

    name, parallel = "hook", 3

    def __init__(self, url: str) -> None:
        self._peer = urlsplit(url).netloc

    def deliver(self, delivery: Delivery) -> None:
        connection = http.client.HTTPConnection(self._peer, timeout=10)
        try:
            connection.request("POST", "/", delivery.to_json(), {"Idempotency-Key": delivery.delivery_id})
            if (status := connection.getresponse().status) != 200:
                raise DeliveryFailed(f"answered {status}")
        except OSError as error:
            raise DeliveryFailed(type(error).__name__) from None
        finally:
            connection.close()

    def close(self) -> None:
        """Nothing is kept open."""


class Receiver:
    """Keeps (Idempotency-Key, camera, number) of each request that it took, in order; says 503 to a part of them."""

    def __init__(self, failing: float, seed: int) -> None:
        self.received: list[tuple[str, str, int]] = []
        self._lock, self._random, self._failing = threading.Lock(), random.Random(seed), failing

    @contextmanager
    def running(self) -> Iterator[str]:
        """The address."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["events"][0]
                with outer._lock:
                    fails = outer._random.random() < outer._failing
                    if not fails:
                        outer.received.append((self.headers["Idempotency-Key"], event["subject"], event["data"]["n"]))
                self.send_response(503 if fails else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        class Server(ThreadingHTTPServer):
            request_queue_size = 128

        with Server(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
            thread.start()
            yield f"http://127.0.0.1:{server.server_port}/"
            server.shutdown()
            thread.join()


@contextmanager
def dispatching(
    client: redis.Redis, prefix: str, channel: Any, *, told: Callable[[Told], None] = lambda _: None, **options: Any
) -> Iterator[Dispatcher]:
    """A dispatcher that runs, and ends without flushing."""
    options = {"give_up_after_s": 3600.0, "max_wait_s": 0.05, "lease_ms": 2000, **options}
    dispatcher = Dispatcher(client, prefix, channel, told=told, owner="test", **options)
    dispatcher.start()
    try:
        yield dispatcher
    finally:
        dispatcher.stop(0)


def at_last(what: str, condition: Callable[[], object], timeout_s: float = 40) -> None:
    """Wait for it; fails after the time-out, naming it. While Redis is away it does not hold."""
    end_s = time.monotonic() + timeout_s
    for turn in itertools.count():
        try:
            if condition():
                return
        except redis.RedisError:
            pass
        assert time.monotonic() < end_s, f"not within {timeout_s:.0f} s: {what}"
        time.sleep(min(0.02, 0.002 * turn))
