"""Evidence in a bucket of a storage that speaks S3: put, get, and forget what is old."""

from __future__ import annotations

import importlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Any

import structlog

from monitor.alerting.evidence import MAX_READ_BYTES
from monitor.alerting.evidence_room import OURS
from monitor.evidence_settings import S3
from streams.redact import redact_text

log = structlog.get_logger(__name__)

TIMEOUT_S = 5.0
PIECE = 1 << 18
CACHE_BYTES = 32 << 20
CACHED_S = 300.0
"""Not longer, since another process may have replaced a clip by its complete one."""
AWAY_S = 5.0
"""After a request that failed, for so long nobody else waits for the storage in vain."""
DELETED_AT_ONCE = 2000
CONTENT_TYPES = {"jpg": "image/jpeg", "mp4": "video/mp4"}


class BotoMissing(ImportError):
    """The section `evidence.s3` is given, and boto3 is not installed."""


class BucketAway(OSError):
    """The storage does not answer or refuses; the text says why, without secrets."""


class Bucket:
    """Thread-safe; implements monitor.alerting.evidence.FarStore.

    An object is called `<prefix>/<alert>-evidence.jpg`, without the day that the folder has: whoever asks for a picture
    knows only the alert, and so needs no listing.
    """

    def __init__(self, settings: S3, clock: Callable[[], float] = time.monotonic) -> None:
        """Asks no server yet. Raises BotoMissing."""
        try:
            boto3, config = importlib.import_module("boto3"), importlib.import_module("botocore.config")
            self._errors: Any = importlib.import_module("botocore.exceptions")
        except ImportError as error:
            raise BotoMissing(
                f"evidence.s3: boto3 is not installed ({error}): pip install 'linewatch[s3]', or leave the section out"
            ) from None
        key, secret = settings.access_key_id, settings.secret_access_key
        own = settings.endpoint_url is not None
        self._secrets = [text for text in (key, None if secret is None else secret.get_secret_value()) if text]
        self._client: Any = boto3.session.Session().client(
            "s3",
            endpoint_url=settings.endpoint_url,
            region_name=settings.region or ("us-east-1" if own else None),
            aws_access_key_id=key,
            aws_secret_access_key=None if secret is None else secret.get_secret_value(),
            config=config.Config(
                connect_timeout=TIMEOUT_S,
                read_timeout=TIMEOUT_S,
                retries={"total_max_attempts": 1},  # the mover has a back-off of its own
                # Storages other than Amazon's often have neither names of hosts for buckets nor the newer checksums.
                s3={"addressing_style": "path" if own else "auto"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
        self.name = settings.bucket
        self._url = settings.endpoint_url or ""
        self._prefix = settings.prefix.strip("/")
        self._clock = clock
        self._lock = threading.Lock()
        self._cache: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._cached = 0
        self._away_until_s = float("-inf")

    def key(self, name: str) -> str:
        """The object of a file's name."""
        return f"{self._prefix}/{name}" if self._prefix else name

    def put(self, name: str, data: bytes) -> None:
        """Bring a file there, replacing what was there. Raises BucketAway."""
        content = CONTENT_TYPES.get(name.rpartition(".")[2], "application/octet-stream")
        try:
            self._client.put_object(Bucket=self.name, Key=self.key(name), Body=data, ContentType=content)
        except Exception as error:
            raise BucketAway(self._told(error)) from None
        self._forget(name)

    def get(self, name: str) -> bytes | None:
        """A file that was brought there; None where there is none, it is larger than 50 MB, or the storage is away.
        Takes some 5 s at most to answer, and as long again to arrive."""
        now_s = self._clock()
        with self._lock:
            known = self._cache.get(name)
            if known is not None and now_s - known[0] < CACHED_S:
                self._cache.move_to_end(name)
                return known[1]
            if now_s < self._away_until_s:
                return None
        try:
            data = self._read(name)
        except Exception as error:
            self._unavailable(name, error)
            return None
        if data is not None:
            self._remember(name, data)
        return data

    def has(self, name: str) -> bool:
        """Whether `get` would find it."""
        with self._lock:
            if name in self._cache:
                return True
            if self._clock() < self._away_until_s:
                return False
        try:
            self._client.head_object(Bucket=self.name, Key=self.key(name))
        except Exception as error:
            self._unavailable(name, error)
            return False
        return True

    def sweep(self, before_s: float, stopped: Callable[[], bool]) -> int:
        """Delete our objects that were brought there before this time (since the epoch), 2000 at most; how many went.
        stopped: asked between requests. Raises BucketAway."""
        gone, start = 0, self.key("")
        try:
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=start):
                for found in page.get("Contents", ()):
                    if gone >= DELETED_AT_ONCE or stopped():
                        return gone
                    modified: datetime = found["LastModified"]
                    # Others may keep things below the same prefix.
                    if modified.timestamp() < before_s and OURS.fullmatch(found["Key"].removeprefix(start)):
                        self._client.delete_object(Bucket=self.name, Key=found["Key"])
                        self._forget(found["Key"].removeprefix(start))
                        gone += 1
        except Exception as error:
            raise BucketAway(self._told(error)) from None
        return gone

    def _read(self, name: str) -> bytes | None:
        end_s = self._clock() + 2 * TIMEOUT_S
        found = self._client.get_object(Bucket=self.name, Key=self.key(name))
        if found["ContentLength"] > MAX_READ_BYTES:
            found["Body"].close()
            return None
        pieces = []
        with found["Body"] as body:
            while piece := body.read(PIECE):
                pieces.append(piece)
                if self._clock() > end_s:
                    raise TimeoutError(f"not there after {2 * TIMEOUT_S:g} s")
        return b"".join(pieces)

    def _remember(self, name: str, data: bytes) -> None:
        if len(data) > CACHE_BYTES // 4:
            return
        self._forget(name)
        with self._lock:
            self._cache[name] = (self._clock(), data)
            self._cached += len(data)
            while self._cached > CACHE_BYTES:
                _, (_, oldest) = self._cache.popitem(last=False)
                self._cached -= len(oldest)

    def _forget(self, name: str) -> None:
        with self._lock:
            known = self._cache.pop(name, None)
            if known is not None:
                self._cached -= len(known[1])

    def _unavailable(self, name: str, error: Exception) -> None:
        """Nothing to tell where it is just not there."""
        if isinstance(error, self._errors.ClientError):
            code = str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))
            if code in ("NoSuchKey", "404", "NotFound"):
                return
        with self._lock:
            self._away_until_s = self._clock() + AWAY_S
        log.warning("evidence_not_read", bucket=self.name, file=name, error=self._told(error))

    def _told(self, error: Exception) -> str:
        """The error without secrets; some storages repeat in their answers what they were sent."""
        text = redact_text(f"{type(error).__name__}: {error}", self._url)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text[:500]
