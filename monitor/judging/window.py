"""The rolling window of each camera's scores, kept in Redis: one round trip a batch, for any number of cameras."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from typing import Any, Protocol
from urllib.parse import quote

import redis
import structlog

log = structlog.get_logger(__name__)

FUNCTION = "linewatch_window_2"
RETRY_AFTER_S = 1.0


class Fate(StrEnum):
    """What became of a frame's score in its camera's window."""

    ENTERED = "entered"
    REFUSED = "refused"
    """Anomalous: it stays out, so that it cannot move the range."""
    RELEARNT = "relearnt"
    """Anomalous, but for so long without a break that it is taken for the new normal."""
    REPEATED = "repeated"
    """It was in the window already: a redelivered frame changes nothing."""
    LATE = "late"
    """Older than the window reaches."""
    KEPT_OUT = "kept_out"
    """Its camera is in trouble: the frame was held against the window and left no trace in it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A score on its way into the window. `identity` names the frame, also when it is redelivered.

    `limit` is the absolute score up to which the frame is normal whatever the window holds. `keep_out`: the frame must
    leave no trace, not even as one of the anomalous frames that make a new normal.
    """

    camera: str
    identity: str
    score: float
    time_ms: int
    limit: float
    keep_out: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """The window as it was before the frame: frames in it, least and greatest score (None in an empty one)."""

    count: int
    low: float | None
    high: float | None
    fate: Fate


class WindowUnavailable(RuntimeError):
    """The window cannot be read at present; the message says where and why, without secrets."""


class RollingWindow(Protocol):
    """Keeps the last N scores of each camera, and none older than T.

    `judge` answers for every entry, in order, with the window before that entry, and then lets the score enter
    unless it is anomalous or to be kept out. Entries of one batch see the ones before them. Idempotent for repeated
    identities.
    Blocks for one round trip at most. Raises WindowUnavailable; nothing is known to have entered then.
    """

    def judge(self, entries: Sequence[Entry]) -> list[Range]: ...


class RedisWindow:
    """The window in Redis 7 or Valkey, as a function loaded by this service (window.lua, versioned by its name)."""

    def __init__(
        self,
        client: redis.Redis,
        prefix: str,
        *,
        max_frames: int,
        max_age_s: float,
        relearn_after_frames: int,
        address: str,
    ) -> None:
        """`address` is for messages, without secrets. Nothing is asked of Redis before the first `judge`."""
        self._client: Any = client
        self._prefix = prefix
        max_age_ms = round(max_age_s * 1000)
        # The keys outlive the window by a day, so that a weekend's pause costs a warm-up but never leaves litter.
        self._settings = [max_frames, max_age_ms, relearn_after_frames, max_age_ms + 86_400_000]
        self._address = address
        self._loaded = False
        self._next_try_s = 0.0

    def keys(self, camera: str) -> list[str]:
        """The camera's three keys; the braces would keep them on one node of a cluster. A batch of several cameras is
        one call all the same, which a cluster refuses: one server, or a call a node, is for a later version."""
        tag = f"{self._prefix}:{{{quote(camera, safe='')}}}:window"
        return [f"{tag}:score", f"{tag}:time", f"{tag}:state"]

    def judge(self, entries: Sequence[Entry]) -> list[Range]:
        if not entries:
            return []
        if time.monotonic() < self._next_try_s:
            raise WindowUnavailable(f"Redis at {self._address} does not answer; tried again every second")
        index: dict[str, int] = {}
        keys: list[str] = []
        for entry in entries:
            if entry.camera not in index:
                index[entry.camera] = len(index) + 1
                keys += self.keys(entry.camera)
        arguments: list[Any] = list(self._settings)
        for entry in entries:
            arguments += [index[entry.camera], entry.identity, repr(entry.score), entry.time_ms, repr(entry.limit)]
            arguments.append(1 if entry.keep_out else 0)
        try:
            answer = self._call(keys, arguments)
        except redis.RedisError as error:
            self._loaded = False
            self._next_try_s = time.monotonic() + RETRY_AFTER_S
            told = str(error) if isinstance(error, redis.ResponseError) else type(error).__name__
            raise WindowUnavailable(f"Redis at {self._address}: {told}") from None
        return [
            Range(int(count), float(low) if low else None, float(high) if high else None, Fate(fate))
            for count, low, high, fate in zip(*[iter(answer)] * 4, strict=True)
        ]

    def _call(self, keys: list[str], arguments: list[Any]) -> list[str]:
        if not self._loaded:
            code = files("monitor.judging").joinpath("window.lua").read_text(encoding="utf-8")
            self._client.function_load(code, replace=True)
            self._loaded = True
        answer: list[str] = self._client.fcall(FUNCTION, len(keys), *keys, *arguments)
        return answer
