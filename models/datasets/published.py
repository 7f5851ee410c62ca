"""Which published set lies at a path, and in which form."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from models.datasets import archive, cifar10_binary
from models.datasets.cifar10_binary import CLASSES, open_binary
from models.datasets.cifar10_pictures import open_pictures
from models.datasets.mnist import holds_mnist, open_mnist
from models.datasets.source import Source

Published = Literal["mnist", "cifar10"]
BINARY = "cifar-10-batches-bin"
PICKLED = "cifar-10-python"
FORMS = (
    "a folder with MNIST's four IDX files (train-images-idx3-ubyte and its like, plain or .gz), or CIFAR-10 as "
    f"{BINARY} (folder or cifar-10-binary.tar.gz) or as train/<class>/NNNN.jpg and test/<class>/NNNN.jpg (folder or "
    "tar)"
)


def recognise(path: Path) -> Published | None:
    """What protocol would take it for, by the names of files alone; None for any other path.
    True of the pickled CIFAR-10 too, which is refused when it is opened."""
    if path.is_file():
        return "cifar10" if _is_archive(path) else None
    if not path.is_dir():
        return None
    if _mnist_folder(path) is not None:
        return "mnist"
    return "cifar10" if _cifar_folder(path) is not None or _archives(path) or _is_pickled(path) else None


def open_published(path: Path) -> Source:
    """path: the folder of the files, one that holds the archive or cifar-10-batches-bin, or the archive.
    ValueError, with the file's name, where there is nothing of the kind or a file is wrong."""
    if not path.exists():
        raise ValueError(f"{path}: no such file or folder: expected {FORMS}")
    try:
        return _open(path)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error}") from None


def _open(path: Path) -> Source:
    mnist = _mnist_folder(path)
    if mnist is not None:
        return open_mnist(mnist)
    if path.is_file():
        if not path.name.lower().endswith(archive.SUFFIXES):
            raise ValueError(f"{path}: is neither MNIST nor CIFAR-10: expected {FORMS}")
        return _open_archive(path)
    folder = _cifar_folder(path)
    if folder is not None:
        return open_binary(folder) if _has_batches(folder) else open_pictures(folder)
    archives = _archives(path)
    if len(archives) > 1:
        raise ValueError(f"{path}: holds {', '.join(file.name for file in archives)}: name the one to read")
    if archives:
        return _open_archive(archives[0])
    if _is_pickled(path):
        raise ValueError(_pickled(path))
    raise ValueError(f"{path}: is neither MNIST nor CIFAR-10: expected {FORMS}")


def _open_archive(path: Path) -> Source:
    if PICKLED in path.name.lower():
        raise ValueError(_pickled(path))
    for member in archive.members(path):
        name = Path(member.name).name
        if name in cifar10_binary.BATCHES:
            return open_binary(path)
        if name.startswith("data_batch_") or name == "batches.meta":
            raise ValueError(_pickled(path))
        if member.name.lower().endswith((".jpg", ".jpeg", ".png", ".bmp")):
            break
    return open_pictures(path)


def _mnist_folder(path: Path) -> Path | None:
    """The folder itself, or where other programs put the files below it."""
    folders = (path, path / "raw", path / "MNIST" / "raw")
    return next((folder for folder in folders if path.is_dir() and holds_mnist(folder)), None)


def _cifar_folder(path: Path) -> Path | None:
    """The folder itself, or cifar-10-batches-bin below it."""
    for folder in (path, path / BINARY):
        if _has_batches(folder):
            return folder
    classes = {child.name.lower() for part in ("train", "test") for child in (path / part).glob("*") if child.is_dir()}
    return path if classes and classes <= set(CLASSES) else None


def _archives(folder: Path) -> list[Path]:
    """CIFAR-10's archives there; the pickled one only where there is no other."""
    found = sorted(file for file in folder.iterdir() if file.is_file() and _is_archive(file))
    return [file for file in found if PICKLED not in file.name.lower()] or found


def _has_batches(folder: Path) -> bool:
    return any((folder / batch).is_file() for batch in cifar10_binary.BATCHES)


def _is_archive(path: Path) -> bool:
    name = path.name.lower()
    return name.endswith(archive.SUFFIXES) and "cifar" in name


def _is_pickled(path: Path) -> bool:
    return any((folder / "data_batch_1").is_file() for folder in (path, path / "cifar-10-batches-py"))


def _pickled(path: Path) -> str:
    return (
        f"{path}: is the Python version of CIFAR-10, whose files are pickles: reading a pickle runs code from the "
        "file, so it is not read; fetch the binary version, cifar-10-binary.tar.gz, from the same page"
    )
