"""Where the fills are kept: what stands, in each camera's picture, for all that does not count."""

from __future__ import annotations

import base64
import binascii
import threading
import time
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import quote

import cv2
import numpy as np
import redis
import structlog
from numpy.typing import NDArray

log = structlog.get_logger(__name__)

Picture = NDArray[np.uint8]
"""A picture as the network sees it, uint8 [S, S, C], RGB or grey."""

KEEP_S: Final = 30 * 86_400
RETRY_AFTER_S: Final = 1.0


class FillsAway(RuntimeError):
    """Nobody can say at present what is kept."""


@dataclass(frozen=True, slots=True)
class FillKey:
    """What a fill belongs to: a camera, its region (`Region.id`), and a network's picture of side S and C channels."""

    camera: str
    region: str
    side: int
    channels: int


class Fills(Protocol):
    """Keeps one fill a key; the first that is stored stays. Thread-safe. Every method may raise FillsAway, and blocks
    no longer than one answer may take."""

    def load(self, key: FillKey) -> Picture | None: ...

    def store(self, key: FillKey, fill: Picture) -> Picture:
        """Keep it, unless one is kept already; the one that is kept now."""
        ...

    def renew(self, key: FillKey) -> bool:
        """Put its end off. False where none is kept (any more)."""
        ...

    def forget(self, key: FillKey) -> None: ...


class MemoryFills:
    """As long as the process lives; where there is no Redis, as in a replay."""

    def __init__(self) -> None:
        self._kept: dict[FillKey, Picture] = {}

    def load(self, key: FillKey) -> Picture | None:
        return self._kept.get(key)

    def store(self, key: FillKey, fill: Picture) -> Picture:
        return self._kept.setdefault(key, fill)

    def renew(self, key: FillKey) -> bool:
        return key in self._kept

    def forget(self, key: FillKey) -> None:
        self._kept.pop(key, None)


class RedisFills:
    """In Redis, a PNG in base64 a key, until nobody has renewed it for `keep_s`: scores stay comparable after a
    restart, and between workers."""

    def __init__(self, client: redis.Redis, prefix: str, keep_s: float = KEEP_S) -> None:
        """`client` decodes its answers."""
        self._client: Any = client
        self._prefix = prefix
        self._keep_ms = max(1, round(keep_s * 1000))
        self._next_try_s = 0.0  # while Redis hangs, one camera waits for it and not each in turn
        self._lock = threading.Lock()

    def load(self, key: FillKey) -> Picture | None:
        kept = self._ask("get", self._name(key))
        return None if kept is None else self._checked(key, kept)

    def store(self, key: FillKey, fill: Picture) -> Picture:
        name, coded = self._name(key), _coded(fill)
        there = self._ask("set", name, coded, px=self._keep_ms, nx=True, get=True)
        if there is None:
            return fill
        kept = self._checked(key, there)
        if kept is None:
            self._ask("set", name, coded, px=self._keep_ms)
            return fill
        return kept

    def renew(self, key: FillKey) -> bool:
        return bool(self._ask("pexpire", self._name(key), self._keep_ms))

    def forget(self, key: FillKey) -> None:
        self._ask("delete", self._name(key))

    def _checked(self, key: FillKey, kept: str) -> Picture | None:
        fill = _decoded(kept, key)
        if fill is None:
            log.warning("region_fill_refused", camera=key.camera, found=kept[:40], remedy="it is learnt anew")
        return fill

    def _ask(self, command: str, *arguments: Any, **options: Any) -> Any:
        if time.monotonic() < self._next_try_s:
            raise FillsAway("Redis did not answer a moment ago")
        try:
            return getattr(self._client, command)(*arguments, **options)
        except UnicodeDecodeError:
            return "not text"  # what somebody else has put there is refused like any other
        except redis.ResponseError as error:  # this key is of another kind, or is not to be written: others may do
            raise FillsAway(str(error)) from None
        except redis.RedisError as error:
            with self._lock:
                self._next_try_s = time.monotonic() + RETRY_AFTER_S
            raise FillsAway(type(error).__name__) from None

    def _name(self, key: FillKey) -> str:
        return f"{self._prefix}:fill:{quote(key.camera, safe='')}:{key.region}:{key.side}x{key.channels}"


def _coded(fill: Picture) -> str:
    ok, png = cv2.imencode(".png", _turned(fill))
    if not ok:
        raise ValueError(f"cannot encode a fill of shape {list(fill.shape)} as PNG: expected uint8 [S, S, 1 or 3]")
    return base64.b64encode(png.tobytes()).decode("ascii")


def _decoded(text: str, key: FillKey) -> Picture | None:
    """None where that is no picture of this shape."""
    try:
        png = base64.b64decode(text, validate=True)
        pixels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    except (binascii.Error, ValueError, cv2.error):
        return None
    if pixels is None or pixels.dtype != np.uint8:
        return None
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.shape != (key.side, key.side, key.channels):
        return None
    return _turned(np.asarray(pixels, dtype=np.uint8))


def _turned(pixels: Picture) -> Picture:
    """RGB to OpenCV's order and back, so that the PNG looks right where somebody opens it."""
    return np.ascontiguousarray(pixels[..., ::-1])
