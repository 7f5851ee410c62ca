from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.evaluation.exam import load_test
from models.preprocess import Preprocess
from monitor.exams import Choice, exams, is_published, of_film
from monitor.training import SourceError
from streams.simulator.segments import segments_beside
from tests.models.conftest import _scene
from tests.models.exams import product
from tests.models.test_datasets_published import mnist
from tests.monitor.films import film, label

SMALL = Preprocess(32, 3)
TWO = "30,31,transition,hand\n32,39,anomaly,gone\n45,49,anomaly,normal"


def test_a_folder(product_folder: Path) -> None:
    (exam,) = exams(product_folder, Choice(), seed=3)
    assert exam.name == "bottle" and len(load_test(exam, SMALL).pictures) == 11
    assert not is_published(product_folder)


def test_a_published_set_is_one_exam_a_class_or_the_one_that_is_named(tmp_path: Path) -> None:
    root = mnist(tmp_path / "digits")
    assert is_published(root)
    assert [exam.abnormal for exam in exams(root, Choice(), seed=0)] == [str(digit) for digit in range(10)]
    (exam,) = exams(root, Choice(abnormal="7", subset=3), seed=2)
    assert (exam.name, exam.complete) == ("mnist-7-subset3", False) and "seed 2" in exam.rule


def test_a_film_is_cut_where_the_first_frame_is_not_normal(tmp_path: Path) -> None:
    (exam,) = exams(film(tmp_path / "line 1.avi", rows=TWO), Choice(), seed=0)
    assert exam.name == "line_1" and "first 30 frames" in exam.rule
    train, test = exam.train(SMALL), load_test(exam, SMALL)
    assert len(train.pictures) == 30 and not any(picture.anomalous for picture in train.kept)
    numbers = [int(picture.path.name.removeprefix("line 1.avi frame ")) for picture in test.kept]
    assert numbers == list(range(32, 60))  # without the transition, which nobody can judge
    faulty = [number for number, picture in zip(numbers, test.kept, strict=True) if picture.anomalous]
    # A fault that somebody calls "normal" is one all the same.
    assert faulty == [*range(32, 40), *range(45, 50)]
    assert [picture.kind for picture in test.kept if picture.anomalous] == ["gone"] * 8 + ["normal"] * 5
    bright = test.pictures.mean(axis=(1, 2, 3)) > 150
    assert [number for number, on in zip(numbers, bright, strict=True) if on] == list(range(40, 50))


def test_without_normal_frames_between_faults_a_part_of_the_first_ones_is_tested(tmp_path: Path) -> None:
    exam = of_film(film(tmp_path / "a.avi", bright=range(40, 60)), segments_beside(tmp_path / "a.avi"))
    assert len(exam.train(SMALL).pictures) == 30
    assert [picture.anomalous for picture in load_test(exam, SMALL).kept] == [False] * 10 + [True] * 20


def test_labels_may_lie_elsewhere(tmp_path: Path) -> None:
    path = film(tmp_path / "a.avi", rows=TWO)
    elsewhere = segments_beside(path).rename(tmp_path / "labels.csv")
    with pytest.raises(
        SourceError, match=r"a\.avi: its labels are missing; expected .*a\.segments\.csv, or --segments"
    ):
        list(exams(path, Choice(), seed=0))
    (exam,) = exams(path, Choice(segments=elsewhere), seed=0)
    assert len(load_test(exam, SMALL).pictures) == 28


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("", "names no anomalous frame"),
        ("0,59,normal,", "names no anomalous frame"),
        ("3,5,transition,hand", "names no anomalous frame"),
        ("5,3,anomaly,", "line 2: expected 0 <= first_frame"),
        ("3,5,odd,", "label is 'odd'"),
        ("\0" + "x" * 200_000, "field larger than field limit"),
    ],
)
def test_labels_that_cannot_be_used(tmp_path: Path, rows: str, told: str) -> None:
    with pytest.raises(SourceError, match=told):
        list(exams(film(tmp_path / "a.avi", rows=rows), Choice(), seed=0))


def test_labels_of_another_film_are_refused(tmp_path: Path) -> None:
    path = film(tmp_path / "a.avi", rows="30,60,anomaly,")
    (exam,) = exams(path, Choice(), seed=0)
    with pytest.raises(SourceError, match=r"a\.segments\.csv: names frame 60, but .*a\.avi has 60 frames \(0 to 59\)"):
        exam.test(SMALL)


def test_too_few_frames_to_train_on_do_not_keep_a_film_from_being_a_test(tmp_path: Path) -> None:
    path = film(tmp_path / "a.avi", rows="19,25,anomaly,\n30,35,anomaly,")
    (exam,) = exams(path, Choice(), seed=0)
    with pytest.raises(SourceError, match=r"19 frames for training, .* expected at least 20"):
        exam.train(SMALL)
    assert np.sum([picture.anomalous for picture in exam.test(SMALL).kept]) == 13
    label(path, "0,25,anomaly,\n30,35,anomaly,")
    (exam,) = exams(path, Choice(), seed=0)
    assert len(load_test(exam, SMALL).pictures) == 60


def test_a_film_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no film")
    label(tmp_path / "a.mp4", TWO)
    (exam,) = exams(tmp_path / "a.mp4", Choice(), seed=0)
    with pytest.raises(SourceError, match="no frame could be read"):
        exam.test(SMALL)


@pytest.mark.parametrize(
    ("where", "choice", "told"),
    [
        ("nowhere", Choice(abnormal="3"), "no such file or folder"),
        ("bottle", Choice(abnormal="3", subset=5), "is a folder, so --abnormal, --subset cannot be used"),
        ("bottle", Choice(segments=Path("x.csv")), "is a folder, so --segments"),
        ("bottle", Choice(normal="shiny"), "holds no folder shiny"),
        ("a.avi", Choice(abnormal="3"), "is a film, so --abnormal"),
        ("digits", Choice(normal="3"), "is MNIST or CIFAR-10, so --normal"),
        ("digits", Choice(abnormal="bird"), "MNIST has no class 'bird'"),
        ("digits", Choice(abnormal=""), "MNIST has no class ''"),
        ("digits", Choice(abnormal="3", subset=500), "a subset of 500 a class: MNIST has 6"),
        ("a.segments.csv", Choice(), "expected a folder of pictures, a film"),
        ("empty", Choice(), "holds no picture"),
    ],
)
def test_what_cannot_be_used_says_what_was_expected(
    product_folder: Path, where: str, choice: Choice, told: str
) -> None:
    folder = product_folder.parent
    film(folder / "a.avi")
    mnist(folder / "digits")
    (folder / "empty").mkdir()
    with pytest.raises(SourceError, match=told) as raised:
        list(exams(folder / where, choice, seed=0))
    assert where in str(raised.value) or "MNIST" in str(raised.value)


@pytest.fixture
def product_folder(tmp_path: Path) -> Path:
    return product(tmp_path / "bottle", _scene)
