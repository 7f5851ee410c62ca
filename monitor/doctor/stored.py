"""Whether pictures and films on disk are there and can be read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

from monitor.doctor.finding import Finding, failed, ok, warning
from monitor.inputs import FilesInput
from streams.codec import CodecError, decode
from streams.film import Film, FilmError
from streams.folder import FolderFiles, find_files, is_film
from streams.watch import FolderAway, printable


def examine_files(settings: FilesInput, key: str, max_pixels: int, over: threading.Event) -> Iterator[Finding]:
    """key: where they are set."""
    if settings.watch:
        try:
            files = sorted(Path(name) for name in FolderFiles(settings.path).names())
        except FolderAway as error:
            yield failed(str(error), f"make the folder, mount its share, or correct {key}.path")
            return
        yield ok(f"{settings.path}: watched, {len(files):,} pictures and films there now")
        if not files:
            return
    else:
        try:
            files = find_files(settings.path)
        except OSError as error:
            yield failed(
                f"{settings.path} cannot be read ({error.strerror or type(error).__name__})",
                f"correct {key}.path, or give the service's user the right to read there",
            )
            return
        if not files:
            yield failed(f"no picture or film at {settings.path}", f"correct {key}.path, or put some there")
            return
        yield ok(f"{settings.path}: {len(files):,} pictures and films")
    yield _first(files[0], max_pixels)


def _first(file: Path, max_pixels: int) -> Finding:
    name = printable(str(file))
    try:
        if is_film(name):
            film = Film(file)
            try:
                pixels = next(film.frames()).pixels
            finally:
                film.close()
        else:
            pixels = decode(file.read_bytes(), max_pixels)
    except (CodecError, FilmError) as error:
        return warning(
            f"the first cannot be used: {name}: {error}", "such files are passed over, and counted as failed"
        )
    except OSError as error:
        return failed(f"{name} cannot be read ({error.strerror})", "give the service's user the right to read it")
    height, width = pixels.shape[:2]
    return ok(f"the first is {width}x{height}")
