"""MNIST and CIFAR-10 in small: files of the same formats, made here."""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.datasets import archive, open_published, protocol, recognise
from models.datasets.cifar10_binary import CLASSES
from models.preprocess import Preprocess

EACH = 4  # pictures of each class in the training part; two in the test part


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def packed(content: bytes) -> bytes:
    """Without the time of the making: two workers must see the same parameters."""
    return gzip.compress(content, mtime=0)


def mnist(folder: Path, zipped: bool = False) -> Path:
    """Every pixel is ten times the digit."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, each in (("train", EACH), ("t10k", 2)):
        labels = np.tile(np.arange(10, dtype=np.uint8), each)
        pictures = np.ones((len(labels), 28, 28), np.uint8) * (labels * 10)[:, None, None]
        for what, content in (("images-idx3", idx(pictures)), ("labels-idx1", idx(labels))):
            name = f"{part}-{what}-ubyte"
            (folder / (name + ".gz" * zipped)).write_bytes(packed(content) if zipped else content)
    return folder


def rgb(kind: int, part: int, number: int) -> tuple[int, int, int]:
    return kind * 10, part * 100, number * 20


def binary() -> dict[str, bytes]:
    """The six batches; the training part's pictures of a class are spread over the five."""
    rows: dict[str, bytes] = {}
    for batch in range(5):
        rows[f"data_batch_{batch + 1}.bin"] = b"".join(
            bytes([kind]) + b"".join(bytes([v]) * 1024 for v in rgb(kind, 0, batch)) for kind in range(10)
        )
    rows["test_batch.bin"] = b"".join(
        bytes([kind]) + b"".join(bytes([v]) * 1024 for v in rgb(kind, 1, number))
        for number in range(2)
        for kind in reversed(range(10))
    )
    return rows


def pictures() -> dict[str, bytes]:
    """The same as PNG."""
    files = {}
    for part, name, count in ((0, "train", 5), (1, "test", 2)):
        for kind, label in enumerate(CLASSES):
            for number in range(count):
                pixels = np.full((32, 32, 3), rgb(kind, part, number)[::-1], np.uint8)
                files[f"{name}/{label}/{number:04d}.png"] = cv2.imencode(".png", pixels)[1].tobytes()
    return files


def tar(files: dict[str, bytes], prefix: str = "") -> bytes:
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w") as made:
        for name, content in files.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
    return into.getvalue()


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


FORMS: dict[str, Callable[[Path], Path]] = {
    "binary folder": lambda p: write(p / "cifar-10-batches-bin", binary()).parent,
    "binary archive": lambda p: put(p / "cifar-10-binary.tar.gz", packed(tar(binary(), "cifar-10-batches-bin/"))),
    "binary archive, batches in another order": lambda p: put(
        p / "any.tar", tar(dict(sorted(binary().items(), reverse=True)))
    ),
    "pictures in a folder": lambda p: write(p, pictures()),
    "pictures, xz": lambda p: put(p / "cifar10.tar.xz", lzma.compress(tar(pictures(), "./"))).parent,
    "pictures, plain tar": lambda p: put(p / "cifar10.tar", tar(pictures(), "CIFAR-10/")),
}


@pytest.mark.parametrize("packed", [False, True])
def test_mnist(tmp_path: Path, packed: bool) -> None:
    root = mnist(tmp_path, packed)
    assert recognise(root) == "mnist"
    split = protocol(root, "3", seed=0)
    assert (len(split.train), len(split.test), split.channels, split.complete) == (43, 17, 1, False)
    test = split.load_test(Preprocess(32, 1))
    assert test.pictures.shape == (17, 32, 32, 1)
    assert [(p.kind == "3", int(p.kind) * 10) for p in test.kept] == [
        (p.anomalous, int(pixels[7, 9, 0])) for p, pixels in zip(test.kept, test.pictures, strict=True)
    ]
    assert sum(p.anomalous for p in test.kept) == EACH + 2
    assert "from 60 of the 70000 published" in split.describe() and "abnormal 3, seed 0: 43 normal" in split.describe()


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_cifar_gives_the_same(tmp_path: Path, form: str) -> None:
    root = FORMS[form](tmp_path)
    split = protocol(root, "car", seed=3)
    for labelled, loaded in ((split.train, split.load_train), (split.test, split.load_test)):
        read = loaded(Preprocess(32, 3))
        assert read.kept == labelled and read.unreadable == ()
        for picture, pixels in zip(read.kept, read.pictures, strict=True):
            part, kind, number = picture.path.parts
            expected = rgb(CLASSES.index(kind), int(part == "test"), int(number))
            assert (pixels == expected).all(), picture
    reference = protocol(write(tmp_path / "reference", pictures()), "automobile", seed=3)
    assert (split.train, split.test) == (reference.train, reference.test)
    assert recognise(root) == "cifar10" or root.name == "any.tar"


def test_the_split_is_the_papers(tmp_path: Path) -> None:
    root = mnist(tmp_path)
    split, again, other = (protocol(root, "0", seed) for seed in (0, 0, 1))
    names = [{p.path for p in part} for part in (split.train, split.test)]
    assert not names[0] & names[1] and len(names[0] | names[1]) == 60
    assert len(split.train) == int(0.8 * 54) and not any(p.anomalous for p in split.train)
    assert {p.path.parts[0] for p in split.train} == {"train", "test"}
    assert all(p.anomalous == (p.kind == "0") for p in split.test) and sum(p.anomalous for p in split.test) == 6
    assert split.train == again.train and split.test == again.test
    assert {p.path for p in other.train} != names[0]
    assert len({p.kind for p in split.train[:10]}) > 3  # any stretch holds several classes


def test_the_same_split_for_ever(tmp_path: Path) -> None:
    """A seed names a split: figures of different versions can be held against each other."""
    split = protocol(mnist(tmp_path), "0", seed=0)
    assert [p.path.as_posix() for p in split.train[:4]] == [
        "test/9/0001",
        "train/6/0003",
        "train/9/0000",
        "train/5/0002",
    ]


def test_a_subset_says_so(tmp_path: Path) -> None:
    root = mnist(tmp_path)
    split = protocol(root, "5", seed=0, subset=3)
    kinds = [p.kind for p in (*split.train, *split.test)]
    assert {kinds.count(str(digit)) for digit in range(10)} == {3}
    assert (len(split.train), len(split.test), split.complete) == (21, 9, False)
    assert "a subset of 3 pictures of each class" in split.describe()
    assert len(split.load_train(Preprocess(32, 3)).pictures) == 21
    drawn = [{p.path for p in (*s.train, *s.test)} for s in (split, protocol(root, "5", seed=1, subset=3))]
    assert drawn[0] != drawn[1]


def test_what_cannot_be_asked(tmp_path: Path) -> None:
    root = mnist(tmp_path)
    for arguments, message in (
        (("bird", 0), "no class 'bird': expected one of 0, 1"),
        (("1", -1), "seed is -1"),
        (("1", 0, 7), "subset of 7 a class: MNIST has 6 of 0"),
        (("1", 0, 0), "subset of 0"),
    ):
        with pytest.raises(ValueError, match=message):
            protocol(root, *arguments)  # type: ignore[arg-type]


def test_what_is_neither(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    with pytest.raises(ValueError, match="neither MNIST nor CIFAR-10: expected a folder"):
        open_published(tmp_path)
    with pytest.raises(ValueError, match="no such file"):
        open_published(tmp_path / "mnist")
    assert recognise(tmp_path) is None and recognise(tmp_path / "mnist") is None
    text = put(tmp_path / "a.txt", b"text")
    assert recognise(text) is None
    with pytest.raises(ValueError, match=r"a\.txt: is neither"):
        open_published(text)


GOOD = idx(np.zeros((60, 28, 28), np.uint8))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with nothing"),
        (b"\x89PNG....", "begins with 89504e47: an IDX file of bytes in 3 dimensions begins with 00000803"),
        (GOOD[:9], "cut short within its header"),
        (GOOD[:-1], "47040 bytes, but there are only 47039"),
        (GOOD + b"1", "there are more"),
        (GOOD[:4] + b"\xff" * 12 + b"1", "says that it holds 4294967295 x"),
        (GOOD[:4] + b"\0" * 12, "0 x 0 x 0 bytes"),
        (packed(GOOD)[:-20], "cut short"),
        (packed(GOOD)[:-6] + b"012345", "CRC check failed"),
        (packed(b"\0" * 30), "begins with 00000000"),
        (b"\x1f\x8b\x07\x00" + b"\0" * 20, "Unknown compression method"),
        (idx(np.zeros((59, 28, 28), np.uint8)), "labels-idx1-ubyte: holds 40 labels, but train-images.* 59 pictures"),
    ],
)
def test_wrong_idx_files(tmp_path: Path, content: bytes, message: str) -> None:
    put(mnist(tmp_path) / "train-images-idx3-ubyte", content)
    with pytest.raises(ValueError, match=message) as told:
        open_published(tmp_path)
    assert "train-" in str(told.value)


def test_wrong_mnist(tmp_path: Path) -> None:
    put(mnist(tmp_path) / "t10k-labels-idx1-ubyte", idx(np.full(20, 10, np.uint8)))
    with pytest.raises(ValueError, match=r"t10k-labels-idx1-ubyte: holds the label 10"):
        open_published(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(ValueError, match=r"t10k-labels-idx1-ubyte is missing \(plain or \.gz\)"):
        open_published(tmp_path)


def test_pickles_are_refused(tmp_path: Path) -> None:
    pickled = {"cifar-10-batches-py/data_batch_1": b"cos\nsystem\n", "cifar-10-batches-py/batches.meta": b""}
    for root in (
        write(tmp_path / "folder", pickled),
        write(tmp_path / "other", {"data_batch_1": b"cos"}),
        put(tmp_path / "tar" / "cifar-10-python.tar.gz", b"not even read").parent,
        put(tmp_path / "renamed.tar.gz", packed(tar(pickled))),
    ):
        with pytest.raises(ValueError, match=r"runs code from the file.*fetch the binary version"):
            open_published(root)
    put(tmp_path / "tar" / "cifar-10-binary.tar.gz", packed(tar(binary())))
    assert len(open_published(tmp_path / "tar").entries) == 70


def linked(name: str, kind: bytes) -> bytes:
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w") as made:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "/etc/hosts"
        made.addfile(info)
    return into.getvalue()


PLAIN, XZ, GZ = tar(pictures()), lzma.compress(tar(pictures())), packed(tar(pictures()))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read as a tar archive"),
        (b"text" * 300, "cannot be read as a tar archive"),
        (XZ[: len(XZ) // 2], "cut short"),
        (GZ[: len(GZ) // 2], "cut short"),
        (XZ[:500] + b"\0" * 40 + XZ[540:], "cannot be read as a tar archive"),
        (PLAIN[: 512 * 21 + 100], "cannot be read as a tar archive|cut short"),
        (PLAIN[: 1024 * 20], "damaged or cut short at byte 20480"),
        (PLAIN[: 1024 * 20] + b"?" * 512 + PLAIN[1024 * 20 + 512 :], "damaged or cut short at byte 20480"),
        (tar({"train/bird/0.png": b""}, "../"), "leads out of the archive"),
        (tar({"train/bird/0.png": b""}, "/"), "leads out of the archive"),
        (linked("train/bird/0000.png", tarfile.SYMTYPE), "is a link or a device"),
        (linked("train/bird/0000.png", tarfile.LNKTYPE), "is a link or a device"),
        (linked("train/bird/0000.png", tarfile.FIFOTYPE), "is a link or a device"),
        (tar({"train/bird/0.png": b"", "train/bird/00.jpg": b""}), "two pictures of one number"),
        (tar({"train/plum/0.png": b""}), "holds train/plum/0.png: CIFAR-10's classes are airplane"),
        (tar({"README": b""}), "holds no train/<class>/NNNN.jpg"),
        (tar({"data_batch_1.bin": b"\0" * 3073}), "data_batch_2.bin is missing"),
        (tar({"data_batch_1.bin": b"\0" * 3000}), "has 3000 bytes: expected rows of 3073"),
        (tar({"data_batch_1.bin": b"\x0b" * 3073}), "holds the label 11"),
        (tar({"data_batch_1.bin": b"\0" * 3073, "b/data_batch_1.bin": b"\0" * 3073}), "holds data_batch_1.bin twice"),
    ],
)
def test_wrong_archives(tmp_path: Path, content: bytes, message: str) -> None:
    path = put(tmp_path / "cifar10.tar.xz", content)
    with pytest.raises(ValueError, match=message) as told:
        protocol(path, "bird", seed=0)
    assert str(path) in str(told.value)


@given(st.binary(min_size=1, max_size=12), st.integers(0, 600))
def test_damage_ends_in_an_error_with_the_name(
    tmp_path_factory: pytest.TempPathFactory, put_in: bytes, at: int
) -> None:
    """Headers with false lengths, kinds and names: always an end, and nothing but ArchiveError."""
    sound = tar({"train/bird/0000.png": b"1" * 700, "train/cat/0000.png": b"2" * 700})
    path = tmp_path_factory.getbasetemp() / "damaged.tar"
    start = at + 1024 if at > 256 else at  # in the first header or the second
    path.write_bytes(sound[:start] + put_in + sound[start + len(put_in) :])
    try:
        assert all(len(member.content()) == member.size for member in archive.members(path))
    except archive.ArchiveError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize("size", [b"\xff" * 12, b"\xff" * 10 + b"\xfe\x00", b"\x80" + b"\x7f" * 11, b"77777777777\0"])
@pytest.mark.parametrize("kind", [b"0", b"x", b"L", b"g"])
def test_false_lengths(tmp_path: Path, size: bytes, kind: bytes) -> None:
    header = bytearray(tar({"train/bird/0000.png": b"1" * 700})[:512])
    header[124:136], header[156:157], header[148:156] = size, kind, b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path = put(tmp_path / "cifar10.tar", bytes(header) + b"1" * 1024 + bytes(1024))
    with pytest.raises(archive.ArchiveError, match=r"cifar10\.tar: "):
        [member.name for member in archive.members(path)]


def test_archives_have_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path / "cifar10.tar.xz", XZ)
    with monkeypatch.context() as patched:
        patched.setattr(archive, "MOST_FILES", 69)
        with pytest.raises(ValueError, match=r"cifar10\.tar\.xz: holds more than 69 files"):
            open_published(path)
    monkeypatch.setattr(archive, "MOST_BYTES", len(PLAIN) - 1)
    with pytest.raises(ValueError, match="unpacks to more than"):
        open_published(path)


def test_pictures_that_do_not_decode_are_listed(tmp_path: Path) -> None:
    files = pictures() | {"test/bird/0000.png": b"no picture", "test/bird/0001.png": b"\0" * 70_000}
    for root in (write(tmp_path / "folder", files), put(tmp_path / "cifar10.tar", tar(files))):
        loaded = protocol(root, "bird", seed=0).load_test(Preprocess(32, 3))
        assert [(path.as_posix(), reason[:9]) for path, reason in loaded.unreadable] == [
            ("test/bird/0000", "not a pic"),
            ("test/bird/0001", "has 70000"),
        ]
        assert len(loaded.pictures) == len(loaded.kept) == 13 + 5
        kinds = [CLASSES.index(p.kind) * 10 for p in loaded.kept]
        assert loaded.pictures[:, 0, 0, 0].tolist() == kinds


def test_what_is_gone_is_told(tmp_path: Path) -> None:
    root = write(tmp_path / "set", pictures())
    split = protocol(root, "bird", seed=0)
    (root / "test/bird/0001.png").unlink()
    assert split.load_test(Preprocess(32, 3)).unreadable == ((Path("test/bird/0001"), "is no longer there"),)
    path = put(tmp_path / "cifar10.tar", PLAIN)
    split = protocol(path, "bird", seed=0)
    path.unlink()
    with pytest.raises(ValueError, match=r"cifar10\.tar.*cannot be read"):
        split.load_test(Preprocess(32, 3))


def test_several_archives_are_not_guessed_between(tmp_path: Path) -> None:
    for name in ("cifar10_a.tar", "cifar10_b.tar"):
        put(tmp_path / name, PLAIN)
    assert recognise(tmp_path) == "cifar10"
    with pytest.raises(ValueError, match=r"holds cifar10_a\.tar, cifar10_b\.tar: name the one"):
        open_published(tmp_path)
