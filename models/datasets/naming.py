"""What the names of folders and files say: normal or not, picture or mask, and in which order."""

from __future__ import annotations

import re
from pathlib import Path

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
NORMAL_NAMES = frozenset({"good", "normal", "ok", "benign", "negative"})
ABNORMAL_NAMES = frozenset(
    {"abnormal", "anomaly", "anomalies", "anomalous", "bad", "broken", "defect", "defective", "defects"}
    | {"fault", "faulty", "ng", "nok", "not_good", "not_ok", "positive"}
)
MASK_NAMES = frozenset(
    {"ground_truth", "groundtruth", "gt", "mask", "masks", "mask_images", "anomaly_mask", "anomaly_masks"}
)


def is_normal(name: str, normal: str | None = None) -> bool:
    """Whether a folder of this name holds normal pictures; normal: the one name that does, where a person says so.

    Otherwise NORMAL_NAMES, and what begins with "no_" ("no_bone"), but not the lack of something
    good ("no_good"). Case does not matter, nor whether words are joined by "_", "-" or a space.
    """
    folded = fold(name)
    if normal is not None:
        return folded == fold(normal)
    return folded in NORMAL_NAMES or (folded.startswith("no_") and folded[3:] not in NORMAL_NAMES)


def is_abnormal(name: str) -> bool:
    """Whether a folder of this name surely holds anomalous pictures. Other names of faults are told by
    what stands beside them."""
    folded = fold(name)
    return folded in ABNORMAL_NAMES or (folded.startswith("no_") and folded[3:] in NORMAL_NAMES)


def is_masks(name: str) -> bool:
    """Whether a folder of this name holds masks."""
    return fold(name) in MASK_NAMES


def is_picture(name: str) -> bool:
    """Whether a file of this name is one; hidden files are not."""
    return Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")


def without_mask(stem: str) -> str:
    """The stem of the picture that a mask of this stem belongs to: "000_mask" -> "000"."""
    return re.sub(r"[_-]mask$", "", stem, flags=re.IGNORECASE)


def natural(path: Path) -> list[tuple[int, int, str]]:
    """A key to sort by: digits compare as numbers, 2 before 10."""
    parts = re.split(r"([0-9]+)", str(path))
    return [(0, int(p), "") if p.isdecimal() and p.isascii() else (1, 0, p.lower()) for p in parts]


def fold(name: str) -> str:
    """Lower case, words joined by "_"."""
    return re.sub(r"[\s_-]+", "_", name.strip().lower())
