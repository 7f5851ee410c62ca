"""A lease that what is written depends on: who has lost it writes nothing, even if he does not know yet."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import redis

from monitor.delivery.lease import Lease

RENEW_BELOW = 0.6
"""So much of the lease's time must be left, or it is renewed."""


class NotOurs(RuntimeError):
    """Another one has the lease, or had it meanwhile: what was read must be read anew."""


class Fence:
    """For one thread: whoever renews the lease must not be in a transaction at the same time."""

    def __init__(self, client: redis.Redis, key: str, owner: str, ttl_ms: int = 5000) -> None:
        self._client: Any = client
        self._key, self._owner = key, owner
        self._lease = Lease(client, key, owner, ttl_ms)
        self._sure = False

    def hold(self) -> bool:
        """Take the lease, or renew it where it runs out soon; False where another one has it. Raises
        redis.RedisError."""
        if self._sure and self._lease.until_s - time.monotonic() > RENEW_BELOW * self._lease.ttl_s:
            return True
        self._sure = False  # also where this raises
        self._sure = self._lease.hold()
        return self._sure

    def release(self) -> None:
        """Let another one begin at once; while Redis is away the lease runs out by itself."""
        self._sure = False
        with suppress(redis.RedisError):
            self._lease.release()

    @contextmanager
    def transaction(self, *keys: str) -> Iterator[tuple[Any, list[str | None]]]:
        """A transaction that goes through only if the lease is ours all the time from here on, and what these keys
        held when it began; others that change them do not hinder it. Before its `multi()` reads answer at once.

        Raises NotOurs, here or where it is executed, and then nothing is written; redis.RedisError.
        """
        with self._client.pipeline(transaction=True) as transaction:
            transaction.watch(self._key)
            owner, *values = transaction.execute_command("MGET", self._key, *keys)  # a cluster's has no mget
            if owner != self._owner:
                self._sure = False  # a Redis that has lost its data knows of no lease
                raise NotOurs(f"{self._key} is held by {owner or 'nobody'}")
            try:
                yield transaction, values
            except redis.WatchError:
                self._sure = False
                raise NotOurs(f"{self._key} was taken by another one meanwhile") from None
