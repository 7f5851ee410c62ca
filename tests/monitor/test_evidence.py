"""Pictures of alerts on disk."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from monitor.alerting.evidence import EvidenceStore, lay_over
from streams.codec import encode_jpeg
from streams.frame import Frame
from tests.monitor.until import wait_until

PIXELS = np.full((60, 80, 3), 90, np.uint8)
HEAT = np.zeros((16, 16), np.float32)
HEAT[4:8, 8:12] = 0.5


def frame(payload: bytes | None = None) -> Frame:
    pixels = PIXELS if payload is None else None
    return Frame("line-1", 1, 1_700_000_000_000_000_000, "o", payload=payload, pixels=pixels)


def test_the_very_bytes_of_the_frame_are_kept(tmp_path: Path) -> None:
    jpeg = encode_jpeg(PIXELS)
    store = EvidenceStore(tmp_path, keep_days=1)
    store.save("abc1", frame(jpeg), HEAT)
    found = store.find("abc1", "evidence")
    assert found is not None and found.read_bytes() == jpeg
    assert found.parent.name == "2023-11-14"


def test_the_heat_map_is_red_where_it_is_hot_and_grey_elsewhere(tmp_path: Path) -> None:
    store = EvidenceStore(tmp_path, keep_days=1)
    store.save("abc1", frame(), HEAT)
    found = store.find("abc1", "heatmap")
    assert found is not None
    read = cv2.imread(str(found))
    assert read is not None
    picture = read.astype(int)
    assert picture.shape == PIXELS.shape
    blue, green, red = picture[22, 50]
    assert red > blue + 30 and red > green + 30
    assert np.ptp(picture[50, 10]) <= 4


def test_a_flat_heat_map_and_odd_sizes_are_laid_over_too() -> None:
    assert lay_over(PIXELS, np.zeros((64, 64), np.float32)).shape == PIXELS.shape
    assert lay_over(PIXELS[:1, :1], HEAT).shape == (1, 1, 3)


@pytest.mark.parametrize("bad", ["../../etc/passwd", "*", "ABC", "", "a/b"])
def test_only_ids_find_pictures(tmp_path: Path, bad: str) -> None:
    store = EvidenceStore(tmp_path / "store", keep_days=1)
    store.save("abc1", frame(), HEAT)
    assert store.find(bad, "evidence") is None


def test_old_pictures_go_and_new_ones_stay(tmp_path: Path) -> None:
    store = EvidenceStore(tmp_path, keep_days=2)
    store.save("01d", frame(), HEAT)
    old = store.find("01d", "evidence")
    assert old is not None
    now_s = time.time()
    for picture in old.parent.glob("*.jpg"):
        os.utime(picture, (now_s - 3 * 86_400, now_s - 3 * 86_400))
    assert store.sweep(now_s) == 2
    assert store.find("01d", "evidence") is None and not old.parent.exists()
    store.save("02e", frame(), HEAT)
    assert store.sweep(now_s) == 0 and store.find("02e", "evidence") is not None


def test_a_full_disk_leaves_no_half_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        EvidenceStore(tmp_path, keep_days=1).save("abc1", frame(), HEAT)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def aged(path: Path, seconds: float) -> Path:
    at_s = time.time() - seconds
    os.utime(path, (at_s, at_s))
    return path


def test_too_much_goes_oldest_first_whatever_its_kind(tmp_path: Path) -> None:
    store = EvidenceStore(tmp_path, keep_days=2, max_bytes=1000)
    day = tmp_path / "2023-11-14"
    day.mkdir()
    for number in range(12):
        name = f"{number:02x}-{'clip.mp4' if number % 2 else 'evidence.jpg'}"
        (day / name).write_bytes(b"x" * 100)
        aged(day / name, 1000 - number)
    strangers = [tmp_path / "notes.jpg", day / "notes.jpg", day / "README"]
    for stranger in strangers:
        stranger.write_bytes(b"x" * 5000)
        aged(stranger, 9 * 86_400)
    old_part, new_part, film_part = day / ".abc.part", day / ".def.part", tmp_path / ".k3_x.part"
    for part in (old_part, new_part, film_part):
        part.write_bytes(b"half")
    aged(old_part, 2 * 3600)
    aged(film_part, 2 * 3600)
    assert store.sweep(time.time()) == 3
    assert sorted(p.name[:2] for p in day.iterdir() if p not in strangers and p != new_part) == [
        f"{number:02x}" for number in range(3, 12)
    ]
    assert all(stranger.exists() for stranger in strangers) and new_part.exists() and not old_part.exists()
    assert not film_part.exists(), "who made it was killed"
    assert store.sweep(time.time()) == 0, "what is below the limit stays"


def test_several_workers_write_and_sweep_one_folder_and_it_keeps_its_size(tmp_path: Path) -> None:
    """Nobody calls sweep here: what is written does, before the folder is much larger than it may be."""
    limit, each = 400_000, 1000
    stores = [EvidenceStore(tmp_path, keep_days=2, max_bytes=limit) for _ in range(3)]
    largest = 0
    for number in range(1500):
        stores[number % 3].put(f"{number:04x}", "evidence", 1_700_000_000_000_000_000, b"x" * each)
        if number % 100 == 99:
            wait_until(lambda: not any(t.name == "evidence-sweep" for t in threading.enumerate()))
            largest = max(largest, sum(p.stat().st_size for p in tmp_path.glob("*/*")))
    assert limit * 0.8 < largest <= limit * (1 + 0.05 * len(stores))
    assert stores[0].find("05db", "evidence") is not None and stores[0].find("0000", "evidence") is None


def test_what_is_not_in_the_folder_is_read_from_afar(tmp_path: Path) -> None:
    class Far:
        def get(self, name: str) -> bytes | None:
            return b"far" if name == "abc1-heatmap.jpg" else None

        def has(self, name: str) -> bool:
            return self.get(name) is not None

    store = EvidenceStore(tmp_path, keep_days=1, far=Far())
    store.put("abc1", "evidence", 0, b"near")
    assert store.read("abc1", "evidence") == b"near" and store.read("abc1", "heatmap") == b"far"
    assert store.read("abc1", "clip") is None and not store.has("abc1", "clip") and store.has("abc1", "heatmap")
