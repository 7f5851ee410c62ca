"""Orders in Redis: a hash with a list of them for each camera."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import redis
import structlog
from pydantic import BaseModel, TypeAdapter, ValidationError

log = structlog.get_logger(__name__)

TRIES = 20

SWAP = """
local now = redis.call('HGET', KEYS[1], ARGV[1])
if (now or '') ~= ARGV[2] then return 0 end
if ARGV[3] == '' then redis.call('HDEL', KEYS[1], ARGV[1]) else redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
return 1
"""
"""Changes a field if it is still what was read, so that of two orders at once neither is lost."""

D = TypeVar("D", bound=BaseModel)


class OrderBook(Generic[D]):
    """The documents of each camera, oldest first. Thread-safe; every method may raise redis.RedisError."""

    def __init__(self, client: redis.Redis, key: str, kind: type[D]) -> None:
        self._client: Any = client
        self._key = key
        self._list: TypeAdapter[tuple[D, ...]] = TypeAdapter(tuple[kind, ...])  # type: ignore[valid-type]
        self._unreadable: set[str] = set()

    def read_all(self) -> dict[str, tuple[D, ...]]:
        """By camera. What cannot be read (of another version, or touched by others) is told once and left out."""
        return {
            camera: found
            for camera, text in self._client.hgetall(self._key).items()
            if (found := self._parsed(camera, text))
        }

    def change(self, camera: str, how: Callable[[tuple[D, ...]], tuple[D, ...]]) -> tuple[D, ...]:
        """Replace a camera's documents by `how` of them, which may be asked more than once; the new ones."""
        for _ in range(TRIES):
            text = self._client.hget(self._key, camera) or ""
            new = how(self._parsed(camera, text) if text else ())
            written = self._list.dump_json(new).decode() if new else ""
            if self._client.eval(SWAP, 1, self._key, camera, text, written):
                return new
        raise redis.RedisError(f"{self._key}: the orders of {camera} are changed by others all the time")

    def _parsed(self, camera: str, text: str) -> tuple[D, ...]:
        try:
            return self._list.validate_json(text)
        except ValidationError as error:
            if text not in self._unreadable:
                self._unreadable.add(text)
                log.warning("order_unreadable", key=self._key, camera=camera, error=str(error).splitlines()[0])
            return ()
