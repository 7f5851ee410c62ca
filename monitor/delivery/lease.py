"""One at a time, over all processes: who holds the lease does the work, and whoever stands by takes over."""

from __future__ import annotations

import os
import socket
import time
from typing import Any
from uuid import uuid4

import redis

SURELY = 0.9
"""Of its time, so much is counted on: clocks do not all run at the same speed."""

_HOLD = """
-- Renewing is no SET: a Redis that is full refuses those, and nothing would leave its queues any more.
local owner = redis.call('GET', KEYS[1])
if owner == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if owner then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

_RELEASE = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0"


class Lease:
    """A key that ends by itself, with its owner's name as the value. `hold` and `release` for one thread, `until_s`
    for any.

    owner: unlike that of everybody else, threads of the same process among them; `unique_owner` makes one.
    ttl_ms: so long after a SIGKILL somebody else may begin. To be renewed several times within.
    """

    def __init__(self, client: redis.Redis, key: str, owner: str, ttl_ms: int = 5000) -> None:
        self._client: Any = client
        self._ttl_ms = ttl_ms
        self._until_s = 0.0
        self.key = key
        self.owner = owner

    @property
    def ttl_s(self) -> float:
        return self._ttl_ms / 1000

    @property
    def until_s(self) -> float:
        """Until then, by time.monotonic, it is surely ours; 0 where it is not."""
        return self._until_s

    @property
    def ours(self) -> bool:
        return time.monotonic() < self._until_s

    def hold(self) -> bool:
        """Take it or renew it; whether it is ours now. Raises redis.RedisError, and what was held is held on."""
        asked_s = time.monotonic()
        held = bool(self._client.execute_command("EVAL", _HOLD, 1, self.key, self.owner, self._ttl_ms))
        self._until_s = asked_s + self.ttl_s * SURELY if held else 0.0
        return held

    def release(self) -> None:
        """Let it go, if it is ours, so that nobody has to wait for its end. Raises redis.RedisError."""
        self._until_s = 0.0
        self._client.execute_command("EVAL", _RELEASE, 1, self.key, self.owner)


def unique_owner(name: str = "") -> str:
    """A name that nobody else has: host, process and eight random digits, for people that look into Redis."""
    return f"{name or socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
