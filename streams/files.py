"""Frames from pictures and films on disk. Nothing is dropped: the reader waits for room."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import structlog

from streams.camera_id import checked_camera
from streams.film import Film, FilmError
from streams.folder import FILMS, PICTURES, FolderFiles, find_files, is_film
from streams.frame import Frame, Pixels
from streams.pace import Pace
from streams.source import Keep, Outlet
from streams.watch import FolderAway, Found, Version, Watch, printable

__all__ = ["FILMS", "PICTURES", "FilesSource", "FilesSourceOptions", "find_files"]

log = structlog.get_logger(__name__)

WAIT_FOR_ROOM_S = 0.005
LOOK_EVERY_S = 0.25
"""How often a watched folder is looked at."""
NOTHING_THERE_S = 1.0
MAX_PICTURE_BYTES = 512 << 20
"""A larger file is no picture that could be used, and would fill the memory."""


@dataclass(frozen=True, slots=True)
class FilesSourceOptions:
    """path: a file, a folder or a pattern. fps: paces the delivery; "native" plays films at their own pace; None goes
    as fast as there is room. watch: wait for new files for ever. existing: with `watch`, take also those that are
    there at the start."""

    camera: str
    path: str
    fps: float | Literal["native"] | None = None
    loop: bool = False
    watch: bool = False
    existing: bool = True


class _Shot(NamedTuple):
    """One picture, encoded or not, on its way into a frame. gap_s: its own pace, None where it has none."""

    payload: bytes | None
    pixels: Pixels | None
    origin: str
    captured_at_ns: int | None
    gap_s: float | None


class _Unread(Exception):
    """A file, or the rest of it, that cannot be used; `reason` is for the ledger."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class _Changed(Exception):
    """A watched file was written while it was read."""


class FilesSource:
    """Plays pictures and films in the order of their names, once or for ever; or watches for new ones.

    The capture time of a played frame is now. A watched picture was taken when it was written, and a watched film had
    been taken when it was.
    """

    def __init__(self, options: FilesSourceOptions) -> None:
        self._options = options
        self._camera = checked_camera(options.camera)
        self._pace = Pace(options.fps)
        self._seq = 0

    @property
    def name(self) -> str:
        return f"files:{self._camera}"

    @property
    def cameras(self) -> tuple[str, ...]:
        return (self._camera,)

    def run(self, outlet: Outlet, stop: threading.Event) -> None:
        if self._options.watch:
            self._watch(outlet, stop)
        else:
            self._play_all(outlet, stop)

    def finish(self, frame: Frame) -> None:
        """A file stays where it is; there is nothing to note."""

    def reject(self, frame: Frame, error: str) -> None:
        log.warning("file_rejected", camera=self._camera, origin=frame.origin, error=error)

    def close(self) -> None:
        """Nothing is held open between files."""

    def _play_all(self, outlet: Outlet, stop: threading.Event) -> None:
        while not stop.is_set():
            files = find_files(self._options.path)
            if not files:
                outlet.trouble(self.name, f"no picture or film at {self._options.path}")
                if not self._options.loop:
                    return
                stop.wait(NOTHING_THERE_S)
                continue
            outlet.trouble(self.name, None)
            outlet.camera_up(self._camera, True)
            before = self._seq
            for file in files:
                if not self._play(file, None, outlet, stop):
                    return
            if self._seq == before:
                stop.wait(NOTHING_THERE_S)  # nothing could be read: not again at once
            if not self._options.loop:
                break
        outlet.camera_up(self._camera, False)

    def _watch(self, outlet: Outlet, stop: threading.Event) -> None:
        files = FolderFiles(self._options.path)
        watch = Watch(files, existing=self._options.existing, started_ns=time.time_ns(), stop=stop)
        up: bool | None = None
        while not stop.is_set():
            try:
                for found in watch.due():
                    up = self._tell(up, None, outlet)
                    if not self._take(found, watch, outlet, stop):
                        return
            except FolderAway as error:
                up = self._tell(up, str(error), outlet)
                stop.wait(NOTHING_THERE_S)
            else:
                up = self._tell(up, None, outlet)
                stop.wait(LOOK_EVERY_S)

    def _tell(self, was_up: bool | None, trouble: str | None, outlet: Outlet) -> bool:
        """What is the matter with the watched folder, where that has changed; returns whether it is up."""
        up = trouble is None
        if up != was_up:
            if trouble is not None:
                log.warning("folder_away", camera=self._camera, error=trouble)
            outlet.trouble(self.name, trouble)
            outlet.camera_up(self._camera, up)
        return up

    def _take(self, found: Found, watch: Watch, outlet: Outlet, stop: threading.Event) -> bool:
        """Deliver a watched file; False where it was stopped."""
        if found.gone:
            self._refuse(found.name, "vanished", "it was gone before it was read", outlet)
            return not stop.is_set()
        try:
            return self._play(Path(found.name), found.version, outlet, stop)
        except _Changed:
            watch.put_back(found.name)
            return not stop.is_set()

    def _play(self, file: Path, version: Version | None, outlet: Outlet, stop: threading.Event) -> bool:
        """Deliver one file's frames; False where it was stopped. version: of a watched file."""
        shots = self._film(file, version) if is_film(file.name) else self._picture(file, version)
        try:
            with closing(shots):
                for shot in shots:
                    if not self._pace.wait(shot.gap_s, stop):
                        return False
                    frame = self._frame(shot)
                    while not outlet.offer(frame, Keep.ALL):
                        if stop.wait(WAIT_FOR_ROOM_S):
                            return False
        except (_Unread, FilmError) as error:
            self._refuse(str(file), error.reason, str(error), outlet)
        return not stop.is_set()

    def _frame(self, shot: _Shot) -> Frame:
        self._seq += 1
        now_ns = time.time_ns()
        return Frame(
            camera=self._camera,
            seq=self._seq,
            captured_at_ns=now_ns if shot.captured_at_ns is None else max(0, min(shot.captured_at_ns, now_ns)),
            origin=shot.origin,
            payload=shot.payload,
            pixels=shot.pixels,
        )

    def _refuse(self, file: str, reason: str, error: str, outlet: Outlet) -> None:
        log.warning("file_unreadable", camera=self._camera, file=printable(file), reason=reason, error=error)
        outlet.refuse(self._camera, reason)

    def _picture(self, file: Path, version: Version | None) -> Generator[_Shot, None, None]:
        try:
            with open(file, "rb") as opened:
                before = _version_of(opened.fileno())
                if before.size > MAX_PICTURE_BYTES:
                    raise _Unread("oversized", f"it has {before.size} bytes; the limit is {MAX_PICTURE_BYTES}")
                payload = opened.read(MAX_PICTURE_BYTES)
                after = _version_of(opened.fileno())
        except FileNotFoundError:
            raise _Unread("vanished", "it was gone before it was read") from None
        except OSError as error:
            raise _Unread("unreadable_file", error.strerror or type(error).__name__) from None
        if version is not None and not version == before == after:
            raise _Changed
        yield _Shot(payload, None, printable(str(file)), None if version is None else version.mtime_ns, None)

    def _film(self, file: Path, version: Version | None) -> Generator[_Shot, None, None]:
        film = Film(file)
        try:
            began_ns = None if version is None else version.mtime_ns - round(film.length_s * 1e9)
            for shown in film.frames():
                captured_at_ns = None if began_ns is None else began_ns + round(shown.at_s * 1e9)
                yield _Shot(None, shown.pixels, f"{printable(str(file))}#{shown.index}", captured_at_ns, shown.gap_s)
        finally:
            film.close()


def _version_of(handle: int) -> Version:
    found = os.fstat(handle)
    return Version(found.st_mtime_ns, found.st_size)
