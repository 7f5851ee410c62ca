"""How each camera usually looks, kept over a restart: a camera that was moved meanwhile is still noticed."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Protocol
from urllib.parse import quote

import redis
import structlog

log = structlog.get_logger(__name__)

KEEP_S = 30 * 86_400


class References(Protocol):
    """Keeps one reference a camera. Neither method raises: what cannot be had is learnt anew."""

    def load(self, camera: str) -> bytes | None: ...
    def save(self, camera: str, reference: bytes) -> None: ...


class NoReferences:
    """Keeps nothing."""

    def load(self, camera: str) -> bytes | None:
        return None

    def save(self, camera: str, reference: bytes) -> None:
        """Gone."""


class RedisReferences:
    """In Redis, a key a camera, for a month after the camera was last seen well."""

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        self._client: Any = client
        self._prefix = prefix

    def load(self, camera: str) -> bytes | None:
        try:
            text = self._client.get(self._key(camera))
            return None if text is None else base64.b64decode(text, validate=True)
        except (redis.RedisError, binascii.Error) as error:
            log.info("camera_reference_not_read", camera=camera, error=type(error).__name__)
            return None

    def save(self, camera: str, reference: bytes) -> None:
        try:
            self._client.set(self._key(camera), base64.b64encode(reference).decode("ascii"), ex=KEEP_S)
        except redis.RedisError as error:
            log.info("camera_reference_not_kept", camera=camera, error=type(error).__name__)

    def _key(self, camera: str) -> str:
        return f"{self._prefix}:{{{quote(camera, safe='')}}}:reference"
