"""Pictures and films on disk as a camera."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from streams.files import FilesSource, FilesSourceOptions, find_files
from streams.simulator import Line, write_film
from streams.source import Keep
from tests.streams.outlet import NotingOutlet, Running
from tests.streams.test_film import write as write_timed_film

JPEG = cv2.imencode(".jpg", np.full((20, 30, 3), 90, np.uint8))[1].tobytes()


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


def test_a_film_that_breaks_off_counts_once_more_as_failed(tmp_path: Path) -> None:
    path = write_timed_film(tmp_path / "a.mkv", range(0, 8000, 40))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    outlet = play(path)
    assert len(outlet.frames) > 50 and outlet.refused == [("bench", "film_broken_off")]


def test_a_film_whose_name_is_no_utf8_is_counted_and_a_picture_is_read(folder: Path) -> None:
    good = write_film(Line(1, 0, width=64, height=48), folder / "a.mp4", 1)
    os.rename(os.fsencode(folder / "a.mp4"), os.fsencode(folder) + b"/5\xff.mp4")
    os.rename(os.fsencode(folder / "0.png"), os.fsencode(folder) + b"/6\xff.png")
    outlet = play(folder)
    assert good > 0 and len(outlet.frames) == 5 and outlet.refused == [("bench", "bad_file_name")]
    assert Path(outlet.frames[-1].origin).name == "6\\xff.png"
    outlet.frames[-1].identity.encode()  # it goes to Redis


def test_a_file_that_is_no_picture_for_its_size_is_not_read(folder: Path) -> None:
    with open(folder / "7.png", "wb") as file:
        file.truncate(1 << 40)  # a hole: it takes no room on the disk
    outlet = play(folder)
    assert len(outlet.frames) == 5 and outlet.refused == [("bench", "oversized")]


def test_a_film_is_played_at_its_own_pace(tmp_path: Path) -> None:
    write_timed_film(tmp_path / "a.mp4", [0, 100, 200, 600])
    began_s = time.monotonic()
    outlet = play(tmp_path / "a.mp4", fps="native")
    assert time.monotonic() - began_s >= 0.59
    times_s = [frame.captured_at_ns / 1e9 for frame in outlet.frames]
    assert times_s[3] - times_s[2] >= 0.3 > times_s[1] - times_s[0] - 0.2


def watched(path: Path, outlet: NotingOutlet, **options: object) -> Running:
    return Running(FilesSource(FilesSourceOptions("bench", str(path), watch=True, **options)), outlet)  # type: ignore[arg-type]


def names(outlet: NotingOutlet) -> list[str]:
    return [Path(frame.origin).name for frame in outlet.frames]


def has(outlet: NotingOutlet, *expected: str) -> Callable[[], bool]:
    return lambda: names(outlet) == list(expected)


def test_a_watched_folder_gives_each_new_file_once_when_it_has_been_written(folder: Path) -> None:
    outlet = NotingOutlet()
    with watched(folder, outlet):
        first = [f"{i}.png" for i in range(5)]
        assert outlet.wait(has(outlet, *first)), names(outlet)
        (folder / "half.jpg").write_bytes(JPEG[: len(JPEG) // 2])
        (folder / "new.jpg").write_bytes(JPEG)
        assert outlet.wait(has(outlet, *first, "new.jpg")), names(outlet)
        assert not outlet.wait(lambda: len(outlet.frames) > 6, timeout_s=1.0), "the other half is waited for"
        (folder / "half.jpg").write_bytes(JPEG)
        assert outlet.wait(has(outlet, *first, "new.jpg", "half.jpg")), names(outlet)
        (folder / "next.part").write_bytes(JPEG + b"0")
        os.replace(folder / "next.part", folder / "new.jpg")
        assert outlet.wait(has(outlet, *first, "new.jpg", "half.jpg", "new.jpg")), names(outlet)
        (folder / "half.jpg").write_bytes(JPEG + b"00")
        assert outlet.wait(lambda: names(outlet).count("half.jpg") == 2), "written over in place"
    assert [frame.seq for frame in outlet.frames] == list(range(1, 10))
    assert outlet.ups == [("bench", True)] and outlet.refused == []
    assert len({frame.identity for frame in outlet.frames}) == 9


def test_a_watched_picture_was_taken_when_it_was_written(tmp_path: Path) -> None:
    for name, mtime_s in (("b.jpg", 1_700_000_000), ("a.jpg", 1_700_000_001), ("c.jpg", 4_000_000_000)):
        (tmp_path / name).write_bytes(JPEG)
        os.utime(tmp_path / name, (mtime_s, mtime_s))
    outlet = NotingOutlet()
    with watched(tmp_path, outlet):
        assert outlet.wait(has(outlet, "b.jpg", "a.jpg", "c.jpg")), names(outlet)
    times_s = [frame.captured_at_ns / 1e9 for frame in outlet.frames]
    assert times_s[:2] == [1_700_000_000, 1_700_000_001]
    assert times_s[2] <= time.time(), "a clock that runs ahead"


def test_a_watched_film_had_been_taken_when_it_was_written(tmp_path: Path) -> None:
    write_timed_film(tmp_path / "a.mp4", range(0, 2000, 40))
    os.utime(tmp_path / "a.mp4", (1_700_000_010, 1_700_000_010))
    outlet = NotingOutlet()
    with watched(tmp_path, outlet):
        assert outlet.wait(lambda: len(outlet.frames) == 50)
    times_s = [frame.captured_at_ns / 1e9 - 1_700_000_000 for frame in outlet.frames]
    assert times_s[0] == pytest.approx(8.0, abs=0.1) and times_s[-1] == pytest.approx(9.96, abs=0.1)


def test_what_was_there_can_be_left_out(folder: Path) -> None:
    outlet = NotingOutlet()
    with watched(folder, outlet, existing=False):
        assert outlet.wait(lambda: outlet.ups == [("bench", True)])
        (folder / "new.jpg").write_bytes(JPEG)
        assert outlet.wait(has(outlet, "new.jpg")), names(outlet)


def test_a_folder_that_is_away_is_told_and_waited_for(tmp_path: Path) -> None:
    outlet = NotingOutlet()
    place = tmp_path / "share"
    with watched(place, outlet):
        assert outlet.wait(lambda: bool(outlet.troubles)) and "share cannot be read" in str(outlet.troubles[-1])
        place.mkdir()
        (place / "a.jpg").write_bytes(JPEG)
        assert outlet.wait(has(outlet, "a.jpg"))
        place.rename(tmp_path / "elsewhere")
        assert outlet.wait(lambda: outlet.troubles[-1] is not None)
        (tmp_path / "elsewhere" / "b.jpg").write_bytes(JPEG)
        (tmp_path / "elsewhere").rename(place)
        assert outlet.wait(has(outlet, "a.jpg", "b.jpg")), "what was read before is not read again"
        assert outlet.troubles[-1] is None
    assert outlet.ups == [("bench", False), ("bench", True), ("bench", False), ("bench", True)]
    assert outlet.refused == []


def test_what_goes_while_it_waits_for_room_is_counted(tmp_path: Path) -> None:
    for i in range(4):
        (tmp_path / f"{i}.jpg").write_bytes(JPEG)
        os.utime(tmp_path / f"{i}.jpg", (1_700_000_000, 1_700_000_000))
    room = threading.Event()
    outlet = NotingOutlet(room.is_set)
    with watched(tmp_path, outlet):
        assert until(lambda: outlet.turned_away > 0)
        (tmp_path / "1.jpg").unlink()
        (tmp_path / "2.jpg").unlink()
        room.set()
        assert outlet.wait(has(outlet, "0.jpg", "3.jpg")), names(outlet)
    assert outlet.refused == [("bench", "vanished")] * 2


def test_a_file_that_cannot_be_used_is_passed_on_or_counted_and_never_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.watch.PATIENCE_S", 1.0)
    (tmp_path / "half.jpg").write_bytes(JPEG[:-50])
    (tmp_path / "film.mp4").write_bytes(b"no film")
    outlet = NotingOutlet()
    with watched(tmp_path, outlet):
        assert outlet.wait(has(outlet, "half.jpg")), "for the decoder to say"
        assert outlet.wait(lambda: outlet.refused == [("bench", "unreadable_file")])


def until(condition: Callable[[], bool], timeout_s: float = 30) -> bool:
    end_s = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < end_s:
        time.sleep(0.01)
    return condition()
