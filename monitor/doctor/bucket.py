"""Whether evidence can be brought to its bucket, read, listed and deleted there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from uuid import uuid4

from monitor.alerting.bucket import BotoMissing, Bucket, BucketAway
from monitor.doctor.finding import Finding, failed, ok
from monitor.evidence_settings import S3

SAID = b"linewatch doctor"


class _Tried(Bucket):
    """One small object, step by step. Each raises BucketAway."""

    def read_back(self, name: str) -> bytes | None:
        said: bytes | None = self._as_away(lambda: self._read(name))
        return said

    def list_there(self, name: str) -> None:
        self._as_away(lambda: self._client.list_objects_v2(Bucket=self.name, Prefix=self.key(name), MaxKeys=1))

    def delete(self, name: str) -> None:
        self._as_away(lambda: self._client.delete_object(Bucket=self.name, Key=self.key(name)))

    def _as_away(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except Exception as error:
            raise BucketAway(self._told(error)) from None


def examine_bucket(settings: S3, over: threading.Event) -> Iterator[Finding]:
    """Puts an object of a few bytes below the prefix, reads, lists and deletes it; leaves nothing behind."""
    try:
        bucket = _Tried(settings)
    except BotoMissing as error:
        yield failed(str(error), "linewatch does not start without it")
        return
    except Exception as error:  # boto3 has errors of its own for each value that it does not like
        yield failed(f"evidence.s3: {type(error).__name__}", "correct endpoint_url and region of evidence.s3")
        return
    name = f"doctor-{uuid4().hex}.txt"
    step, there = "written", False
    try:
        bucket.put(name, SAID)
        step, there = "read", True
        if bucket.read_back(name) != SAID:
            raise BucketAway("what was read is not what was written")
        step = "listed"
        bucket.list_there(name)
        step, there = "deleted", False
        bucket.delete(name)
    except BucketAway as error:
        yield failed(
            f"bucket {settings.bucket}: objects below {settings.prefix!r} cannot be {step}: {error}",
            "correct evidence.s3, make the bucket, or give its key the right to put, get, list and delete there; "
            "pictures stay in the folder meanwhile",
        )
    else:
        yield ok(
            f"bucket {settings.bucket}: objects below {settings.prefix!r} can be written, read, listed and deleted"
        )
    finally:
        if there:
            with suppress(BucketAway):
                bucket.delete(name)
