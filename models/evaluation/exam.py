"""What a model is trained on and measured by, whatever form it lies in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models import datasets
from models.datasets import Labelled, Loaded, Split
from models.preprocess import Picture, Preprocess


@dataclass(frozen=True)
class Exam:
    """name: short, fit for a file name. rule: how training and test were told apart, for people. digest: the same for
    the same training pictures, "" where that is not known. channels: what the pictures have, None where colour or grey
    is the model's choice. complete: False where only a part of a published set is used. notes: what is odd about it.
    train, test: read and preprocess."""

    name: str
    rule: str
    train: Callable[[Preprocess], Loaded]
    test: Callable[[Preprocess], Loaded]
    digest: str = ""
    channels: int | None = None
    complete: bool = True
    notes: tuple[str, ...] = field(default_factory=tuple)


def of_folder(root: Path, normal: str | None = None, seed: int = 0) -> Exam:
    """A folder of pictures; normal and seed as datasets.find. ValueError where it has nothing to test with."""
    found = datasets.find(root, normal, seed)
    if not found.test:
        raise ValueError(
            f"{root}: holds no labelled pictures; expected test/good beside test/<fault>, or a folder good or "
            "normal beside others (--normal NAME if it is called otherwise)"
        )
    notes = []
    same = datasets.overlap(found)
    if same:
        notes.append(f"{len(same)} test pictures are also among the training pictures, such as {same[0][0].name}")
    if found.left_out:
        notes.append(f"{len(found.left_out)} pictures left out, which no folder puts into training or test")
    if found.stray_masks:
        notes.append(f"{len(found.stray_masks)} masks fit no picture")
    return Exam(
        name=root.resolve().name,
        rule=found.rule or "training and test as the folders have them",
        train=lambda preprocess: datasets.load(found.train, preprocess),
        test=lambda preprocess: datasets.load(found.test, preprocess),
        digest=found.digest,
        notes=tuple(notes),
    )


def of_split(split: Split) -> Exam:
    """One class of MNIST or CIFAR-10 against the others."""
    subset = "" if split.subset is None else f"-subset{split.subset}"
    return Exam(
        name=f"{split.source.title.lower()}-{split.abnormal}{subset}",
        rule=split.describe(),
        train=split.load_train,
        test=split.load_test,
        channels=split.channels,
        complete=split.complete,
    )


def masks_of(kept: Sequence[Labelled], size: int) -> npt.NDArray[np.bool_] | None:
    """bool [N, size, size], or None where an anomalous picture has no mask: half of them would measure something
    else."""
    if not any(picture.mask for picture in kept):
        return None
    masks = datasets.load_masks(kept, size)
    if any(mask is None for mask in masks):
        return None
    return np.stack([mask for mask in masks if mask is not None])


def as_loaded(pictures: Picture, kinds: Sequence[str], normal: str, name: str) -> Loaded:
    """Pictures that came from no file, such as a film's frames, labelled by kind."""
    kept = tuple(Labelled(Path(f"{name} {i}"), kind != normal, kind) for i, kind in enumerate(kinds))
    return Loaded(pictures, kept, ())
