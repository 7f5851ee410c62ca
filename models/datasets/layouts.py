"""Pictures in folders: what is normal, what is not, what is for training and what for the test."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from models.datasets import division
from models.datasets.labelled import Dataset, Labelled
from models.datasets.masks import MaskFile, match
from models.datasets.naming import (
    NORMAL_NAMES,
    SUFFIXES,
    fold,
    is_abnormal,
    is_masks,
    is_normal,
    is_picture,
    natural,
    without_mask,
)

TRAIN, TEST = "train", "test"


@dataclass
class _Found:
    """Everything below a root: pictures in natural order, masks, and the names of all folders."""

    pictures: list[Path] = field(default_factory=list)
    masks: list[MaskFile] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)


def find(root: Path, normal: str | None = None, seed: int = 0) -> Dataset:
    """The pictures below a folder, in natural order (2 before 10), with their masks.

    Three layouts: with a split, a folder train and a folder test or one of them (MVTec's, train/good
    and test/<kind>; anomalous folders below train are left out); one folder a class (normal, good,
    ... beside others), which is split here, see division.for_test; and a folder of pictures, all taken
    for normal. normal: the name of the folders that hold normal pictures, where it is none that
    naming.is_normal knows. seed: of the split made here.
    ValueError where root is no folder or holds no picture, where no folder has the name given as normal,
    and where a folder that is taken for all normal holds folders whose names say otherwise.
    """
    if not root.is_dir():
        raise ValueError(f"{root}: is no folder: expected one with pictures")
    if normal is not None and not fold(normal):
        raise ValueError("normal is empty: expected the name of the folder with the normal pictures")
    found = _walk(root)
    if not found.pictures:
        raise ValueError(f"{root}: holds no picture ({', '.join(sorted(SUFFIXES))})")
    top = {fold(path.relative_to(root).parts[0]) for path in found.pictures if path.parent != root}
    if top & {TRAIN, TEST}:
        dataset = _given(root, found.pictures, normal)
    elif any(is_normal(name, normal) for name in top):
        dataset = _made(root, found.pictures, normal, seed)
    else:
        _refuse_what_is_not_all_normal(root, found, normal)
        train = tuple(Labelled(path, False, path.parent.name) for path in found.pictures)
        dataset = Dataset(train, (), "none", "every picture counts as normal, none is for the test")
    return _finished(root, dataset, found)


def _given(root: Path, pictures: Iterable[Path], normal: str | None) -> Dataset:
    parts: dict[str, list[Path]] = {TRAIN: [], TEST: []}
    elsewhere: list[Path] = []
    for path in pictures:
        part = fold(path.relative_to(root).parts[0])
        (parts[part] if path.parent != root and part in parts else elsewhere).append(path)
    train, loose = _by_class(parts[TRAIN], root, 1, normal)
    test, unlabelled = _by_class(parts[TEST], root, 1, normal)
    if not train and normal is None:  # train/*.png: all that a training folder without classes can mean
        train, loose = [Labelled(path, False, TRAIN) for path in loose], []
    _refuse_unknown_normal(root, [*train, *test], normal)
    return Dataset(
        tuple(train), tuple(test), "given", "folders train and test", left_out=(*loose, *unlabelled, *elsewhere)
    )


def _made(root: Path, pictures: Iterable[Path], normal: str | None, seed: int) -> Dataset:
    labelled, loose = _by_class(pictures, root, 0, normal)
    normals = [picture for picture in labelled if not picture.anomalous]
    chosen = division.for_test(len(normals), seed)
    tested = {picture.path for picture, test in zip(normals, chosen, strict=True) if test}
    return Dataset(
        tuple(picture for picture in normals if picture.path not in tested),
        tuple(picture for picture in labelled if picture.anomalous or picture.path in tested),
        "made",
        division.rule(len(normals), len(tested), seed),
        left_out=tuple(loose),
    )


def _by_class(
    pictures: Iterable[Path], root: Path, depth: int, normal: str | None
) -> tuple[list[Labelled], list[Path]]:
    """(pictures named by their folder at this depth below root, those that lie in no such folder)."""
    labelled, loose = [], []
    for path in pictures:
        folders = path.relative_to(root).parts[:-1]
        if len(folders) > depth:
            labelled.append(Labelled(path, not is_normal(folders[depth], normal), folders[depth]))
        else:
            loose.append(path)
    return labelled, loose


def _finished(root: Path, dataset: Dataset, found: _Found) -> Dataset:
    """With masks and digest, and without the training folder's anomalous pictures."""
    anomalous = [p.path for p in (*dataset.train, *dataset.test) if p.anomalous]
    masks, strays = match(anomalous, found.masks)
    train = tuple(picture for picture in dataset.train if not picture.anomalous)
    names = "\n".join(picture.path.relative_to(root).as_posix() for picture in train)
    return replace(
        dataset,
        train=train,
        test=tuple(replace(picture, mask=masks.get(picture.path)) for picture in dataset.test),
        digest=sha256(names.encode(errors="surrogateescape")).hexdigest()[:16],
        stray_masks=strays,
    )


def _refuse_unknown_normal(root: Path, pictures: Iterable[Labelled], normal: str | None) -> None:
    kinds = {picture.kind: picture.anomalous for picture in pictures}
    if normal is not None and all(kinds.values()):
        raise ValueError(f"{root}: holds no folder {normal} with pictures: found {', '.join(sorted(kinds)) or 'none'}")


def _refuse_what_is_not_all_normal(root: Path, found: _Found, normal: str | None) -> None:
    folders = sorted({path.relative_to(root).as_posix() for path in found.folders})
    if normal is not None:
        raise ValueError(f"{root}: holds no folder {normal} with pictures: found {', '.join(folders[:8]) or 'none'}")
    for name in folders:
        last = name.rsplit("/", 1)[-1]
        if fold(last) == TEST or is_abnormal(last):
            raise ValueError(
                f"{root}: holds a folder {name}, so not all of its pictures are normal, but none of its own folders "
                f"is called {', '.join(sorted(NORMAL_NAMES))} or no_...: give the folder of one product, or say "
                "which folder is the normal one"
            )


def _walk(root: Path) -> _Found:
    """A folder that cannot be listed is told, not passed over."""
    found = _Found()
    for directory, folders, names in os.walk(root, onerror=_tell):
        folder = Path(directory)
        inner = folder.relative_to(root).parts
        at = next((i for i, name in enumerate(inner) if is_masks(name)), None)
        pictures = [name for name in names if is_picture(name)]
        if at is not None:
            anchor = root.joinpath(*inner[:at])
            found.masks += [MaskFile(folder / name, anchor, inner[at + 1 :]) for name in pictures]
            continue
        found.folders += [folder / name for name in folders if not is_masks(name)]
        stems = {Path(name).stem for name in pictures}
        for name in pictures:
            stem = Path(name).stem
            if without_mask(stem) != stem and without_mask(stem) in stems:  # a mask beside its picture
                found.masks.append(MaskFile(folder / name, folder, ()))
            else:
                found.pictures.append(folder / name)
    found.pictures.sort(key=natural)
    found.masks.sort(key=lambda mask: natural(mask.path))
    return found


def _tell(error: OSError) -> None:
    raise ValueError(f"{error.filename}: the folder cannot be listed: {error.strerror}")
