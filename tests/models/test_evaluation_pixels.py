from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import roc_auc_score

from models.evaluation import pixels
from models.evaluation.pixels import Heats, Masks, measure_pixels


def _regions(masks: Masks) -> list[Masks]:
    """Connected pieces, corners connecting, found by flooding: each as [N, H, W] that is True there only."""
    left, found = masks.copy(), []
    while left.any():
        region = np.zeros_like(masks)
        front = [tuple(np.argwhere(left)[0])]
        while front:
            n, y, x = front.pop()
            if 0 <= y < masks.shape[1] and 0 <= x < masks.shape[2] and left[n, y, x]:
                left[n, y, x], region[n, y, x] = False, True
                front += [(n, y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        found.append(region)
    return found


def _aupro(heats: Heats, masks: Masks, limit: float) -> float:
    """As defined: every value a threshold, straight lines between, up to the limit."""
    regions = _regions(masks)
    points = [(0.0, 0.0)]
    for threshold in np.unique(heats)[::-1]:
        marked = heats >= threshold
        overlap = np.mean([marked[region].mean() for region in regions])
        points.append((float(marked[~masks].mean()), float(overlap)))
    area = 0.0
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if x0 >= limit:
            break
        part = min(1.0, (limit - x0) / (x1 - x0)) if x1 > x0 else 1.0
        area += part * (x1 - x0) * (y0 + y0 + part * (y1 - y0)) / 2
    return area / limit


@settings(max_examples=60)
@given(
    hnp.arrays(np.float32, (3, 6, 5), elements=st.integers(0, 15).map(float)),
    hnp.arrays(np.bool_, (3, 6, 5), elements=st.sampled_from([True, False, False, False])),
    st.sampled_from([0.05, 0.3, 1.0]),
)
def test_agrees_with_brute_force(heats: Heats, masks: Masks, limit: float) -> None:
    masks[0, 0, 0], masks[1, 0, 0] = True, False  # both kinds
    made = measure_pixels(heats, masks, fpr_limit=limit)
    assert made.aupro == pytest.approx(_aupro(heats, masks, limit))
    assert made.auroc == pytest.approx(roc_auc_score(masks.ravel(), heats.ravel()))
    assert made.regions == len(_regions(masks))
    assert made.faulty_pictures == masks.any(axis=(1, 2)).sum() and made.pictures == 3


def _noisy(seed: int = 0) -> tuple[Heats, Masks]:
    """Heat with a long tail, and large and small regions."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((12, 64, 64), np.bool_)
    for mask in masks[4:]:
        y, x = rng.integers(0, 40, 2)
        mask[y : y + 20, x : x + 15] = True
        mask[60:63, 60:63] = True
    heats = rng.lognormal(0, 1.5, masks.shape) * np.where(masks, 4, 1)
    return heats.astype(np.float32), masks


def test_few_thresholds_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    heats, masks = _noisy()
    made = measure_pixels(heats, masks)
    # A hundredth of the pixels and an eighth of the thresholds change it by a few thousandths at most.
    monkeypatch.setattr(pixels, "SAMPLE", 500)
    monkeypatch.setattr(pixels, "LEVELS", 512)
    coarse = measure_pixels(heats, masks)
    assert made.auroc == pytest.approx(roc_auc_score(masks.ravel(), heats.ravel()), abs=2e-4)
    assert coarse.auroc == pytest.approx(made.auroc, abs=2e-3)
    assert coarse.aupro == pytest.approx(made.aupro, abs=4e-3)


def test_only_the_order_of_heat_counts() -> None:
    heats, masks = _noisy(1)
    made, bent = measure_pixels(heats, masks), measure_pixels(np.log(heats), masks)
    assert bent.aupro == pytest.approx(made.aupro, abs=1e-6) and bent.auroc == pytest.approx(made.auroc, abs=1e-6)


def test_chance_and_perfection() -> None:
    _, masks = _noisy(2)
    perfect = measure_pixels(masks.astype(np.float32), masks)
    assert (perfect.auroc, perfect.aupro) == (1.0, 1.0)
    blind = measure_pixels(np.ones(masks.shape, np.float32), masks)
    assert blind.auroc == 0.5 and blind.aupro == pytest.approx(0.15)  # half of the limit


def test_a_small_region_weighs_like_a_large_one() -> None:
    masks = np.zeros((1, 32, 32), np.bool_)
    masks[0, 2:22, 2:22] = masks[0, 28:30, 28:30] = True
    large, small = (np.zeros((1, 32, 32), np.float32) for _ in range(2))
    large[0, 2:22, 2:22] = small[0, 28:30, 28:30] = 1
    assert measure_pixels(large, masks).aupro == pytest.approx(measure_pixels(small, masks).aupro)
    assert measure_pixels(large, masks).auroc > measure_pixels(small, masks).auroc + 0.4
    blurred = cv2.GaussianBlur(small[0], (0, 0), 1.0)[None]
    assert measure_pixels(blurred, masks).aupro > 0.5


def test_refuses_what_cannot_be_measured() -> None:
    heats, masks = np.zeros((2, 4, 4), np.float32), np.zeros((2, 4, 4), np.bool_)
    with pytest.raises(ValueError, match="0 of 32 pixels are faulty"):
        measure_pixels(heats, masks)
    with pytest.raises(ValueError, match="32 of 32"):
        measure_pixels(heats, ~masks)
    with pytest.raises(ValueError, match=r"\[2, 4, 4\] heat maps for bool \[1, 4, 4\]"):
        measure_pixels(heats, masks[:1])
    with pytest.raises(ValueError, match="masks of bool"):
        measure_pixels(heats, masks.astype(np.uint8))
    masks[0, 0] = True
    heats[1, 1, 1] = np.inf
    with pytest.raises(ValueError, match="1 of 2 heat maps hold what is no number"):
        measure_pixels(heats, masks)
    with pytest.raises(ValueError, match="fpr_limit is 0"):
        measure_pixels(np.zeros_like(heats), masks, fpr_limit=0)
