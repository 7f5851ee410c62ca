"""How often something came from an address within a minute, in bounded memory."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

from limits import RateLimitItemPerMinute
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

MAX_ADDRESSES = 10_000
"""So many are remembered; beyond, the one whose minute ends first is forgotten. About 2 MB."""


class BoundedCounts(Storage):
    """Counts that end with their minute, which begins with the first hit.

    Not limits' own MemoryStorage, which grows with every new address of an attacker's IPv6 network, starts a thread to
    look through all of them up to a hundred times a second, and goes by a clock that people set. Used by the event
    loop's thread alone.
    """

    STORAGE_SCHEME = ["bounded"]  # noqa: RUF012 - as limits declares it

    def __init__(self, most: int = MAX_ADDRESSES, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._most = most
        self._clock = clock
        self._counts: OrderedDict[str, tuple[int, float]] = OrderedDict()  # by when they end, soonest first

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        count, ends_s = self._counts.get(key, (0, 0.0))
        now_s = self._clock()
        if ends_s > now_s:
            self._counts[key] = (count + amount, ends_s)
            return count + amount
        self._counts.pop(key, None)
        if len(self._counts) >= self._most:
            self._counts.popitem(last=False)
        self._counts[key] = (amount, now_s + expiry)
        return amount

    def get(self, key: str) -> int:
        count, ends_s = self._counts.get(key, (0, 0.0))
        return count if ends_s > self._clock() else 0

    def get_expiry(self, key: str) -> float:
        """By the clock that was given, not since the epoch."""
        return self._counts.get(key, (0, self._clock()))[1]

    def check(self) -> bool:
        return True

    def reset(self) -> int:
        count = len(self._counts)
        self._counts.clear()
        return count

    def clear(self, key: str) -> None:
        self._counts.pop(key, None)


class Rate:
    """So often a minute, from one address each."""

    def __init__(
        self, per_minute: int, *, most: int = MAX_ADDRESSES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.per_minute = per_minute
        self._clock = clock
        self._counts = BoundedCounts(most, clock)
        self._limiter = FixedWindowRateLimiter(self._counts)
        self._limit = RateLimitItemPerMinute(per_minute)

    def exceeded_s(self, address: str) -> int | None:
        """Count one more; None where that was one of those that are allowed, else in how many seconds the next is."""
        if self._limiter.hit(self._limit, address):
            return None
        ends_s = self._counts.get_expiry(self._limit.key_for(address))
        return max(1, round(ends_s - self._clock() + 0.5))


def network_of(address: str | None) -> str:
    """Who counts as one: an IPv4 address, or all of the /64 that one IPv6 host may choose its addresses from."""
    try:
        known = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return "elsewhere"  # a Unix socket, say
    if isinstance(known, ipaddress.IPv6Address):
        if known.ipv4_mapped is not None:
            return str(known.ipv4_mapped)
        return str(ipaddress.ip_network((int(known) >> 64 << 64, 64)))
    return str(known)
