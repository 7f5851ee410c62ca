"""Whether Redis answers and can do what is asked of it: functions, writing, keeping."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import redis

from monitor.doctor.finding import Finding, failed, ok, warning
from monitor.settings import Redis
from streams.redact import redact

CLOCKS_APART_S = 1.0
FULL_SHARE = 0.9
PINGS = 5


def examine_redis(settings: Redis, client: redis.Redis, over: threading.Event) -> Iterator[Finding]:
    """Answers, version, functions, memory, keeping, writing, round trip, clock. Leaves nothing behind."""
    address = redact(settings.url.get_secret_value())
    try:
        yield from _examine(settings, client, address)
    except redis.AuthenticationError:
        yield failed(f"{address}: it refuses the user or password", "correct the login in redis.url")
    except redis.ConnectionError as error:
        yield failed(
            f"{address} cannot be reached ({_reason(error)})",
            "start Redis or Valkey there, or correct redis.url; while it is away nothing is judged against its window",
        )
    except redis.TimeoutError:
        yield failed(
            f"{address} does not answer within {settings.timeout_s:g} s",
            "look at the server's load and the network, or raise redis.timeout_s",
        )
    except redis.RedisError as error:
        yield failed(f"{address}: {error}", "give the user of redis.url the right to do this")
    finally:
        client.close()


def _examine(settings: Redis, client: Any, address: str) -> Iterator[Finding]:
    trips_s = []
    for _ in range(PINGS + 1):
        began_s = time.perf_counter()
        client.ping()
        trips_s.append(time.perf_counter() - began_s)
    info = client.info()
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = info.get("valkey_version") or info.get("redis_version", "of unknown version")
    trip_ms = statistics.median(trips_s[1:]) * 1000  # without the first, which logs in
    yield ok(f"{address}: {name} {version}, round trip {trip_ms:.1f} ms")
    if info.get("redis_mode") == "cluster":
        yield failed("it is a cluster; a batch of several cameras is one call there", "give redis.url a single server")
    yield _writing(settings, client)
    yield _functions(client)
    yield from _memory(info)
    yield from _keeping(client)
    yield _clock(client)


def _writing(settings: Redis, client: Any) -> Finding:
    key = f"{settings.prefix}:doctor:{uuid4().hex}"
    try:
        client.set(key, "1", px=10_000)
        client.delete(key)
    except redis.ReadOnlyError:
        return failed("it is a replica that cannot be written to", "let redis.url name the primary")
    except redis.ResponseError as error:
        return failed(
            f"keys under {settings.prefix}: cannot be written: {error}", "give the user of redis.url the right"
        )
    return ok(f"keys under {settings.prefix}: can be written")


def _functions(client: Any) -> Finding:
    name = f"linewatch_doctor_{uuid4().hex}"
    try:
        client.function_load(f"#!lua name={name}\nredis.register_function('{name}', function() return 1 end)")
        try:
            client.fcall(name, 0)
        finally:
            client.function_delete(name)
    except redis.ResponseError as error:
        return failed(
            f"functions cannot be used: {error}", "use Redis 7 or Valkey, and let the user of redis.url load functions"
        )
    return ok("functions work")


def _memory(info: dict[str, Any]) -> Iterator[Finding]:
    policy, limit = info.get("maxmemory_policy", "unknown"), int(info.get("maxmemory", 0))
    used = int(info.get("used_memory", 0))
    told = f"{used / 1e6:.0f} MB used of " + (f"{limit / 1e6:.0f} MB" if limit else "as much as there is")
    if policy not in {"noeviction", "unknown"}:
        yield warning(
            f"memory: {told}; when it is full, keys go ({policy})",
            "set `maxmemory-policy noeviction`: windows and alerts must not vanish unseen",
        )
    elif limit and used > limit * FULL_SHARE:
        yield warning(f"memory: {told}; it is almost full", "raise maxmemory, or lower window.max_frames")
    else:
        yield ok(f"memory: {told}, {policy}")


def _keeping(client: Any) -> Iterator[Finding]:
    """What a restart of Redis loses. Many a host forbids CONFIG: then nothing is known, and nothing said."""
    try:
        said: dict[str, str] = client.config_get("appendonly", "appendfsync")
    except redis.ResponseError:
        return
    if said.get("appendonly") == "no":
        yield warning(
            "it keeps nothing as it goes (AOF is off): a restart of Redis loses alerts that wait to be told",
            "set `appendonly yes` and `appendfsync everysec` in its configuration: a second is lost then at most",
        )
    elif said.get("appendfsync") == "no":
        yield warning(
            "it keeps what it holds on disk (AOF), but leaves to the system when: a power cut may lose half a minute",
            "set `appendfsync everysec` in its configuration",
        )
    elif said.get("appendonly") == "yes":
        yield ok(f"it keeps what it holds on disk (AOF, {said.get('appendfsync', 'everysec')})")


def _clock(client: Any) -> Finding:
    before_s = time.time()
    seconds, micros = client.time()
    apart_s = seconds + micros / 1e6 - (before_s + time.time()) / 2
    if abs(apart_s) <= CLOCKS_APART_S:
        return ok("its clock agrees with this machine's")
    return warning(
        f"its clock is {abs(apart_s):.1f} s {'ahead of' if apart_s > 0 else 'behind'} this machine's",
        "let both follow NTP: capture times, windows and alerts of several workers are compared",
    )


def _reason(error: Exception) -> str:
    cause = error.__cause__ or error.__context__ or error
    return str(getattr(cause, "strerror", None) or type(cause).__name__).lower()
