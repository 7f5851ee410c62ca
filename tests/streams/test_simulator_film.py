"""Films of the line: readable, loopable, and played back with their truth."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from streams.simulator import FilmFootage, Line, LineFootage, film_frames, write_film
from streams.simulator.footage import Footage


@pytest.fixture(scope="module")
def line() -> Line:
    return Line(seed=1, camera_index=0, width=160, height=120)


@pytest.fixture(scope="module")
def film(line: Line, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "line-1.mp4"
    write_film(line, path, seconds=4)
    return path


def test_a_film_is_what_an_rtsp_camera_can_send(film: Path) -> None:
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.profile in {"Baseline", "Constrained Baseline"}
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.average_rate == 10
        packets = [packet for packet in container.demux(stream) if packet.size]
    assert [packet.pts for packet in packets] == [packet.dts for packet in packets]
    keys = [index for index, packet in enumerate(packets) if packet.is_keyframe]
    assert keys == [0, 10, 20, 30]


def test_a_film_shows_the_line(line: Line, film: Path) -> None:
    pictures = list(FilmFootage(film).pictures())
    assert len(pictures) == 40
    for index in (0, 17, 39):
        difference = np.abs(pictures[index].astype(float) - line.render(index))
        assert difference.mean() < 4  # of 255; noise is what the codec leaves out


def test_a_film_cuts_no_defect_short(line: Line) -> None:
    first = line.spans(1000)[0]
    middle_s = (first.first_frame + first.last_frame) / 2 / line.fps
    frames = film_frames(line, middle_s)
    assert frames > first.last_frame
    assert frames % (2 * line.fps) == 0
    assert film_frames(line, 2) == 20


def test_a_failed_film_leaves_nothing(line: Line, tmp_path: Path) -> None:
    def give_up(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_film(line, tmp_path / "line-1.mp4", seconds=2, on_frame=give_up)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_an_os_error(line: Line, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        write_film(line, tmp_path / "nowhere" / "line-1.mp4", seconds=2)


def test_footage_of_the_line_knows_its_truth(line: Line) -> None:
    footage: Footage = LineFootage(line)
    span = line.spans(1000)[0]
    assert footage.span_at(span.first_frame) == span
    assert LineFootage(line, defects=False).span_at(span.first_frame) is None
    first = next(iter(footage.pictures()))
    assert np.array_equal(first, line.render(0))


def test_footage_of_a_film_takes_the_labels_beside_it(film: Path) -> None:
    labels = film.with_suffix(".segments.csv")
    labels.write_text(
        "first_frame,last_frame,label,what\n0,9,normal,\n10,14,transition,t\n15,20,anomaly,a\n",
        encoding="utf-8",
    )
    footage = FilmFootage(film)
    assert footage.fps == 10
    at = {index: footage.span_at(index) for index in (9, 10, 14, 15, 20, 21)}
    assert [span and span.kind for span in at.values()] == [None, "t", "t", "a", "a", None]
    labels.unlink()
    assert FilmFootage(film).span_at(15) is None


def test_what_is_no_film_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.mp4"):
        FilmFootage(tmp_path / "gone.mp4")
    (tmp_path / "broken.mp4").write_bytes(b"no film")
    with pytest.raises(ValueError, match=r"broken\.mp4 is no film"):
        FilmFootage(tmp_path / "broken.mp4")


@pytest.mark.skipif("LINEWATCH_DATA" not in os.environ, reason="LINEWATCH_DATA is not set")
def test_a_real_film_with_its_labels() -> None:
    footage = FilmFootage(Path(os.environ["LINEWATCH_DATA"]) / "video" / "bottle-detection.mp4")
    assert footage.fps == pytest.approx(29.83, abs=0.01)
    shapes = {picture.shape for picture in islice(footage.pictures(), 3)}
    assert shapes == {(360, 640, 3)}
    assert footage.span_at(164) is None
    event = footage.span_at(300)
    assert event is not None
    assert (event.first_frame, event.last_frame, event.judged) == (171, 403, True)
    shadow = footage.span_at(167)
    assert shadow is not None
    assert not shadow.judged
