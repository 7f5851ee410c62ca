"""What messages are made of."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from monitor.alerting.clips import ClipMaker
from monitor.alerting.evidence import EvidenceStore
from monitor.alerting.film import MORE_TO_COME, Picture, film
from monitor.delivery.at_hand import AtHand
from monitor.delivery.channels.attachments import attachments_of
from monitor.delivery.channels.readable import completed
from monitor.delivery.materials import Materials, PictureKind, Place
from monitor.delivery.message import message_of
from monitor.evidence_settings import Clip
from monitor.links import LinkSigner
from streams.codec import decode, encode_jpeg
from streams.frame import Frame
from tests.monitor.peer import FakeMaterials, delivery, event

HEAT = np.full((8, 8), 0.5, np.float32)


def frame(at_s: float = 1_700_000_000) -> Frame:
    payload = encode_jpeg(np.full((48, 64, 3), 90, np.uint8))
    return Frame("line-1", 1, round(at_s * 1e9), "o", payload=payload)


@pytest.fixture
def store(tmp_path: Path) -> EvidenceStore:
    return EvidenceStore(tmp_path, 1)


def at_hand(store: EvidenceStore, clips: ClipMaker | None = None, key: bytes | None = b"k" * 32) -> AtHand:
    signer = LinkSigner(key, "https://line.example", 3600)
    return AtHand(
        store,
        clips,
        signer,
        lambda camera: Place(line=f"line of {camera}"),
        page_url="https://line.example/",
        captions={"abc1": "line-1  11-14 22:13:20 UTC"}.__getitem__,
        after_s=0.5,
    )


def test_links_are_only_to_what_there_is(store: EvidenceStore) -> None:
    materials: Materials = at_hand(store)
    nothing = materials.links("abc1", "night-shift")
    assert (nothing.picture, nothing.heatmap, nothing.clip) == (None, None, None)
    assert nothing.alert == "https://line.example/" and nothing.act is not None
    store.save("abc1", frame(), HEAT)
    links = materials.links("abc1", "night-shift")
    assert links.picture is not None and links.picture.startswith("https://line.example/l/abc1/evidence?")
    assert links.heatmap is not None
    plain = at_hand(store, key=None).links("abc1", "night-shift")
    assert plain.picture == "https://line.example/api/alerts/abc1/evidence.jpg" and plain.act is None
    assert materials.place("line-1") == Place(line="line of line-1")


def test_a_message_links_a_clip_that_is_still_to_come_and_none_that_is_not(store: EvidenceStore) -> None:
    """It goes out at once, from a process that makes no clips."""
    materials = at_hand(store)
    told = event()
    alert_id = told["data"]["alert_id"]
    store.save(alert_id, frame(), HEAT)
    assert completed(told, delivery(told), materials)["data"]["links"]["clip"] is None, "too many alerts, say"
    assert "Clip" not in message_of(delivery(told), materials).text
    told["data"]["clip_url"] = f"https://line.example/api/alerts/{alert_id}/clip.mp4"
    data = completed(told, delivery(told), materials)["data"]
    assert data["clip_url"] == data["links"]["clip"] and f"/l/{alert_id}/clip?" in data["clip_url"]
    assert "Clip: https://line.example/l/" in message_of(delivery(told), materials).text
    for kind in ("evidence", "heatmap"):
        found = store.find(alert_id, kind)
        assert found is not None
        os.utime(found, (time.time() - 60, time.time() - 60))
    assert completed(told, delivery(told), materials)["data"]["links"]["clip"] is None, "it was never made"


def test_files_and_strips_and_nothing_where_nothing_is_kept(store: EvidenceStore) -> None:
    materials = at_hand(store)
    assert materials.file("abc1", "picture") is None and materials.strip(("abc1",)) is None
    store.save("abc1", frame(), HEAT)
    store.save("abc2", frame(), None)
    assert materials.file("abc1", "picture") == frame().payload
    assert materials.file("abc1", "heatmap") is not None and materials.file("abc2", "heatmap") is None
    made = materials.strip(("abc1", "abc3", "abc2"))  # of abc2 nobody knows the camera any more
    assert made is not None and decode(made, 1 << 20).shape == (262, 640, 3)


def test_a_clip_that_is_being_made_is_waited_for(store: EvidenceStore) -> None:
    clips = ClipMaker(store, Clip(before_s=1, after_s=0.5, fps=5))
    clips.start()
    materials = at_hand(store, clips)
    store.save("abc1", frame(), None)
    clips.see(frame())
    assert clips.begin("abc1", frame())
    assert materials.links("abc1", "x").clip is not None
    made = materials.file("abc1", "clip", wait_s=60)
    assert not clips.making("abc1") and made is not None and made[4:8] == b"ftyp"
    begun_s = time.monotonic()
    assert materials.file("ffff", "clip", wait_s=60) is None, "no alert of which there is no picture has a clip"
    assert time.monotonic() - begun_s < 20
    clips.stop(10)


def test_a_clip_that_another_process_makes_is_waited_for_too(store: EvidenceStore) -> None:
    """The one of what came before is there already, and says so."""
    picture = Picture(0, frame().payload or b"")
    before = film([picture], 64, store.folder, 1 << 20, MORE_TO_COME)
    whole = film([picture], 64, store.folder, 1 << 20)
    store.save("abc1", frame(), None)
    store.put("abc1", "clip", 0, before)
    materials = at_hand(store)
    assert materials.file("abc1", "clip") == before
    assert materials.file("abc1", "clip", wait_s=0.1) == before
    complete = threading.Timer(0.8, lambda: store.put("abc1", "clip", 0, whole))
    complete.start()
    assert materials.file("abc1", "clip", wait_s=60) == whole
    complete.join()
    began_s = time.monotonic()
    assert materials.file("abc1", "clip", wait_s=60) == whole and time.monotonic() - began_s < 5


def test_nobody_waits_for_a_clip_that_is_not_made(store: EvidenceStore) -> None:
    told, asked = event(), []

    class Asked(FakeMaterials):
        def file(self, alert_id: str, kind: PictureKind, wait_s: float = 0.0) -> bytes | None:
            asked.append((kind, wait_s))
            return None

    for clip_url in (None, "https://line.example/api/alerts/1/clip.mp4"):
        told["data"]["clip_url"] = clip_url
        attachments_of(delivery(told), Asked(), ("picture", "clip"), 9)
    assert asked == [("picture", 0), ("clip", 0), ("picture", 0), ("clip", 9)]
