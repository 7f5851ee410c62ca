"""What the rolling window costs: whole calls of `judge`, with full windows, as the service makes them."""

from __future__ import annotations

import math
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any
from uuid import uuid4

import redis

from monitor.judging.baseline.keys import places_of
from monitor.judging.baseline.port import BaselineKey, Criterion, Entry, Mode, Rule, WindowRules
from monitor.judging.baseline.redis_window import RedisWindow

FILL_AT_ONCE = 1024
FRAME_EVERY_MS = 100
RULE = Rule(Criterion.RISING, 1e6, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement. Times of a batch in ms, of a frame in µs: the whole call, in this process and in the server.

    server_us, client_us: processor time a frame of the two, other work on the machine left out; None where the server
    does not tell. memory_bytes: of a score in a full window, all keys of the baseline together. load: runnable
    processes of the machine in the last minute.
    """

    cameras: int
    frames: int
    window: int
    mode: str
    batches: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    frame_us: float
    fastest_frame_us: float
    server_us: float | None
    client_us: float
    memory_bytes: float
    load: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure(
    client: redis.Redis,
    cameras: int,
    frames: int,
    window: int,
    batches: int,
    mode: Mode = Mode.QUANTILE,
    filled: Callable[[int, int], None] = lambda done, of: None,
) -> Row:
    """Fill the windows of so many cameras, then judge so many batches. Leaves nothing behind in Redis.

    client: with decode_responses. filled is told how many frames of how many are in. May raise redis.RedisError and
    WindowUnavailable.
    """
    prefix = f"linewatch-bench-{uuid4().hex[:12]}"
    rules = WindowRules(window, window * FRAME_EVERY_MS, max(2, window // 20), 2 * window, mode, keep_s=600.0)
    judging = RedisWindow(client, prefix, rules, address="the server")
    keys = [BaselineKey(f"camera-{n}", "0123456789abcdef") for n in range(cameras)]
    entries = _entries(keys)
    try:
        wanted = cameras * window
        for done in range(0, wanted, FILL_AT_ONCE):
            judging.judge([next(entries) for _ in range(min(FILL_AT_ONCE, wanted - done))])
            filled(min(done + FILL_AT_ONCE, wanted), wanted)
        todo = [[next(entries) for _ in range(frames)] for _ in range(batches)]
        took_s = []
        server_before_s, own_before_s = _server_cpu_s(client), time.process_time()
        for batch in todo:
            began_s = time.perf_counter()
            judging.judge(batch)
            took_s.append(time.perf_counter() - began_s)
        own_s, server_after_s = time.process_time() - own_before_s, _server_cpu_s(client)
        memory_bytes = _memory_bytes(client, prefix, keys[0]) / window
    finally:
        _clean(client, prefix, keys)
    took_s.sort()
    a_frame = 1e6 / frames
    server_s = None if server_before_s is None or server_after_s is None else server_after_s - server_before_s
    return Row(
        cameras=cameras,
        frames=frames,
        window=window,
        mode=mode.value,
        batches=batches,
        p50_ms=_quantile(took_s, 0.5) * 1000,
        p95_ms=_quantile(took_s, 0.95) * 1000,
        p99_ms=_quantile(took_s, 0.99) * 1000,
        frame_us=_quantile(took_s, 0.5) * a_frame,
        fastest_frame_us=took_s[0] * a_frame,
        server_us=None if server_s is None else server_s / batches * a_frame,
        client_us=own_s / batches * a_frame,
        memory_bytes=memory_bytes,
        load=os.getloadavg()[0],
    )


def tell(rows: list[Row]) -> str:
    """A table, for a terminal."""
    lines = [
        f"{'cameras':>7} {'frames':>6} {'p50':>9} {'p95':>9} {'p99':>9} {'a frame':>9} {'fastest':>9} "
        f"{'CPU: server':>11} {'client':>9} {'a score':>8} {'load':>5}"
    ]
    for row in rows:
        server = "–" if row.server_us is None else f"{row.server_us:.1f} µs"
        lines.append(
            f"{row.cameras:>7} {row.frames:>6} {row.p50_ms:>6.2f} ms {row.p95_ms:>6.2f} ms {row.p99_ms:>6.2f} ms "
            f"{row.frame_us:>6.1f} µs {row.fastest_frame_us:>6.1f} µs {server:>11} {row.client_us:>6.1f} µs "
            f"{row.memory_bytes:>6.0f} B {row.load:>5.1f}"
        )
    return "\n".join(lines)


def _entries(keys: list[BaselineKey]) -> Iterator[Entry]:
    """Frames of all cameras in turn, up to now, without an end; the same ones each time."""
    random_ = random.Random(1)
    time_ms = time.time_ns() // 1_000_000 - 10 * 86_400_000
    number = 0
    while True:
        for key in keys:
            number += 1
            score = random_.lognormvariate(0.0, 0.3)
            yield Entry(key, f"frames/0/{number}", score, time_ms, RULE)
        time_ms += FRAME_EVERY_MS


def _server_cpu_s(client: Any) -> float | None:
    told = client.info("cpu")
    try:
        return float(told["used_cpu_user_main_thread"]) + float(told["used_cpu_sys_main_thread"])
    except KeyError:
        return None


def _memory_bytes(client: Any, prefix: str, key: BaselineKey) -> float:
    return sum(client.memory_usage(place, samples=0) or 0 for place in places_of(prefix, 1, key)[1:])


def _clean(client: Any, prefix: str, keys: list[BaselineKey]) -> None:
    for key in keys:
        client.unlink(*places_of(prefix, 1, key))


def _quantile(ordered: list[float], share: float) -> float:
    """The nearest rank."""
    return ordered[min(len(ordered), max(1, math.ceil(share * len(ordered)))) - 1]
