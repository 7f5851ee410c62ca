"""On the real sets, where LINEWATCH_DATA names them: the counts that their descriptions give."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from models.datasets import divide, find, load, load_masks, open_published, overlap
from models.preprocess import Preprocess


@pytest.mark.parametrize(
    ("name", "train", "normal", "anomalous", "masks"),
    [
        ("mvtec_ad/bottle", 189, 25, 63, 63),
        ("hazelnut_toy", 28, 6, 17, 17),
        ("paper_impurities/PA_BRG03_TL", 36, 12, 48, 48),
        ("dobot_cubes", 87, 29, 72, 0),
        ("aws_lookout/aliens", 44, 14, 60, 0),
        ("xray_gdxray/fishbones", 320, 20, 20, 0),
    ],
)
def test_folders(shared_data: Path, name: str, train: int, normal: int, anomalous: int, masks: int) -> None:
    found = find(shared_data / name)
    counts = Counter(picture.anomalous for picture in found.test)
    assert (len(found.train), counts[False], counts[True]) == (train, normal, anomalous)
    assert sum(picture.mask is not None for picture in found.test) == masks
    assert not found.stray_masks and not found.left_out and not overlap(found)
    some = found.test[:3] + found.test[-3:]
    assert load(some, Preprocess(32, 3)).unreadable == ()
    for picture, mask in zip(some, load_masks(some, 64), strict=True):
        assert (mask is None) == (picture.anomalous and masks == 0)
        assert mask is None or bool(mask.any()) == picture.anomalous


def test_mnist(shared_data: Path) -> None:
    source = open_published(shared_data / "mnist")
    counts = Counter((entry.part, entry.kind) for entry in source.entries)
    assert [counts[0, digit] for digit in range(10)] == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert [counts[1, digit] for digit in range(10)] == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    split = divide(source, "2", seed=0)
    assert (len(split.train_rows), len(split.test_rows), split.complete) == (50_408, 12_602 + 6_990, True)


@pytest.mark.slow
def test_cifar10(shared_data: Path) -> None:
    source = open_published(shared_data / "cifar10")
    counts = Counter((entry.part, entry.kind) for entry in source.entries)
    assert set(counts.values()) == {5000, 1000} and len(counts) == 20
    split = divide(source, "bird", seed=0)
    assert (len(split.train_rows), len(split.test_rows), split.complete) == (43_200, 10_800 + 6_000, True)
    small = divide(source, "bird", seed=0, subset=20).load_test(Preprocess(32, 3))
    assert len(small.pictures) == 56 and small.unreadable == () and np.ptp(small.pictures) > 200
