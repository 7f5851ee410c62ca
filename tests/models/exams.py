"""Small exams that the tests of evaluations share."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from models.preprocess import Picture
from tests.models.conftest import Scene


def write(folder: Path, pictures: Picture) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{i}.png"), picture[..., ::-1])


def product(root: Path, scene: Scene, masks: bool = False) -> Path:
    """MVTec's layout: 20 to train, 6 good and 5 with a fault to test; masks of the quarter that is missing."""
    write(root / "train" / "good", scene(20))
    write(root / "test" / "good", scene(6, 1))
    write(root / "test" / "gap", scene(5, 2, fault=True))
    if masks:
        mask = np.zeros((5, 32, 32, 3), np.uint8)
        mask[:, 8:16, 16:24] = 255
        write(root / "ground_truth" / "gap", mask)
    return root
