"""A dispatcher as a process of its own, to be killed: python -m tests.monitor.dispatcher_child REDIS PREFIX URL"""

from __future__ import annotations

import sys
import threading

import redis
import structlog

from monitor.delivery.dispatcher import Dispatcher
from tests.monitor.deliveries import Posting

if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    address, prefix, url = sys.argv[1:]
    dispatcher = Dispatcher(
        redis.Redis.from_url(address, decode_responses=True, socket_timeout=5),
        prefix,
        Posting(url),
        told=lambda _: None,
        owner="child",
        give_up_after_s=3600,
        max_wait_s=0.1,
        lease_ms=500,
    )
    dispatcher.start()
    print("ready", flush=True)
    threading.Event().wait()
