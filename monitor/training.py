"""Pictures to train on, from wherever they are: a folder, a film or a camera."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import numpy as np
import structlog
from numpy.typing import NDArray

from models import datasets
from models.preprocess import Preprocess
from streams.codec import CodecError, pixels_of
from streams.files import FILMS, FilesSource, FilesSourceOptions
from streams.frame import Frame
from streams.kafka import KafkaSource, KafkaSourceOptions
from streams.redact import redact
from streams.rtsp import RtspSource, RtspSourceOptions
from streams.source import Keep, Source

log = structlog.get_logger(__name__)

DEFAULT_FRAMES = 1000
"""How many frames are taken from a camera where nobody says."""
MAX_PIXELS = 50_000_000
SILENT_FOR_S = 30.0


class SourceError(ValueError):
    """The training source cannot be used; the message names it and what was expected."""


@dataclass(frozen=True, slots=True)
class Collected:
    """pictures: uint8 [N, S, S, C] in the order in which they were taken. unusable: how many frames did not decode."""

    pictures: NDArray[np.uint8]
    unusable: int


Progress = Callable[[int, int | None], None]
"""Told after every frame how many there are, and how many there will be if that is known."""


def collect(
    source: str, preprocess: Preprocess, frames: int | None, progress: Progress, stop: threading.Event
) -> Collected:
    """Pictures of a folder, a film (the first `frames`), a camera (`frames` from now on), or a topic
    (the oldest that it holds).

    A folder in MVTec's layout gives its `train/good`, one with a folder `good` or `normal` that, any other all its
    pictures. Ends early when `stop` is set, with what there is. Raises SourceError.
    """
    if "://" in source:
        return _from_stream(_camera(source), redact(source), preprocess, frames or DEFAULT_FRAMES, progress, stop)
    path = Path(source).expanduser()
    if not path.exists():
        raise SourceError(
            f"{source}: no such file or folder; expected a folder of pictures, a film, rtsp:// or kafka://"
        )
    if path.is_dir():
        return _from_folder(path, preprocess, frames, progress)
    if path.suffix.lower() not in FILMS:
        raise SourceError(
            f"{source}: one picture is not enough to train on; give a folder or a film ({', '.join(sorted(FILMS))})"
        )
    film = FilesSource(FilesSourceOptions(camera="training", path=str(path)))
    return _from_stream(film, source, preprocess, frames, progress, stop)


def _camera(address: str) -> Source:
    parts = urlsplit(address)
    if parts.scheme in {"rtsp", "rtsps"} and parts.netloc:
        return RtspSource(RtspSourceOptions(camera="training", url=address))
    topic = parts.path.strip("/")
    if parts.scheme == "kafka" and parts.netloc and topic and "/" not in topic:
        # A group of its own, never committed: training takes nothing away from the monitor.
        group = f"linewatch-train-{uuid4().hex[:12]}"
        return KafkaSource(
            KafkaSourceOptions(bootstrap_servers=parts.netloc, topic=topic, group_id=group, dead_letters=False)
        )
    raise SourceError(f"{redact(address)}: expected rtsp://host:port/path or kafka://host:port/topic")


def _from_folder(path: Path, preprocess: Preprocess, frames: int | None, progress: Progress) -> Collected:
    try:
        found = datasets.find(path).train[:frames]
    except ValueError as error:
        raise SourceError(str(error)) from None
    if not found:
        raise SourceError(f"{path}: holds no normal pictures (a folder train/good, good or normal, or pictures)")
    loaded = datasets.load(found, preprocess)
    for bad, reason in loaded.unreadable:
        log.warning("picture_unreadable", file=str(bad), reason=reason)
    progress(len(loaded.pictures), len(found))
    return Collected(loaded.pictures, len(loaded.unreadable))


def _from_stream(
    source: Source,
    address: str,
    preprocess: Preprocess,
    frames: int | None,
    progress: Progress,
    stop: threading.Event,
) -> Collected:
    enough = threading.Event()
    collector = _Collector(preprocess, frames, progress, enough)
    reader = threading.Thread(target=source.run, args=(collector, enough), name=source.name, daemon=True)
    reader.start()
    while reader.is_alive() and not enough.is_set() and not stop.is_set():
        reader.join(0.1)
        if not collector.pictures and collector.message and time.monotonic() - collector.began_s > SILENT_FOR_S:
            enough.set()
            raise SourceError(f"{address}: no frame within {SILENT_FOR_S:.0f} s: {collector.message}")
    enough.set()
    reader.join(15)
    source.close()
    if not collector.pictures:
        raise SourceError(f"{address}: no frame could be read")
    return Collected(np.stack(collector.pictures), collector.unusable)


@dataclass
class _Collector:
    """An outlet (streams.source.Outlet) that keeps pictures at the network's size."""

    preprocess: Preprocess
    frames: int | None
    progress: Progress
    enough: threading.Event
    pictures: list[NDArray[np.uint8]] = field(default_factory=list)
    unusable: int = 0
    message: str | None = None
    began_s: float = field(default_factory=time.monotonic)

    def offer(self, frame: Frame, keep: Keep) -> bool:
        if self.enough.is_set():
            return False
        try:
            self.pictures.append(self.preprocess.picture(pixels_of(frame, MAX_PIXELS)))
        except (CodecError, ValueError) as error:
            log.warning("frame_unusable", origin=frame.origin, error=str(error))
            self.unusable += 1
        self.progress(len(self.pictures), self.frames)
        if self.frames is not None and len(self.pictures) >= self.frames:
            self.enough.set()
        return True

    def refuse(self, camera: str, reason: str) -> None:
        self.unusable += 1

    def skip(self, camera: str, reason: str) -> None:
        """Nothing is skipped here."""

    def camera_up(self, camera: str, up: bool) -> None:
        """Told through `trouble` as well."""

    def camera_gone(self, camera: str) -> None:
        """Only topics lose cameras."""

    def lag(self, topic: str, partition: int, messages: int) -> None:
        """Of no interest to a training."""

    def trouble(self, source: str, message: str | None) -> None:
        self.message = message
