"""How each camera usually looks, kept over a restart: a camera that was moved meanwhile is still noticed."""

from __future__ import annotations

import base64
import binascii
import contextlib
import time
from typing import Any, Protocol
from urllib.parse import quote

import redis
import structlog

log = structlog.get_logger(__name__)

KEEP_S = 30 * 86_400
RETRY_AFTER_S = 1.0


class ReferencesAway(RuntimeError):
    """Nobody can say at present whether a reference is kept."""


class References(Protocol):
    """Keeps one reference a camera. Only `load` raises (ReferencesAway): what is not kept is learnt anew."""

    def load(self, camera: str) -> bytes | None: ...
    def save(self, camera: str, reference: bytes) -> None: ...
    def forget(self, camera: str) -> None: ...


class NoReferences:
    """Keeps nothing."""

    def load(self, camera: str) -> bytes | None:
        return None

    def save(self, camera: str, reference: bytes) -> None:
        """Gone."""

    def forget(self, camera: str) -> None:
        """Nothing was kept."""


class RedisReferences:
    """In Redis, a key a camera, for a month after the camera was last seen well."""

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        self._client: Any = client
        self._prefix = prefix
        self._next_try_s = 0.0  # while Redis hangs, one camera waits for it and not each in turn

    def load(self, camera: str) -> bytes | None:
        text = self._ask("get", self._key(camera))
        try:
            return None if text is None else base64.b64decode(text, validate=True)
        except binascii.Error:
            log.warning("camera_reference_refused", camera=camera)
            return None

    def save(self, camera: str, reference: bytes) -> None:
        with contextlib.suppress(ReferencesAway):
            self._ask("set", self._key(camera), base64.b64encode(reference).decode("ascii"), ex=KEEP_S)

    def forget(self, camera: str) -> None:
        with contextlib.suppress(ReferencesAway):
            self._ask("delete", self._key(camera))

    def _ask(self, command: str, *arguments: Any, **options: Any) -> Any:
        if time.monotonic() < self._next_try_s:
            raise ReferencesAway
        try:
            return getattr(self._client, command)(*arguments, **options)
        except redis.RedisError as error:
            self._next_try_s = time.monotonic() + RETRY_AFTER_S
            log.info("camera_references_away", error=type(error).__name__)
            raise ReferencesAway from None

    def _key(self, camera: str) -> str:
        return f"{self._prefix}:{{{quote(camera, safe='')}}}:reference"
