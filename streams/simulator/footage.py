"""What a player plays: a rendered line without end, or a film from disk."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, cast

import cv2

from streams.simulator.belt import Image
from streams.simulator.scene import Line
from streams.simulator.segments import read_segments, segments_beside
from streams.simulator.span import Span


class Footage(Protocol):
    """Pictures in order, with the truth about them."""

    @property
    def fps(self) -> float:
        """Pictures a second at the natural pace."""
        ...

    def pictures(self) -> Iterator[Image]:
        """A fresh run from the first picture, uint8 BGR [H, W, 3]; it may never end.

        Raises ValueError where there is nothing to play.
        """
        ...

    def span_at(self, frame_index: int) -> Span | None:
        """What is wrong in this picture of a run, or None."""
        ...


class LineFootage:
    """The simulated line, from its first frame on, without end."""

    def __init__(self, line: Line, defects: bool = True) -> None:
        self._line, self._defects = line, defects

    @property
    def fps(self) -> float:
        return float(self._line.fps)

    def pictures(self) -> Iterator[Image]:
        index = 0
        while True:
            yield self._line.render(index, self._defects)
            index += 1

    def span_at(self, frame_index: int) -> Span | None:
        return self._line.span_at(frame_index) if self._defects else None


class FilmFootage:
    """A film file, with the truth from the `.segments.csv` beside it, where there is one."""

    def __init__(self, path: Path, segments: Path | None = None) -> None:
        """Raises FileNotFoundError or ValueError, naming the file, if it cannot be played."""
        if not path.is_file():
            raise FileNotFoundError(f"no film at {path}")
        self._path = path
        labels = segments or segments_beside(path)
        self._spans = read_segments(labels) if segments or labels.is_file() else []
        self._starts = [span.first_frame for span in self._spans]
        capture = cv2.VideoCapture(str(path))
        try:
            self._fps = float(capture.get(cv2.CAP_PROP_FPS)) if capture.isOpened() else 0.0
        finally:
            capture.release()
        if not self._fps > 0:
            raise ValueError(f"{path} is no film that OpenCV can read; give an H.264 .mp4, say")

    @property
    def fps(self) -> float:
        return self._fps

    def pictures(self) -> Iterator[Image]:
        capture = cv2.VideoCapture(str(self._path))
        try:
            any_read = False
            while True:
                read, picture = capture.read()
                if not read:
                    break
                any_read = True
                yield cast(Image, picture)
            if not any_read:
                raise ValueError(f"{self._path}: not one picture could be read")
        finally:
            capture.release()

    def span_at(self, frame_index: int) -> Span | None:
        place = bisect_right(self._starts, frame_index) - 1
        if place < 0 or self._spans[place].last_frame < frame_index:
            return None
        return self._spans[place]
