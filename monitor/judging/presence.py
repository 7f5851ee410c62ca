"""How long each camera has been silent, and whose fault that is."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class _Seen:
    source: str
    last_s: float


class Presence:
    """When something last came from each camera. Thread-safe; times are monotonic seconds.

    A camera is silent since its last frame, usable or not. Its silence says nothing while we cannot hear it: while
    the topic that carries it cannot be read, or while we ourselves hold the topic back for want of room. Such times
    are not counted. Cameras of files are not kept here: nobody promised when the next file comes.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._cameras: dict[str, _Seen] = {}
        self._deaf: set[str] = set()
        self._departed: deque[str] = deque()

    def expected(self, camera: str, source: str) -> None:
        """A camera of the configuration: silent from now on, unless it was heard already."""
        with self._lock:
            self._cameras.setdefault(camera, _Seen(source, self._clock()))

    def heard(self, camera: str, source: str, moves: bool = False) -> None:
        """A frame came, usable or not. `moves`: its source may hand the camera to another worker and get it back; what
        is remembered of an earlier time here is then to be forgotten."""
        now_s = self._clock()
        with self._lock:
            seen = self._cameras.get(camera)
            if seen is None:
                self._cameras[camera] = _Seen(source, now_s)
                if moves:
                    self._departed.append(camera)
            else:
                seen.source, seen.last_s = source, now_s

    def heard_again(self, camera: str) -> None:
        """Something came that is no frame. It shows that a camera lives, and makes none known that was not."""
        with self._lock:
            if camera in self._cameras:
                self._cameras[camera].last_s = self._clock()

    def held_up(self, source: str) -> None:
        """We let this source wait: what its cameras would have said until now is not known."""
        now_s = self._clock()
        with self._lock:
            for seen in self._cameras.values():
                if seen.source == source:
                    seen.last_s = now_s

    def deaf(self, source: str, deaf: bool) -> None:
        """This source cannot be read (True) or can again, which begins its cameras' silence anew."""
        with self._lock:
            if deaf:
                self._deaf.add(source)
                return
            if source not in self._deaf:
                return
            self._deaf.discard(source)
        self.held_up(source)

    def gone(self, camera: str) -> None:
        """The camera owes us nothing now: its source has ended, or delivers."""
        with self._lock:
            self._cameras.pop(camera, None)

    def left(self, camera: str) -> None:
        """Another worker reads this camera now: what is remembered of it here is to be forgotten."""
        self.gone(camera)
        self._departed.append(camera)

    def departed(self) -> list[str]:
        """The cameras that left since this was last asked."""
        found = []
        while self._departed:
            found.append(self._departed.popleft())
        return found

    def knows(self, camera: str) -> bool:
        """Whether frames are expected from this camera, be it silent or not."""
        with self._lock:
            return camera in self._cameras

    def silence_s(self) -> dict[str, float]:
        """For how long each camera that can be heard has said nothing."""
        now_s = self._clock()
        with self._lock:
            return {
                camera: max(0.0, now_s - seen.last_s)
                for camera, seen in self._cameras.items()
                if seen.source not in self._deaf
            }
