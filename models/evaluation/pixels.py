"""How well heat maps show where a fault is, given masks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Heats = npt.NDArray[np.float32]
Masks = npt.NDArray[np.bool_]

LEVELS = 4096
"""Thresholds at most. Half of them part the normal pixels into equal shares, half the faulty ones, so the curve is
exact to some 1/2000 of its length, however the heat is spread."""
SAMPLE = 2_000_000
"""Pixels of either kind that the thresholds are taken from."""
FPR_LIMIT = 0.3
"""Beyond it a heat map marks so much that nobody would look: the bound of MVTec's own evaluation."""


@dataclass(frozen=True)
class PixelMeasures:
    """auroc: chance that a faulty pixel is hotter than a normal one. aupro: the mean share of each faulty region that
    is marked, averaged over all thresholds at which at most `fpr_limit` of the normal pixels are (1 is best; a map of
    chance has fpr_limit / 2). pictures, faulty_pictures, regions: how many were measured."""

    auroc: float
    aupro: float
    fpr_limit: float
    pictures: int
    faulty_pictures: int
    regions: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure_pixels(heats: Heats, masks: Masks, *, fpr_limit: float = FPR_LIMIT) -> PixelMeasures:
    """heats [N, H, W], comparable between pictures; masks [N, H, W], True where faulty, all False in normal pictures.

    A region is a connected piece of a mask, touching corners connect (as MVTec's evaluation counts); each weighs the
    same whatever its size. Beside its input it needs memory for one picture at a time and for a sample of the pixels.
    ValueError where the shapes differ, a heat is no number, or no pixel or every pixel is faulty.
    """
    heats, masks = np.asarray(heats), np.asarray(masks)
    if heats.ndim != 3 or heats.shape != masks.shape or masks.dtype != np.bool_:
        raise ValueError(
            f"{heats.dtype} {list(heats.shape)} heat maps for {masks.dtype} {list(masks.shape)} masks: "
            "expected [N, H, W] of both, masks of bool"
        )
    bad = sum(1 for heat in heats if not np.isfinite(heat).all())
    if bad:
        raise ValueError(f"{bad} of {len(heats)} heat maps hold what is no number: the model is broken")
    if not 0 < fpr_limit <= 1:
        raise ValueError(f"fpr_limit is {fpr_limit}: expected a share above 0")
    faulty = int(np.count_nonzero(masks))
    if faulty in (0, masks.size):
        raise ValueError(f"{faulty} of {masks.size} pixels are faulty: both kinds are needed to compare")

    edges = _edges(heats, masks)
    normal, found, overlap = (np.zeros(edges.size + 1) for _ in range(3))
    regions = 0
    for heat, mask in zip(heats, masks, strict=True):
        level = np.searchsorted(edges, heat.ravel(), side="right").reshape(heat.shape)
        normal += np.bincount(level[~mask], minlength=normal.size)
        if mask.any():
            found += np.bincount(level[mask], minlength=normal.size)
            weights, count = _region_weights(mask)
            overlap += np.bincount(level[mask], weights=weights, minlength=normal.size)
            regions += count
    fpr, recall, pro = (_shares_above(counts) for counts in (normal, found, overlap))
    return PixelMeasures(
        auroc=float(np.trapezoid(recall, fpr)),
        aupro=_area(fpr, pro, fpr_limit),
        fpr_limit=fpr_limit,
        pictures=len(heats),
        faulty_pictures=int(masks.any(axis=(1, 2)).sum()),
        regions=regions,
    )


def _edges(heats: Heats, masks: Masks) -> npt.NDArray[np.float32]:
    """Rising thresholds: every value where there are few, else quantiles of both kinds of pixels."""
    parts = []
    faulty = int(np.count_nonzero(masks))
    for wanted, pixels in ((False, masks.size - faulty), (True, faulty)):
        step = max(1, pixels // SAMPLE)
        values = np.sort(np.concatenate([h[m == wanted][::step] for h, m in zip(heats, masks, strict=True)]))
        distinct = np.unique(values)
        if distinct.size > LEVELS // 2:
            distinct = np.unique(values[np.linspace(0, values.size - 1, LEVELS // 2).astype(np.intp)])
        parts.append(distinct)
    return np.unique(np.concatenate(parts))


def _region_weights(mask: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.float64], int]:
    """One over the size of its region, for each faulty pixel in reading order; and how many regions there are."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    own = np.asarray(labels)[mask]
    return 1 / np.bincount(own, minlength=count)[own], count - 1


def _shares_above(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """counts by rising level -> the share at or above each, from the highest down, with 0 before the first."""
    above = np.concatenate([[0.0], np.cumsum(counts[::-1])])
    return np.asarray(above / above[-1], np.float64)


def _area(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], limit: float) -> float:
    """Under y over x from 0 to limit, divided by limit; x rises from 0 to 1, also by steps of nothing."""
    last = int(np.searchsorted(x, limit, side="right"))  # the first point beyond
    inside_x, inside_y = x[:last], y[:last]
    if last < x.size and inside_x[-1] < limit:
        part = (limit - inside_x[-1]) / (x[last] - inside_x[-1])
        inside_x = np.append(inside_x, limit)
        inside_y = np.append(inside_y, inside_y[-1] + part * (y[last] - inside_y[-1]))
    return float(np.trapezoid(inside_y, inside_x) / limit)
