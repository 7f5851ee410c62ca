"""Pictures of alerts on disk."""

from __future__ import annotations

import os
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from monitor.alerting.evidence import EvidenceStore, lay_over
from streams.codec import encode_jpeg
from streams.frame import Frame

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
    picture = cv2.imread(str(found)).astype(int)
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
