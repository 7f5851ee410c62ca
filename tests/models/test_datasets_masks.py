from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.datasets import Labelled, find, load_masks
from models.datasets.mask_pixels import fault_of, shrink


def put(path: Path, pixels: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((20, 30, 3), 100, np.uint8) if pixels is None else pixels)
    return path


def masks_of(root: Path) -> dict[str, str | None]:
    return {
        p.path.relative_to(root).as_posix(): p.mask and p.mask.relative_to(root).as_posix() for p in find(root).test
    }


@pytest.mark.parametrize(
    ("picture", "mask"),
    [
        ("test/broken/000.png", "ground_truth/broken/000_mask.png"),
        ("test/colour/00.jpg", "ground_truth/colour/00.png"),
        ("test/a/0.png", "ground_truth/test/a/0.png"),
        ("test/a/0.png", "test/a/masks/0_mask.png"),
        ("test/a/0.png", "test/a/0_mask.png"),
        ("defect/x_1.png", "Ground-Truth/x_1_mask.png"),
        ("defect/x_1.png", "ground_truth/Defect/x_1.bmp"),
        ("defect/deep/x.png", "masks/defect/deep/x.png"),
    ],
)
def test_a_mask_is_found(tmp_path: Path, picture: str, mask: str) -> None:
    normal = "test/good/0.png" if picture.startswith("test") else "normal/0.png"
    for name in (picture, mask, normal):
        put(tmp_path / name)
    found = masks_of(tmp_path)
    assert found.pop(picture) == mask
    assert not any(found.values()) and find(tmp_path).stray_masks == ()


def test_each_kind_has_masks_of_its_own(tmp_path: Path) -> None:
    for kind in ("a", "b"):
        put(tmp_path / f"test/{kind}/000.png")
        put(tmp_path / f"ground_truth/{kind}/000_mask.png")
    assert masks_of(tmp_path) == {f"test/{k}/000.png": f"ground_truth/{k}/000_mask.png" for k in "ab"}


def test_masks_of_the_training_folder_are_no_strays(tmp_path: Path) -> None:
    for name in ("train/normal/1.png", "train/anomaly/2.png", "test/anomaly/3.png", "masks/2.png", "masks/3.png"):
        put(tmp_path / name)
    found = find(tmp_path)
    assert masks_of(tmp_path) == {"test/anomaly/3.png": "masks/3.png"} and found.stray_masks == ()


def test_what_cannot_be_told_apart_is_not_guessed(tmp_path: Path) -> None:
    for name in ("normal/9.png", "a/0.png", "b/0.png", "b/1.png", "masks/0.png", "masks/1.png", "masks/1_mask.png"):
        put(tmp_path / name)
    assert not any(masks_of(tmp_path).values())
    assert [path.name for path in find(tmp_path).stray_masks] == ["0.png", "1.png", "1_mask.png"]


def test_masks_are_as_the_pictures(tmp_path: Path) -> None:
    drawn = np.zeros((40, 80), np.uint8)
    drawn[:20, 40:] = 255
    pictures = [
        Labelled(tmp_path / "0.png", True, "broken", put(tmp_path / "0_mask.png", drawn)),
        Labelled(tmp_path / "1.png", False, "good"),
        Labelled(tmp_path / "2.png", True, "broken"),
    ]
    first, second, third = load_masks(pictures, 16)
    assert first is not None and first.dtype == np.bool_ and first.shape == (16, 16)
    assert first[:8, 8:].all() and first.sum() == 64
    assert second is not None and second.shape == (16, 16) and not second.any()
    assert third is None


def test_a_mask_that_says_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    put(tmp_path / "black.png", np.zeros((8, 8), np.uint8))
    for name, what in (("text", "cannot decode|can decode"), ("empty", "can decode"), ("black", "shows no fault")):
        with pytest.raises(ValueError, match=f"{name}.png.*({what})"):
            load_masks([Labelled(tmp_path / "p.png", True, "bad", tmp_path / f"{name}.png")], 8)
    with pytest.raises(ValueError, match=r"gone\.png.*cannot be read"):
        load_masks([Labelled(tmp_path / "p.png", True, "bad", tmp_path / "gone.png")], 8)
    with pytest.raises(ValueError, match="size 0"):
        load_masks([], 0)


BOX = (slice(2, 4), slice(3, 6))
WHITE, BLACK, GREEN = [255, 255, 255], [0, 0, 0], [54, 164, 35]


@pytest.mark.parametrize(
    ("background", "fault"),
    [
        ([0], [255]),
        ([0], [1]),
        ([20], [200]),
        (BLACK, WHITE),
        (BLACK, GREEN),
        (WHITE, GREEN),
        ([*WHITE, 255], [*GREEN, 255]),
        ([*WHITE, 0], [*GREEN, 255]),
        ([*BLACK, 0], [*BLACK, 255]),
        ([*GREEN, 0], [*WHITE, 255]),
        ([*BLACK, 255], [*WHITE, 255]),
    ],
)
def test_the_ways_in_which_faults_are_drawn(background: list[int], fault: list[int]) -> None:
    drawn = np.zeros((8, 8, len(fault)), np.uint8) + np.array(background, np.uint8)
    drawn[BOX] = fault
    expected = np.zeros((8, 8), np.bool_)
    expected[BOX] = True
    assert np.array_equal(fault_of(drawn), expected)
    assert np.array_equal(fault_of(drawn.astype(np.uint16) * (257 if max(fault) > 1 else 1)), expected)


@pytest.mark.parametrize("size", [32, 64, 100])
def test_a_scratch_thinner_than_a_pixel_stays_whole(size: int) -> None:
    mask = np.zeros((900, 900), np.bool_)
    mask[450, 100:800] = True
    small = shrink(mask, size)
    columns = np.flatnonzero(small.any(0))
    assert len(columns) == columns[-1] - columns[0] + 1 and len(columns) >= size * 700 // 900
    assert small.any(1).sum() == 1


def test_a_large_fault_does_not_grow() -> None:
    rows, columns = np.mgrid[0:900, 0:900]
    disc = (rows - 450) ** 2 + (columns - 450) ** 2 < 200**2
    assert shrink(disc, 64).mean() == pytest.approx(disc.mean(), rel=0.02)


@given(arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40))), st.integers(1, 40))
def test_no_fault_is_lost(mask: np.ndarray, size: int) -> None:
    small = shrink(mask, size)
    assert small.shape == (size, size) and small.any() == mask.any()
    near = cv2.dilate(small.astype(np.uint8), np.ones((3, 3), np.uint8))
    for row, column in np.argwhere(mask):
        assert near[row * size // mask.shape[0], column * size // mask.shape[1]]
