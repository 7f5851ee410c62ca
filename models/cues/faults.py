"""Faults painted on normal pictures: no real ones, but enough to see which cue notices anything at all.

Five kinds, chosen at random: a piece of the picture where it does not belong, a piece painted over in the colour around
it (something is missing), a stain, a scratch, and a piece of the picture mirrored. Sizes from about 2 to 25 % of the
picture's side, hard and soft edges, all over the picture.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Floats = npt.NDArray[np.float32]
KINDS = 5


def faulty(x: Tensor, seed: int) -> Tensor:
    """[B, C, S, S] in [-1, 1] -> the same with one fault in each. The same seed, the same faults."""
    rng = np.random.default_rng(seed)
    pictures = x.permute(0, 2, 3, 1).cpu().numpy()
    made = np.stack([_one(picture, rng) for picture in pictures])
    return torch.from_numpy(made).permute(0, 3, 1, 2).to(x)


def _one(picture: Floats, rng: np.random.Generator) -> Floats:
    side = picture.shape[0]
    kind = int(rng.integers(KINDS))
    mask, top, left, height, width = _patch(side, rng)
    if kind == 0:
        paint = np.roll(picture, rng.integers(side // 8, side - side // 8, 2), (0, 1))
    elif kind == 1:
        edge = max(2, side // 32)
        around = picture[max(0, top - edge) : top + height + edge, max(0, left - edge) : left + width + edge]
        paint = np.broadcast_to(np.median(around, axis=(0, 1)), picture.shape)
    elif kind == 2:
        paint = 0.5 * picture + 0.5 * rng.uniform(-1, 1, picture.shape[2])
    elif kind == 3:
        mask = _scratch(side, rng)
        paint = picture + rng.choice([-1, 1]) * rng.uniform(0.3, 1.0)
    else:
        paint = picture[::-1] if rng.random() < 0.5 else picture[:, ::-1]
    mask = mask[..., None]
    return np.clip(picture * (1 - mask) + paint * mask, -1, 1).astype(np.float32)


def _patch(side: int, rng: np.random.Generator) -> tuple[Floats, int, int, int, int]:
    """A rectangle or an ellipse: [S, S] in [0, 1], and its box (top, left, height, width)."""
    area = rng.uniform(0.002, 0.06) * side * side
    aspect = math.exp(rng.uniform(-1, 1))
    height = int(np.clip(math.sqrt(area / aspect), 3, side // 2))
    width = int(np.clip(math.sqrt(area * aspect), 3, side // 2))
    top, left = int(rng.integers(0, side - height)), int(rng.integers(0, side - width))
    mask = np.zeros((side, side), np.float32)
    if rng.random() < 0.5:
        mask[top : top + height, left : left + width] = 1
    else:
        centre, axes = (left + width // 2, top + height // 2), (max(1, width // 2), max(1, height // 2))
        cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), 1.0), np.float32), top, left, height, width


def _scratch(side: int, rng: np.random.Generator) -> Floats:
    """A bent line, one or two pixels wide."""
    length, heading = rng.uniform(0.1, 0.4) * side, rng.uniform(0, 2 * math.pi)
    points = [rng.uniform(0, side, 2)]
    for _ in range(4):
        heading += rng.normal(0, 0.3)
        points.append(points[-1] + length / 4 * np.array([math.cos(heading), math.sin(heading)]))
    mask = np.zeros((side, side), np.float32)
    cv2.polylines(mask, [np.array(points).astype(np.int32)], False, 1.0, int(rng.integers(1, 3)))
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.7), np.float32)
