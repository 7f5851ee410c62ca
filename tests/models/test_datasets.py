from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from models.datasets import find, load
from models.preprocess import Preprocess


def put(path: Path, value: int = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((20, 30, 3), value, np.uint8))
    return path


def test_mvtec_layout(tmp_path: Path) -> None:
    for name in (
        "train/good/0.png",
        "train/good/10.png",
        "train/good/2.png",
        "test/good/0.png",
        "test/broken/0.png",
        "test/scratch/0.png",
        "ground_truth/broken/0_mask.png",
    ):
        put(tmp_path / name)
    found = find(tmp_path)
    assert [p.path.name for p in found.train] == ["0.png", "2.png", "10.png"]
    assert not any(p.anomalous for p in found.train)
    assert [(p.kind, p.anomalous) for p in found.test] == [
        ("broken", True),
        ("good", False),
        ("scratch", True),
    ]


def test_a_folder_per_class(tmp_path: Path) -> None:
    for name in ("normal/a.jpg", "abnormal/deep/b.JPG", "abnormal/masks/b.png", "normal/n.txt"):
        if name.endswith("txt"):
            (tmp_path / name).write_text("no picture")
        else:
            put(tmp_path / name)
    found = find(tmp_path)
    assert [(p.path.name, p.anomalous) for p in found.test] == [("b.JPG", True), ("a.jpg", False)]
    assert [p.path.name for p in found.train] == ["a.jpg"]


def test_a_folder_of_pictures_is_all_normal(tmp_path: Path) -> None:
    for name in ("f9.png", "f10.png", "more/f1.png"):
        put(tmp_path / name)
    found = find(tmp_path)
    assert [p.path.name for p in found.train] == ["f9.png", "f10.png", "f1.png"]
    assert found.test == () and not any(p.anomalous for p in found.train)


def test_nothing_to_find(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no picture"):
        find(tmp_path)
    with pytest.raises(ValueError, match="is no folder"):
        find(tmp_path / "none")


def test_unreadable_files_are_listed(tmp_path: Path) -> None:
    put(tmp_path / "1.png", 10)
    (tmp_path / "2.png").write_bytes(b"")
    (tmp_path / "3.png").write_text("no picture")
    put(tmp_path / "4.png", 40)
    # A header that claims 60000 x 60000 pixels
    huge = bytearray((tmp_path / "1.png").read_bytes())
    huge[16:24] = (60_000).to_bytes(4, "big") * 2
    (tmp_path / "5.png").write_bytes(huge)
    loaded = load(find(tmp_path).train, Preprocess(32, 3))
    assert loaded.pictures.shape == (2, 32, 32, 3)
    assert loaded.pictures[:, 0, 0, 0].tolist() == [10, 40]
    assert [p.path.name for p in loaded.kept] == ["1.png", "4.png"]
    assert [path.name for path, _ in loaded.unreadable] == ["2.png", "3.png", "5.png"]
    assert all(reason for _, reason in loaded.unreadable)
    assert loaded.unreadable[0][1] == "the file is empty"


def test_none_readable(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_text("no picture")
    loaded = load(find(tmp_path).train, Preprocess(32, 1))
    assert loaded.pictures.shape == (0, 32, 32, 1) and loaded.kept == ()


def test_grey_and_transparent_pictures(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), np.full((20, 20), 70, np.uint8))
    cv2.imwrite(str(tmp_path / "2.png"), np.full((20, 20, 4), 70, np.uint8))
    loaded = load(find(tmp_path).train, Preprocess(32, 3))
    assert loaded.pictures[:, 3, 3].tolist() == [[70, 70, 70]] * 2
