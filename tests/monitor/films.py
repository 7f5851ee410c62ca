"""Small films with their labels."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np


def film(path: Path, frames: int = 60, bright: range = range(40, 50), rows: str | None = None) -> Path:
    """Dark, noisy frames, of which some are bright; `rows` are the labels, by default those of the bright ones."""
    rng = np.random.default_rng(0)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for number in range(frames):
        level = 220 if number in bright else 60
        writer.write((level + rng.integers(-8, 9, (48, 64, 3))).astype(np.uint8))
    writer.release()
    label(path, f"{bright[0]},{bright[-1]},anomaly,lamp" if rows is None else rows)
    return path


def label(path: Path, rows: str) -> None:
    path.with_suffix(".segments.csv").write_text(f"first_frame,last_frame,label,what\n{rows}\n")
