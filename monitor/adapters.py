"""The adapters of a configuration: sources and clients."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.cluster import RedisCluster as AsyncRedisCluster
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.exceptions import RedisClusterException
from redis.retry import Retry

from monitor.inputs import Input
from monitor.kafka_security import security_of
from monitor.settings import Limits, Settings
from streams.files import FilesSource, FilesSourceOptions
from streams.kafka import KafkaSource, KafkaSourceOptions
from streams.rtsp import RtspSource, RtspSourceOptions
from streams.source import Source
from streams.usb import UsbSource, UsbSourceOptions


def source_of(entry: Input, max_pixels: int = Limits().max_pixels) -> Source:
    """The adapter of one entry of `sources`. `max_pixels`: cameras' larger pictures are refused where they arise."""
    if entry.kafka is not None:
        return KafkaSource(
            KafkaSourceOptions(
                **entry.kafka.model_dump(exclude={"security"}), security=security_of(entry.kafka.security)
            )
        )
    if entry.rtsp is not None:
        return RtspSource(
            RtspSourceOptions(
                **entry.rtsp.model_dump(exclude={"url"}),
                url=entry.rtsp.url.get_secret_value(),
                max_pixels=max_pixels,
            )
        )
    if entry.usb is not None:
        return UsbSource(UsbSourceOptions(**entry.usb.model_dump(), max_pixels=max_pixels))
    assert entry.files is not None  # the settings allow exactly one kind
    return FilesSource(FilesSourceOptions(**entry.files.model_dump()))


def key_prefix(settings: Settings) -> str:
    """The first part of every key but the windows'. On a cluster it is a hash tag: what is written in one step must
    lie in one slot."""
    return f"{{{settings.redis.prefix}}}" if settings.redis.cluster else settings.redis.prefix


def redis_client(settings: Settings) -> redis.Redis:
    """One client for all threads. It does not repeat commands by itself: who calls knows what that would mean."""
    url = settings.redis.url.get_secret_value()
    options: dict[str, Any] = {
        "decode_responses": True,
        "socket_timeout": settings.redis.timeout_s,
        "socket_connect_timeout": settings.redis.timeout_s,
        "health_check_interval": 30,
    }
    if settings.redis.cluster:
        late: Any = LateCluster(lambda: RedisCluster.from_url(url, **options))
        return late  # type: ignore[no-any-return]
    client: redis.Redis = redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **options)
    return client


def async_redis_client(settings: Settings) -> Any:
    """A connection for one listener of the event stream."""
    return (AsyncRedisCluster if settings.redis.cluster else redis.asyncio.Redis).from_url(
        settings.redis.url.get_secret_value(),
        decode_responses=True,
        socket_connect_timeout=settings.redis.timeout_s,
        socket_timeout=settings.redis.timeout_s + 5,
    )


class LateCluster:
    """A client of a Redis Cluster that connects when it is first asked, so that a cluster that is away is waited for
    like any server; redis-py's own connects in its constructor. What it raises is a redis.RedisError then too."""

    IS_CLUSTER = True

    def __init__(self, connect: Callable[[], RedisCluster]) -> None:
        self._connect = connect
        self._client: RedisCluster | None = None
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        try:
            with self._lock:
                if self._client is None:
                    self._client = self._connect()
            found = getattr(self._client, name)
        except RedisClusterException as error:
            raise redis.ConnectionError(str(error)) from None
        return _as_redis_errors(found) if callable(found) else found


def _as_redis_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """RedisClusterException is no RedisError, though it means that the servers do not answer."""

    def asked(*arguments: Any, **options: Any) -> Any:
        try:
            return command(*arguments, **options)
        except RedisClusterException as error:
            raise redis.ConnectionError(str(error)) from None

    return asked
