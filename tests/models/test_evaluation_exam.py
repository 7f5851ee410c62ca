from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import datasets
from models.evaluation.exam import LONGEST_NAME, file_name, load_test, masks_of, of_folder, of_split, unreadable
from models.preprocess import Preprocess
from tests.models.conftest import Scene
from tests.models.exams import product, write
from tests.models.test_datasets_published import mnist

SMALL = Preprocess(32, 3)


def test_a_folder_in_mvtec_layout(scene: Scene, tmp_path: Path) -> None:
    root = product(tmp_path / "bottle", scene, masks=True)
    exam = of_folder(root)
    assert (exam.name, exam.complete, exam.size, exam.channels, exam.notes) == ("bottle", True, None, None, ())
    assert exam.digest == datasets.find(root).digest and exam.protocol == exam.abnormal == ""
    assert len(exam.train(SMALL).pictures) == 20
    test = load_test(exam, SMALL)
    assert [picture.kind for picture in test.kept] == ["gap"] * 5 + ["good"] * 6
    masks = masks_of(test.kept, 32)
    assert masks is not None and masks.shape == (11, 32, 32) and masks[0, 8:16, 16:24].all() and not masks[5:].any()


def test_a_folder_without_a_split_says_how_it_was_divided(scene: Scene, tmp_path: Path) -> None:
    write(tmp_path / "ring" / "good", scene(24))
    write(tmp_path / "ring" / "bent", scene(4, 2, fault=True))
    exam, other = of_folder(tmp_path / "ring"), of_folder(tmp_path / "ring", seed=1)
    assert "of 24 normal pictures" in exam.rule and "seed 0" in exam.rule
    # Results of another division must not replace these.
    assert (exam.name, other.name) == ("ring", "ring-split1") and exam.digest != other.digest


def test_what_is_odd_is_noted(scene: Scene, tmp_path: Path) -> None:
    root = product(tmp_path / "bottle", scene, masks=True)
    (root / "ground_truth" / "gap" / "4.png").rename(root / "ground_truth" / "gap" / "nothing.png")
    (root / "test" / "good" / "twin.png").write_bytes((root / "train" / "good" / "3.png").read_bytes())
    write(root / "validation", scene(2, 8))
    notes = "\n".join(of_folder(root).notes)
    assert "1 test pictures are also among the training pictures, such as twin.png" in notes
    assert "2 pictures left out" in notes and "1 masks fit no picture, such as nothing.png" in notes
    assert "no pixel figures: 1 of 5 anomalous pictures have no mask" in notes
    assert masks_of(load_test(of_folder(root), SMALL).kept, 32) is None


def test_a_folder_that_nothing_can_be_told_from_is_refused(scene: Scene, tmp_path: Path) -> None:
    write(tmp_path / "good", scene(3))
    with pytest.raises(ValueError, match=r"holds no labelled pictures.*--normal"):
        of_folder(tmp_path / "good")
    write(tmp_path / "set" / "test" / "hole", scene(3))
    with pytest.raises(ValueError, match="none of the 3 pictures of the test is normal: both kinds are needed"):
        of_folder(tmp_path / "set")
    write(tmp_path / "fine" / "test" / "good", scene(3))
    with pytest.raises(ValueError, match="none of the 3 pictures of the test is anomalous"):
        of_folder(tmp_path / "fine")


def test_pictures_that_cannot_be_read_are_told_and_a_kind_that_is_lost_is_refused(scene: Scene, tmp_path: Path) -> None:
    root = product(tmp_path / "bottle", scene)
    (root / "test" / "gap" / "2.png").write_bytes(b"no picture")
    test = load_test(of_folder(root), SMALL)
    assert len(test.pictures) == 10
    assert unreadable(test, "the test") == [
        "1 pictures for the test cannot be read, such as 2.png (not a picture that OpenCV can decode)"
    ]
    assert unreadable(of_folder(root).train(SMALL), "training") == []
    for picture in (root / "test" / "gap").iterdir():
        picture.write_bytes(b"")
    with pytest.raises(ValueError, match="bottle: none of the 6 pictures of the test is anomalous"):
        load_test(of_folder(root), SMALL)


def test_a_broken_mask_is_refused_before_anything_is_trained(scene: Scene, tmp_path: Path) -> None:
    root = product(tmp_path / "bottle", scene, masks=True)
    (root / "ground_truth" / "gap" / "1.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"1\.png: the mask is not a picture"):
        load_test(of_folder(root), SMALL)


def test_one_class_of_a_published_set(tmp_path: Path) -> None:
    split = datasets.protocol(mnist(tmp_path), "3", seed=1, subset=4)
    exam = of_split(split)
    assert (exam.name, exam.abnormal, exam.complete) == ("mnist-3-subset4", "3", False)
    assert (exam.size, exam.channels) == (32, 1)
    assert exam.protocol == "MNIST, a subset of 4 pictures of each class, from 60 of the 70000 published pictures"
    assert exam.rule == split.describe() and exam.rule.startswith(exam.protocol)
    assert {picture.kind for picture in exam.test(Preprocess(32, 1)).kept if picture.anomalous} == {"3"}


@given(st.text(max_size=300))
def test_every_name_becomes_one_that_a_file_can_have(text: str) -> None:
    name = file_name(text)
    assert name == file_name(name) or len(name.encode()) >= LONGEST_NAME - 3
    assert 0 < len(os.fsencode(name)) <= LONGEST_NAME and name[0] not in ".-"
    assert all(letter.isalnum() or letter in "_-." for letter in name)


@pytest.mark.parametrize(
    ("text", "name"),
    [("hazelnut_toy", "hazelnut_toy"), ("line 1/top|left\n", "line_1_top_left"), ("", "unnamed"), ("..", "unnamed")],
)
def test_file_names(text: str, name: str) -> None:
    assert file_name(text) == name


def test_masks_of_normal_pictures_alone_are_empty() -> None:
    kept = [datasets.Labelled(Path("a.png"), False, "good")]
    assert np.array_equal(masks_of(kept, 16), np.zeros((1, 16, 16), np.bool_))
