"""What the rooms of this package hand to each other: pictures, with what they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from models.preprocess import Picture

Division = Literal["given", "made", "none"]


@dataclass(frozen=True)
class Labelled:
    """kind: the name of the folder that the picture lies in ("good", "broken_large"), or its class ("bird").
    mask: the file that shows where the fault is, for an anomalous picture that has one."""

    path: Path
    anomalous: bool
    kind: str
    mask: Path | None = None


@dataclass(frozen=True)
class Dataset:
    """train: normal pictures. test: labelled ones, empty where the folder has none.

    split: "given" by folders train and test; "made" here, by the rule that `rule` tells; "none" where
    all pictures count as normal and there is no test.
    digest: of the training pictures' names below the root. The same digest, the same pictures to train
    on: a model trained under another one may have seen what is now test.
    left_out: pictures that lie where no folder says what they are, or beside train and test (a folder
    validation); neither trained on nor tested.
    stray_masks: masks that fit no picture, or more than one.
    """

    train: tuple[Labelled, ...]
    test: tuple[Labelled, ...]
    split: Division = "given"
    rule: str = ""
    digest: str = ""
    left_out: tuple[Path, ...] = ()
    stray_masks: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Loaded:
    """pictures: uint8 [N, S, S, C]. kept: what they are, N of them, in the order given.
    unreadable: (path, reason) of the rest."""

    pictures: Picture
    kept: tuple[Labelled, ...]
    unreadable: tuple[tuple[Path, str], ...]
