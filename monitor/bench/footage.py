"""The frames that every bench works on: a few different JPEG pictures, all of one size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from streams.codec import CodecError, decode, encode_jpeg
from streams.film import Film, FilmError
from streams.folder import find_files, is_film
from streams.frame import Pixels
from streams.simulator.scene import Line

SIMULATED: Final = "simulated"
SEED: Final = 7
STEP: Final = 3
"""Of the simulated line's frames, at ten a second: the belt moves on, and defects come into view."""

MAX_PIXELS: Final = 1 << 28


@dataclass(frozen=True)
class Footage:
    """name: of the film or folder, without its path; "simulated". jpegs: different pictures of width x height pixels,
    in their order, at least one."""

    name: str
    width: int
    height: int
    jpegs: tuple[bytes, ...]

    @property
    def mean_bytes(self) -> float:
        """Of a picture."""
        return sum(map(len, self.jpegs)) / len(self.jpegs)


def footage(path: Path | None, width: int, height: int, most: int = 120, quality: int = 80) -> Footage:
    """At most so many pictures, spread over a film, or over a folder of pictures; of the simulated line without a path.

    Pictures of another size are stretched. quality: of the JPEG, 1 to 100. ValueError, naming the file, where it is no
    film or picture that can be read; and for a size that no picture can have.
    """
    if most < 1 or min(width, height) < 32:
        raise ValueError(
            f"{most} pictures of {width}x{height} pixels are asked for: expected at least one, of at least 32x32"
        )
    if path is None:
        line = Line(SEED, 0, width, height)
        return _footage(SIMULATED, (line.render(index * STEP) for index in range(most)), width, height, quality)
    if is_film(str(path)) and not path.is_dir():
        return _footage(path.name, iter(_of_film(path, most)), width, height, quality)
    return _footage(path.resolve().name, _of_pictures(path, most), width, height, quality)


def _footage(name: str, pictures: Iterator[Pixels], width: int, height: int, quality: int) -> Footage:
    jpegs = tuple(encode_jpeg(_scaled(picture, width, height), quality) for picture in pictures)
    return Footage(name, width, height, jpegs)


def _of_film(path: Path, most: int) -> list[Pixels]:
    """Every n-th frame, the least n with which they are few enough; a film's claimed length is not relied on."""
    kept: list[Pixels] = []
    step = 1
    try:
        with closing(Film(path)) as film:
            for frame in film.frames():
                if frame.index % step:
                    continue
                if len(kept) == most:
                    kept, step = kept[::2], 2 * step
                    if frame.index % step:
                        continue
                kept.append(frame.pixels)
    except FilmError as error:
        raise ValueError(f"{path}: {error}; give a whole film, or a folder of pictures") from error
    return kept


def _of_pictures(path: Path, most: int) -> Iterator[Pixels]:
    try:
        files = [file for file in find_files(str(path)) if not is_film(file.name)]
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from error
    if not files:
        found = "holds no picture" if path.is_dir() else "is neither a film nor a picture, or is not there"
        raise ValueError(f"{path}: {found}; give a film, or a folder with .jpg or .png files")
    for place in np.linspace(0, len(files) - 1, min(most, len(files))).round().astype(int):
        try:
            yield decode(files[place].read_bytes(), MAX_PIXELS)
        except OSError as error:
            raise ValueError(f"{files[place]}: cannot be read: {error.strerror}") from error
        except CodecError as error:
            raise ValueError(f"{files[place]}: {error}; take it out of the folder") from error


def _scaled(pixels: Pixels, width: int, height: int) -> Pixels:
    if pixels.shape[:2] == (height, width):
        return pixels
    shrinks = pixels.shape[1] > width and pixels.shape[0] > height
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=how), dtype=np.uint8)
