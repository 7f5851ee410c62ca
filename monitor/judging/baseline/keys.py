"""Where a baseline lies in Redis."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote
from zlib import crc32

from monitor.judging.baseline.port import BaselineKey


class Places(NamedTuple):
    """The keys of one baseline, all in the hash slot of their shard, in the order in which the functions take them."""

    baselines: str
    score: str
    time: str
    outscore: str
    outtime: str
    state: str
    tail: str


@lru_cache(maxsize=65_536)
def shard_of(camera: str, shards: int) -> int:
    """All baselines of a camera lie in one shard."""
    return crc32(camera.encode("utf-8")) % shards


def index_key(prefix: str, shard: int) -> str:
    """The hash of all baselines of a shard: `name_of` a baseline -> the capture time of its newest frame, in ms."""
    return f"{{{prefix}:{shard}}}:baselines"


def name_of(key: BaselineKey) -> str:
    """The three names, quoted, with colons between them."""
    return ":".join(quote(part, safe="") for part in (key.camera, key.model, key.product))


def key_of(name: str) -> BaselineKey | None:
    """What `name_of` named; None where it is no such name."""
    parts = [unquote(part) for part in name.split(":")]
    return BaselineKey(*parts) if len(parts) == 3 else None


def places_of(prefix: str, shards: int, key: BaselineKey) -> Places:
    """ValueError for a name that is no text (a lone surrogate)."""
    shard = shard_of(key.camera, shards)
    base = f"{{{prefix}:{shard}}}:baseline:{name_of(key)}"
    parts = (f"{base}:{part}" for part in ("score", "time", "outscore", "outtime", "state", "tail"))
    return Places(index_key(prefix, shard), *parts)
