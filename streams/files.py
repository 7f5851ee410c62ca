"""Frames from pictures and films on disk. Nothing is dropped: the reader waits for room."""

from __future__ import annotations

import glob
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import structlog

from streams.camera_id import checked_camera
from streams.frame import Frame
from streams.source import Keep, Outlet

log = structlog.get_logger(__name__)

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
FILMS = frozenset({".mp4", ".mkv", ".avi", ".mov", ".gif", ".ts", ".webm", ".m4v"})

WAIT_FOR_ROOM_S = 0.005


@dataclass(frozen=True, slots=True)
class FilesSourceOptions:
    """`path` is a file, a folder or a pattern. `fps` paces the delivery; None goes as fast as there is room."""

    camera: str
    path: str
    fps: float | None = None
    loop: bool = False


def find_files(path: str) -> list[Path]:
    """The pictures and films that a file name, a folder or a pattern (`**` included) means, sorted by name."""
    root = Path(path).expanduser()
    found = root.iterdir() if root.is_dir() else (Path(name) for name in glob.glob(str(root), recursive=True))
    return sorted(file for file in found if file.is_file() and file.suffix.lower() in PICTURES | FILMS)


class FilesSource:
    """Plays pictures and films in the order of their names, once or for ever."""

    def __init__(self, options: FilesSourceOptions) -> None:
        self._options = options
        self._camera = checked_camera(options.camera)
        self._seq = 0
        self._next_due_s: float | None = None

    @property
    def name(self) -> str:
        return f"files:{self._camera}"

    @property
    def cameras(self) -> tuple[str, ...]:
        return (self._camera,)

    def run(self, outlet: Outlet, stop: threading.Event) -> None:
        while not stop.is_set():
            files = find_files(self._options.path)
            if not files:
                outlet.trouble(self.name, f"no picture or film at {self._options.path}")
                if not self._options.loop:
                    return
                stop.wait(1.0)
                continue
            outlet.trouble(self.name, None)
            outlet.camera_up(self._camera, True)
            before = self._seq
            for file in files:
                if not self._play(file, outlet, stop):
                    return
            if self._seq == before:
                stop.wait(1.0)  # nothing could be read: not again at once
            if not self._options.loop:
                break
        outlet.camera_up(self._camera, False)

    def finish(self, frame: Frame) -> None:
        """A file stays where it is; there is nothing to note."""

    def reject(self, frame: Frame, error: str) -> None:
        log.warning("file_rejected", camera=self._camera, origin=frame.origin, error=error)

    def close(self) -> None:
        """Nothing is held open between files."""

    def _play(self, file: Path, outlet: Outlet, stop: threading.Event) -> bool:
        """Deliver one file's frames; False where it was stopped."""
        frames = self._film(file) if file.suffix.lower() in FILMS else self._picture(file)
        empty = True
        for payload, pixels, origin in frames:
            empty = False
            if not self._wait_for_turn(stop):
                return False
            self._seq += 1
            frame = Frame(
                camera=self._camera,
                seq=self._seq,
                captured_at_ns=time.time_ns(),
                origin=origin,
                payload=payload,
                pixels=pixels,
            )
            while not outlet.offer(frame, Keep.ALL):
                if stop.wait(WAIT_FOR_ROOM_S):
                    return False
        if empty:
            log.warning("file_unreadable", camera=self._camera, file=str(file))
            outlet.refuse(self._camera, "unreadable_file")
        return not stop.is_set()

    def _picture(self, file: Path) -> Iterator[tuple[bytes | None, None, str]]:
        try:
            payload = file.read_bytes()
        except OSError as error:
            log.warning("file_unreadable", camera=self._camera, file=str(file), error=str(error))
            return
        yield payload, None, str(file)

    def _film(self, file: Path) -> Iterator[tuple[None, np.ndarray, str]]:
        capture = cv2.VideoCapture(str(file), cv2.CAP_FFMPEG)
        try:
            index = 0
            while True:
                ok, pixels = capture.read()
                if not ok or pixels is None:
                    return
                yield None, np.asarray(pixels, dtype=np.uint8), f"{file}#{index}"
                index += 1
        finally:
            capture.release()

    def _wait_for_turn(self, stop: threading.Event) -> bool:
        """Wait until the next frame is due; False where stopped meanwhile."""
        if self._options.fps is None:
            return not stop.is_set()
        now_s = time.monotonic()
        if self._next_due_s is None or self._next_due_s < now_s - 1.0:
            self._next_due_s = now_s  # a long stall is not made up for by a burst
        if self._next_due_s > now_s and stop.wait(self._next_due_s - now_s):
            return False
        self._next_due_s += 1.0 / self._options.fps
        return True
