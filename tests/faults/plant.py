"""Six cameras over mixed sources: two on a topic, two over RTSP, a film that loops, and a watched folder."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.faults.feed import Feed, Scores
from tests.faults.lab import FPS, TOPIC, Servers, base_config, running_servers
from tests.faults.pictures import Sights
from tests.faults.service import Service
from tests.monitor.films import film
from tests.streams.rtsp_peer import RtspPeer

ON_TOPIC = ("topic-1", "topic-2")
ON_NETWORK = ("rtsp-1", "rtsp-2")
FILM, FOLDER = "film", "folder"
CAMERAS = (*ON_TOPIC, *ON_NETWORK, FILM, FOLDER)
MAX_MESSAGE_BYTES = 200_000
KEPT_FILES = 40


class Shelf:
    """Writes a picture into the watched folder every `1 / fps` seconds and takes the oldest away."""

    def __init__(self, folder: Path, sights: Sights, fps: float) -> None:
        folder.mkdir()
        self._folder, self._sights, self._fps = folder, sights, fps
        self.written = 0
        """Pictures that were written whole."""
        self._end = threading.Event()
        self._pending: threading.Event | None = None
        self._thread = threading.Thread(target=self._run, name="shelf", daemon=True)

    def leave_half_written(self, seconds: float) -> None:
        """The next picture is written to its half, and its end only after so long."""
        self._half_s = seconds

    _half_s = 0.0

    def end(self) -> None:
        self._end.set()
        self._thread.join(30)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _run(self) -> None:
        names: list[Path] = []
        for number in itertools.count(1):
            if self._end.wait(1 / self._fps):
                return
            path, data = self._folder / f"{number:06}.jpg", self._sights.jpeg(number)
            half_s, self._half_s = self._half_s, 0.0
            with path.open("wb", buffering=0) as file:
                file.write(data[: len(data) // 2])
                if half_s:
                    self._end.wait(half_s)
                file.write(data[len(data) // 2 :])
            self.written += 1
            names.append(path)
            if len(names) > KEPT_FILES:
                names.pop(0).unlink()


@dataclass
class Plant:
    """Everything that runs."""

    service: Service
    servers: Servers
    feed: Feed
    scores: Scores
    peers: dict[str, RtspPeer]
    shelf: Shelf

    def well(self) -> bool:
        """Whether every camera is up and fresh, none offline or frozen, and the service ready."""
        views = self.service.cameras()
        return (
            not self.service.reasons()
            and all(camera in views for camera in CAMERAS)
            and all(views[c]["up"] and not views[c]["stale"] for c in CAMERAS)
            and all({"offline", "frozen"}.isdisjoint(views[c]["troubles"]) for c in CAMERAS)
        )

    def end_of_frames(self) -> None:
        """Nothing comes any more but from the film, which ends with the service."""
        self.feed.pause()
        self.shelf.end()
        for peer in self.peers.values():
            peer.stop()


@contextmanager
def plant(folder: Path, sights: Sights) -> Iterator[Plant]:
    """The service has just begun to answer."""
    with ExitStack() as stack:
        servers = stack.enter_context(running_servers(folder))
        peers = {name: stack.enter_context(RtspPeer(fps=FPS, key_every=8)) for name in ON_NETWORK}
        loop = film(folder / "loop.avi", frames=200)
        shelf = stack.enter_context(Shelf(folder / "shelf", sights, FPS / 2))
        config = base_config(folder, sights, servers.valkey) | {
            "sources": [
                {"kafka": servers.kafka_input(max_message_bytes=MAX_MESSAGE_BYTES)},
                *(
                    {"rtsp": {"camera": name, "url": peer.url, "open_timeout_s": 2, "read_timeout_s": 2}}
                    for name, peer in peers.items()
                ),
                {"files": {"camera": FILM, "path": str(loop), "fps": FPS, "loop": True}},
                {"files": {"camera": FOLDER, "path": str(folder / "shelf"), "watch": True}},
            ],
            "publish": {"bootstrap_servers": servers.steady.address},
        }
        service = stack.enter_context(Service(config, folder, "plant"))
        scores = stack.enter_context(Scores(servers.steady.address, "scores"))
        feed = stack.enter_context(Feed(servers.address, TOPIC, dict.fromkeys(ON_TOPIC, sights.jpeg), FPS))
        yield Plant(service, servers, feed, scores, peers, shelf)
