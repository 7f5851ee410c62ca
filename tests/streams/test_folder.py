"""Folders, patterns and half-written files on a real disk."""

from __future__ import annotations

import os
import shutil
import time
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from streams.folder import FolderFiles, find_files
from streams.simulator import Line, write_film
from streams.watch import FolderAway
from streams.wholeness import looks_whole

TREE = ["a.jpg", "b.PNG", "c.mp4", ".hidden.jpg", "notes.txt", "x/d.jpg", "x/y/e.jpg", ".git/f.jpg"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in TREE:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "nowhere.jpg").symlink_to(tmp_path / "missing")
    (tmp_path / "x" / "again").symlink_to(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", ["a.jpg", "b.PNG", "c.mp4"]),
        ("*.jpg", ["a.jpg"]),
        ("[bc].*", ["b.PNG", "c.mp4"]),
        ("*/*.jpg", ["x/d.jpg"]),
        ("x/*", ["x/d.jpg"]),
        ("a.jpg", ["a.jpg"]),
        ("missing.jpg", []),
        ("*.mkv", []),
    ],
)
def test_a_path_means_the_same_played_and_watched(tree: Path, path: str, expected: list[str]) -> None:
    full = [str(tree / name) for name in expected]
    assert [str(file) for file in find_files(str(tree / path))] == full
    found = FolderFiles(str(tree / path)).names()
    assert sorted(found) == full
    assert all(os.stat(name).st_ino == inode for name, inode in found.items())


def test_a_path_that_the_file_system_refuses_is_an_os_error_and_an_unknown_user_nobody() -> None:
    with pytest.raises(OSError, match="too long"):
        find_files("x" * 300 + ".jpg")
    assert find_files("~nosuchuser/pictures") == []


def test_two_stars_reach_every_folder_below_but_follow_no_links(tree: Path) -> None:
    found = FolderFiles(str(tree / "**" / "*.jpg")).names()
    assert sorted(found) == [str(tree / name) for name in ("a.jpg", "x/d.jpg", "x/y/e.jpg")]
    assert sorted(FolderFiles(str(tree / "x" / "**")).names()) == [str(tree / n) for n in ("x/d.jpg", "x/y/e.jpg")]


def test_a_name_with_brackets_that_is_there_is_no_pattern(tmp_path: Path) -> None:
    for folder in ("line[1]", "line1"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a[2].jpg").write_bytes(b"x")
    for path in (tmp_path / "line[1]", tmp_path / "line[1]" / "a[2].jpg"):
        assert list(FolderFiles(str(path)).names()) == [str(tmp_path / "line[1]" / "a[2].jpg")]
        assert [str(file) for file in find_files(str(path))] == [str(tmp_path / "line[1]" / "a[2].jpg")]


def test_a_folder_that_is_not_there_is_told_and_may_come_later(tmp_path: Path) -> None:
    for path in ("later", "later/*.jpg", "later/**/*.jpg", "later/one.jpg"):
        with pytest.raises(FolderAway, match="later cannot be read"):
            FolderFiles(str(tmp_path / path)).names()
    files = FolderFiles(str(tmp_path / "later"))
    with pytest.raises(FolderAway):
        files.names()
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "a.jpg").write_bytes(b"xyz")
    (name,) = files.names()
    version = files.version(name)
    assert version is not None and version.size == 3 and version.mtime_ns == os.stat(name).st_mtime_ns
    shutil.rmtree(tmp_path / "later")
    assert files.version(name) is None and not files.whole(name)
    with pytest.raises(FolderAway):
        files.names()


def test_an_empty_folder_on_another_disk_is_a_share_that_is_not_mounted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    files = FolderFiles(str(tmp_path))
    assert len(files.names()) == 1
    (tmp_path / "a.jpg").unlink()
    assert files.names() == {}, "emptied on the same disk: nothing is amiss"
    (tmp_path / "a.jpg").write_bytes(b"x")
    files.names()
    (tmp_path / "a.jpg").unlink()
    real = os.stat

    def other_disk(path: str) -> os.stat_result:
        found = list(real(path))
        found[2] += 1
        return os.stat_result(found)

    monkeypatch.setattr(os, "stat", other_disk)
    with pytest.raises(FolderAway, match="share were not mounted"):
        files.names()


PICTURE = np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8)


def written(kind: str, folder: Path) -> Path:
    path = folder / f"whole.{kind}"
    match kind:
        case "mp4":
            write_film(Line(1, 0, width=64, height=48), path, 1)
        case "avi":
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (60, 40))
            for _ in range(5):
                writer.write(PICTURE)
            writer.release()
        case "gif":
            pages = [Image.fromarray(np.roll(PICTURE, i)) for i in range(3)]
            pages[0].save(path, save_all=True, append_images=pages[1:])
        case "preview.jpg":  # a preview with an end of its own stands before the picture
            preview = Image.fromarray(PICTURE)
            preview.save(folder / "small.jpg")
            exif = b"Exif\0\0" + (folder / "small.jpg").read_bytes()
            Image.fromarray(PICTURE).save(path, exif=exif)
        case "progressive.jpg":
            Image.fromarray(PICTURE).save(path, progressive=True)
        case _:
            Image.fromarray(PICTURE).save(path)
    return path


KINDS = ["jpg", "preview.jpg", "progressive.jpg", "png", "bmp", "webp", "gif", "avi", "mp4"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_whole_when_its_end_is_there(tmp_path: Path, kind: str) -> None:
    path = written(kind, tmp_path)
    data = path.read_bytes()
    assert looks_whole(str(path))
    named_wrongly = tmp_path / "data.tiff"
    named_wrongly.write_bytes(data)
    assert looks_whole(str(named_wrongly)), "told by the content"
    by_chance = 0
    for size in range(0, len(data), max(1, len(data) // 200)):
        path.write_bytes(data[:size])
        by_chance += looks_whole(str(path))
        path.write_bytes(data[:size].ljust(len(data), b"\0"))  # room set aside, as some copies do
        if kind in {"jpg", "preview.jpg", "progressive.jpg", "png"}:
            assert not looks_whole(str(path)), f"{size} of {len(data)} bytes and then nothing"
    # A GIF ends with one byte that may also stand within it; the others' ends do not come by chance.
    assert by_chance <= (10 if kind == "gif" else 0)


@pytest.mark.parametrize("unit", [b"\xff", b"\xff\xe0\0\2", b"\xff\xff\xe0\0\2"])
def test_filling_before_a_marker_costs_no_time(tmp_path: Path, unit: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\xff\xd8" + unit * (16_000_000 // len(unit)))
    began_s = time.process_time()
    looks_whole(str(path))
    assert time.process_time() - began_s < 0.5
    data = written("jpg", tmp_path).read_bytes()
    for filling in (1, 4094, 4095, 4096, 4097, 100_000):
        path.write_bytes(data[:2] + b"\xff" * filling + data[2:] + b"notes")
        assert looks_whole(str(path))
        path.write_bytes(data[:2] + b"\xff" * filling + data[2:-2])
        assert not looks_whole(str(path))


@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_what_follows_a_picture_does_not_hide_its_end(tmp_path: Path, kind: str) -> None:
    path = written(kind, tmp_path)
    path.write_bytes(path.read_bytes() + b"a maker's own notes" + b"\0" * 3000)
    assert looks_whole(str(path))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.sampled_from(
        [b"", b"\xff\xd8", b"\xff\xd8\xff\xe1", b"\x89PNG\r\n\x1a\n", b"RIFF", b"BM", b"GIF89a", b"\0\0\0\x18ftyp"]
    ),
    rest=st.binary(max_size=200),
)
def test_no_bytes_make_it_fail_or_hang(tmp_path: Path, start: bytes, rest: bytes) -> None:
    path = tmp_path / "any"
    path.write_bytes(start + rest)
    assert looks_whole(str(path)) in {True, False}


def test_films_of_other_containers_are_whole_as_far_as_anybody_can_tell(tmp_path: Path) -> None:
    import av  # noqa: PLC0415 - only this test writes such films

    for ending in ("mkv", "ts"):
        path = tmp_path / f"film.{ending}"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=Fraction(10))
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for _ in range(5):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(PICTURE[:40, :60], format="bgr24")))
            container.mux(stream.encode())
        assert looks_whole(str(path))
