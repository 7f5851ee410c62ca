"""What a model is trained on and measured by, whatever form it lies in."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models import datasets
from models.datasets import Dataset, Labelled, Loaded, Split
from models.preprocess import Preprocess

PUBLISHED_SIZE = 32
"""Side of the picture in the paper's protocol on MNIST and CIFAR-10, whose pictures have no more pixels to show."""
LONGEST_NAME = 120  # bytes, so that a scorer, a variant and a seed still fit behind it


@dataclass(frozen=True)
class Exam:
    """name: short, fit for a file name, as file_name makes it. rule: how training and test were told apart, for people.
    train, test: read and preprocess. digest: the same for the same training pictures, "" where that is not known.
    protocol, abnormal: of a published set, what of it is used ("MNIST, a subset of 500 pictures of each class") and
    the class; else "". complete: False where only a part of a published set is used. size, channels: what the pictures
    have, None where that is the model's choice. notes: what is odd about it."""

    name: str
    rule: str
    train: Callable[[Preprocess], Loaded]
    test: Callable[[Preprocess], Loaded]
    digest: str = ""
    protocol: str = ""
    abnormal: str = ""
    complete: bool = True
    size: int | None = None
    channels: int | None = None
    notes: tuple[str, ...] = ()


def of_folder(root: Path, normal: str | None = None, seed: int = 0) -> Exam:
    """A folder of pictures; normal and seed as datasets.find. ValueError where it has nothing to test with."""
    found = datasets.find(root, normal, seed)
    if not found.test:
        raise ValueError(
            f"{root}: holds no labelled pictures; expected test/good beside test/<fault>, or a folder good or "
            "normal beside others (--normal NAME if it is called otherwise)"
        )
    _both_kinds(str(root), found.test)
    # Another division is another exam: its results are not to replace these.
    divided = f"-split{seed}" if found.split == "made" and seed else ""
    return Exam(
        name=file_name(root.resolve().name) + divided,
        rule=found.rule or "training and test as the folders have them",
        train=lambda preprocess: datasets.load(found.train, preprocess),
        test=lambda preprocess: datasets.load(found.test, preprocess),
        digest=found.digest,
        notes=tuple(_notes(found)),
    )


def of_split(split: Split) -> Exam:
    """One class of MNIST or CIFAR-10 against the others."""
    subset = "" if split.subset is None else f"-subset{split.subset}"
    told = split.describe()
    return Exam(
        name=file_name(f"{split.source.title.lower()}-{split.abnormal}{subset}"),
        rule=told,
        train=split.load_train,
        test=split.load_test,
        protocol=told.partition(", abnormal ")[0],
        abnormal=split.abnormal,
        complete=split.complete,
        size=PUBLISHED_SIZE,
        channels=split.channels,
    )


def load_test(exam: Exam, preprocess: Preprocess) -> Loaded:
    """The test's pictures, with all that would otherwise be refused after the training: ValueError where one of the two
    kinds is absent, or a mask cannot be used."""
    loaded = exam.test(preprocess)
    _both_kinds(exam.name, loaded.kept)
    masks_of(loaded.kept, preprocess.size)
    return loaded


def unreadable(loaded: Loaded, part: str) -> list[str]:
    """A note where some pictures could not be read. part: what they were for ("training")."""
    if not loaded.unreadable:
        return []
    path, reason = loaded.unreadable[0]
    return [f"{len(loaded.unreadable)} pictures for {part} cannot be read, such as {path.name} ({reason})"]


def masks_of(kept: Sequence[Labelled], size: int) -> npt.NDArray[np.bool_] | None:
    """bool [N, size, size], or None where an anomalous picture has no mask: half of them would measure something
    else."""
    if any(picture.anomalous and picture.mask is None for picture in kept):
        return None
    return np.stack([mask for mask in datasets.load_masks(kept, size) if mask is not None])


def file_name(text: str) -> str:
    """The text as a part of a file's name: letters, digits, "_", "-" and "."."""
    fit = re.sub(r"[^\w.-]+", "_", text).strip("._-")
    return fit.encode()[:LONGEST_NAME].decode(errors="ignore") or "unnamed"


def _both_kinds(name: str, pictures: Sequence[Labelled]) -> None:
    anomalous = sum(picture.anomalous for picture in pictures)
    if anomalous in (0, len(pictures)):
        missing = "normal" if anomalous else "anomalous"
        raise ValueError(
            f"{name}: none of the {len(pictures)} pictures of the test is {missing}: both kinds are needed to compare"
        )


def _notes(found: Dataset) -> list[str]:
    notes = []
    same = datasets.overlap(found)
    if same:
        notes.append(f"{len(same)} test pictures are also among the training pictures, such as {same[0][0].name}")
    if found.left_out:
        notes.append(f"{len(found.left_out)} pictures left out, which no folder puts into training or test")
    if found.stray_masks:
        notes.append(f"{len(found.stray_masks)} masks fit no picture, such as {found.stray_masks[0].name}")
    masked = [picture.mask is not None for picture in found.test if picture.anomalous]
    if any(masked) and not all(masked):
        notes.append(f"no pixel figures: {len(masked) - sum(masked)} of {len(masked)} anomalous pictures have no mask")
    return notes
