"""Evidence in a bucket: a real server over real HTTP, which goes away and comes back."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from monitor.alerting.bucket import BotoMissing, Bucket, BucketAway
from monitor.alerting.evidence import EvidenceStore
from monitor.alerting.s3 import S3Mover
from monitor.evidence_settings import S3
from tests.monitor.until import wait_until

SECRET = "wJalrXUtnFEMI-not-a-real-one"


class Storage:
    """An S3 server on a port of its own. What it holds outlives its going away, as moto keeps it in this process."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._server: Any = None
        self.come()

    def come(self) -> None:
        from moto.server import ThreadedMotoServer  # noqa: PLC0415 - takes a second

        self._server = ThreadedMotoServer("127.0.0.1", self.port, verbose=False)
        self._server.start()

    def go(self) -> None:
        self._server.stop()
        self._server = None

    def forget(self) -> None:
        urlopen(Request(f"http://127.0.0.1:{self.port}/moto-api/reset", method="POST")).close()

    def __enter__(self) -> Storage:
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self.go()


@pytest.fixture(scope="module")
def storage() -> Iterator[Storage]:
    with Storage() as server:
        yield server


def settings(storage: Storage, name: str = "pictures") -> S3:
    return S3(
        bucket=name,
        prefix="site/linewatch",
        endpoint_url=f"http://127.0.0.1:{storage.port}",
        access_key_id="AKIDTHATISSECRET",
        secret_access_key=SECRET,
    )


@pytest.fixture
def bucket(storage: Storage) -> Bucket:
    storage.forget()
    made = Bucket(settings(storage))
    made._client.create_bucket(Bucket="pictures")
    return made


def keys(bucket: Bucket) -> set[str]:
    return {found["Key"] for found in bucket._client.list_objects_v2(Bucket="pictures").get("Contents", ())}


def aged(store: EvidenceStore, alert_id: str, kind: Any, seconds: float) -> Path:
    path = store.find(alert_id, kind)
    assert path is not None
    os.utime(path, (time.time() - seconds, time.time() - seconds))
    return path


def test_files_are_brought_there_when_settled_and_found_there_afterwards(
    tmp_path: Path, storage: Storage, bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    """And while the server is away they stay, are served from here, and it is told once."""
    store = EvidenceStore(tmp_path, 30, far=bucket)
    mover = S3Mover(store, bucket, after_s=3, keep_days=30, every_s=0.05)
    store.put("abc1", "evidence", 0, b"picture")
    store.put("abc1", "clip", 0, b"film")
    old = aged(store, "abc1", "evidence", 40)
    mover.start()
    wait_until(lambda: not old.exists())
    assert keys(bucket) == {"site/linewatch/abc1-evidence.jpg"}, "the clip may yet be replaced"
    head = bucket._client.head_object(Bucket="pictures", Key="site/linewatch/abc1-evidence.jpg")
    assert head["ContentType"] == "image/jpeg"
    assert store.read("abc1", "evidence") == b"picture" and store.has("abc1", "evidence")
    assert store.read("abc2", "evidence") is None and not store.has("abc2", "evidence") and mover.trouble is None

    storage.go()
    clip = aged(store, "abc1", "clip", 40)
    wait_until(lambda: mover.trouble)
    assert mover.trouble is not None and "(pictures)" in mover.trouble
    assert clip.exists() and store.read("abc1", "clip") == b"film"
    assert store.read("abc1", "evidence") == b"picture", "it was read before, and is remembered"
    begun_s = time.monotonic()
    assert all(store.read(f"{number:x}", "heatmap") is None for number in range(20))
    assert time.monotonic() - begun_s < 12, "those behind the first do not wait for a server that is away"

    storage.come()
    wait_until(lambda: mover.trouble is None and not clip.exists(), 120)
    assert keys(bucket) == {"site/linewatch/abc1-evidence.jpg", "site/linewatch/abc1-clip.mp4"}
    assert not (tmp_path / "1970-01-01").exists()
    mover.stop()
    told = caplog.text
    assert told.count("s3_away") == 1 and told.count("s3_answers") == 1
    assert SECRET not in told and "AKIDTHATISSECRET" not in told


def test_what_is_replaced_on_its_way_stays_and_comes_after(
    tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = EvidenceStore(tmp_path, 30, far=bucket)
    store.put("abc1", "clip", 0, b"what came before")
    aged(store, "abc1", "clip", 40)
    put = bucket.put

    def slow(name: str, data: bytes) -> None:
        put(name, data)
        if data == b"what came before":
            store.put("abc1", "clip", 0, b"complete")
            aged(store, "abc1", "clip", 39)

    monkeypatch.setattr(bucket, "put", slow)
    mover = S3Mover(store, bucket, after_s=3, keep_days=30, every_s=0.05)
    mover.start()
    wait_until(lambda: mover.moved == 2)
    mover.stop()
    assert bucket.get("abc1-clip.mp4") == b"complete" and list(tmp_path.rglob("*.*")) == []


def test_one_file_that_is_refused_holds_up_no_other(
    tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, put = EvidenceStore(tmp_path, 30, far=bucket), bucket.put
    for age_s, alert_id in ((60, "a1"), (50, "a2"), (40, "a3")):
        store.put(alert_id, "evidence", 0, alert_id.encode())
        aged(store, alert_id, "evidence", age_s)

    def picky(name: str, data: bytes) -> None:
        if data == b"a1":
            raise BucketAway("EntityTooLarge")
        put(name, data)

    monkeypatch.setattr(bucket, "put", picky)
    mover = S3Mover(store, bucket, after_s=0, keep_days=30, every_s=0.05)
    mover.start()
    wait_until(lambda: mover.moved == 2 and mover.trouble is None)
    mover.stop()
    assert store.find("a1", "evidence") is not None and bucket.get("a3-evidence.jpg") == b"a3"


def test_old_objects_go_and_those_of_others_stay(bucket: Bucket) -> None:
    for name in ("abc1-evidence.jpg", "abc1-clip.mp4", "holiday.jpg"):
        bucket.put(name, b"x")
    bucket._client.put_object(Bucket="pictures", Key="elsewhere/abc1-evidence.jpg", Body=b"x")
    assert bucket.sweep(time.time() - 60, lambda: False) == 0
    assert bucket.sweep(time.time() + 60, lambda: True) == 0
    assert bucket.sweep(time.time() + 60, lambda: False) == 2
    assert keys(bucket) == {"site/linewatch/holiday.jpg", "elsewhere/abc1-evidence.jpg"}


def test_a_bucket_that_is_not_there_is_told_and_so_is_a_missing_library(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BucketAway, match="NoSuchBucket"):
        Bucket(settings(storage, "not-there")).put("abc1-clip.mp4", b"x")
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(BotoMissing, match=r"pip install 'linewatch\[s3\]'"):
        Bucket(settings(storage))
