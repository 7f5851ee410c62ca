"""Pictures and films on disk as a camera."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from streams.files import FilesSource, FilesSourceOptions, find_files
from streams.simulator import Line, write_film
from streams.source import Keep
from tests.streams.outlet import NotingOutlet, Running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(5):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((20, 30, 3), i * 40, np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def play(path: object, outlet: NotingOutlet | None = None, **options: object) -> NotingOutlet:
    outlet = outlet or NotingOutlet()
    FilesSource(FilesSourceOptions(camera="bench", path=str(path), **options)).run(outlet, threading.Event())  # type: ignore[arg-type]
    return outlet


def test_a_folder_is_played_once_in_the_order_of_names(folder: Path) -> None:
    outlet = play(folder)
    assert [Path(f.origin).name for f in outlet.frames] == [f"{i}.png" for i in range(5)]
    assert [f.seq for f in outlet.frames] == [1, 2, 3, 4, 5]
    assert outlet.frames[0].payload == (folder / "0.png").read_bytes()
    assert outlet.keeps == {Keep.ALL}
    assert outlet.ups == [("bench", True), ("bench", False)]


def test_a_pattern_and_a_file_are_paths_too(folder: Path) -> None:
    assert [f.name for f in find_files(str(folder / "[12].png"))] == ["1.png", "2.png"]
    assert [f.name for f in find_files(str(folder / "3.png"))] == ["3.png"]
    assert find_files(str(folder / "*.mp4")) == []


def test_every_frame_of_a_film_comes_once(tmp_path: Path) -> None:
    frames = write_film(Line(1, 0, width=64, height=48), tmp_path / "a.mp4", 2)
    outlet = play(tmp_path / "*.mp4")
    assert len(outlet.frames) == frames
    assert outlet.frames[0].pixels is not None and outlet.frames[0].pixels.shape == (48, 64, 3)
    assert outlet.frames[7].origin.endswith("a.mp4#7")


def test_nothing_is_lost_where_there_is_no_room_for_a_while(folder: Path) -> None:
    answers = iter([False, False, True, False, True, True, True, True])
    outlet = play(folder, NotingOutlet(lambda: next(answers)))
    assert [f.seq for f in outlet.frames] == [1, 2, 3, 4, 5]
    assert outlet.turned_away == 3


def test_fps_paces_the_delivery(folder: Path) -> None:
    began_s = time.monotonic()
    outlet = play(folder, fps=20.0)
    assert time.monotonic() - began_s >= 4 / 20 - 0.01
    gaps = np.diff([f.captured_at_ns for f in outlet.frames]) / 1e9
    assert gaps.sum() >= 4 / 20 - 0.01


def test_a_loop_goes_on_until_it_is_stopped(folder: Path) -> None:
    outlet = NotingOutlet()
    with Running(FilesSource(FilesSourceOptions("bench", str(folder), loop=True)), outlet):
        assert outlet.wait(lambda: len(outlet.frames) > 12)
    assert [f.seq for f in outlet.frames] == list(range(1, len(outlet.frames) + 1))
    assert len({f.identity for f in outlet.frames}) == len(outlet.frames), "a repeated picture is a new frame"


def test_files_that_cannot_be_read_are_counted_and_passed_over(folder: Path) -> None:
    (folder / "2b.mp4").write_bytes(b"no film")
    outlet = play(folder)
    assert len(outlet.frames) == 5
    assert outlet.refused == [("bench", "unreadable_file")]


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    outlet = play(tmp_path)
    assert outlet.frames == [] and outlet.troubles == [f"no picture or film at {tmp_path}"]
