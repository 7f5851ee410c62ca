from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from models.datasets import find, load, overlap
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
    for name in ("normal/a.jpg", "abnormal/deep/b.JPG", "abnormal/masks/b.png", "normal/n.txt", "loose.png"):
        if name.endswith("txt"):
            (tmp_path / name).write_text("no picture")
        else:
            put(tmp_path / name)
    found = find(tmp_path)
    assert [(p.path.name, p.kind, p.anomalous) for p in found.test] == [("b.JPG", "abnormal", True)]
    assert [p.path.name for p in found.train] == ["a.jpg"]
    assert [path.name for path in found.left_out] == ["loose.png"]


def test_without_a_split_no_normal_test_picture_is_trained_on(tmp_path: Path) -> None:
    for i in range(40):
        put(tmp_path / f"Good/{i}.png")
    put(tmp_path / "scratch/0.png")
    found = find(tmp_path)
    trained, tested = {p.path for p in found.train}, {p.path for p in found.test if not p.anomalous}
    assert (len(trained), len(tested)) == (30, 10) and not trained & tested
    assert found.split == "made" and "seed 0" in found.rule and "10" in found.rule
    assert find(tmp_path) == found
    other = find(tmp_path, seed=1)
    assert other.digest != found.digest and len(other.train) == 30


def test_the_split_that_is_given_is_kept(tmp_path: Path) -> None:
    for name in ("train/normal/1.png", "train/anomaly/2.png", "test/normal/3.png", "test/anomaly/4.png", "val/5.png"):
        put(tmp_path / name)
    found = find(tmp_path)
    assert found.split == "given"
    assert [p.path.name for p in found.train] == ["1.png"]
    assert [(p.path.name, p.anomalous) for p in found.test] == [("4.png", True), ("3.png", False)]
    assert [path.name for path in found.left_out] == ["5.png"]


def test_a_training_folder_without_classes_is_normal(tmp_path: Path) -> None:
    for name in ("Train/1.png", "Test/good/2.png", "Test/3.png"):
        put(tmp_path / name)
    found = find(tmp_path)
    assert [(p.path.name, p.anomalous) for p in found.train] == [("1.png", False)]
    assert [(p.path.name, p.anomalous) for p in found.test] == [("2.png", False)]
    assert [path.name for path in found.left_out] == ["3.png"]


@pytest.mark.parametrize("name", ["good", "Normal", "OK", "benign", "negative", "no_bone", "No-Defect", "no crack"])
def test_names_of_normal_folders(tmp_path: Path, name: str) -> None:
    put(tmp_path / "test" / name / "0.png")
    assert [p.anomalous for p in find(tmp_path).test] == [False]


@pytest.mark.parametrize("name", ["not_ok", "no_good", "bone", "abnormal", "nothing", "goods"])
def test_names_of_other_folders(tmp_path: Path, name: str) -> None:
    put(tmp_path / "test" / name / "0.png")
    assert [p.anomalous for p in find(tmp_path).test] == [True]


def test_the_normal_folder_can_be_named(tmp_path: Path) -> None:
    for name in ("shiny/0.png", "good/0.png"):
        put(tmp_path / name)
    assert [p.kind for p in find(tmp_path, normal="Shiny").train] == ["shiny"]
    assert [(p.kind, p.anomalous) for p in find(tmp_path, normal="Shiny").test] == [("good", True)]
    with pytest.raises(ValueError, match=r"no folder dull.*found good, shiny"):
        find(tmp_path, normal="dull")
    put(tmp_path / "split/test/shiny/0.png")
    with pytest.raises(ValueError, match=r"no folder dull.*found shiny"):
        find(tmp_path / "split", normal="dull")
    with pytest.raises(ValueError, match="normal is empty"):
        find(tmp_path, normal=" ")


@pytest.mark.parametrize("name", ["bottle/test/broken/0.png", "defect/0.png", "a/b/no_good/0.png"])
def test_what_is_not_all_normal_is_not_taken_for_it(tmp_path: Path, name: str) -> None:
    put(tmp_path / name)
    put(tmp_path / "more/1.png")
    with pytest.raises(ValueError, match="not all of its pictures are normal"):
        find(tmp_path)


def test_equal_files_in_training_and_test_are_counted(tmp_path: Path) -> None:
    for name, value in (
        ("train/good/1.png", 1),
        ("train/good/2.png", 2),
        ("test/good/3.png", 2),
        ("test/bad/4.png", 4),
    ):
        put(tmp_path / name, value)
    assert [(a.name, b.name) for a, b in overlap(find(tmp_path))] == [("3.png", "2.png")]
    (tmp_path / "test/good/3.png").unlink()
    assert overlap(find(tmp_path)) == ()


def test_a_folder_of_pictures_is_all_normal(tmp_path: Path) -> None:
    for name in ("f9.png", "f10.png", "more/f1.png"):
        put(tmp_path / name)
    found = find(tmp_path)
    assert [p.path.name for p in found.train] == ["f9.png", "f10.png", "f1.png"]
    assert found.test == () and not any(p.anomalous for p in found.train)
    assert found.split == "none"


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
