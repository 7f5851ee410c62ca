"""The pictures that people were shown a moment ago: who marks one as a missed defect means the one that he saw."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from streams.frame import Frame

MAX_BYTES = 128 << 20
"""16 cameras on an open page, 2 pictures of 100 kB a second each, fill this in 40 s."""
MAX_AGE_S = 120.0


@dataclass(frozen=True, slots=True)
class Sighting:
    """A judged frame with its picture. score and limit: raw. model: the id of the one that scored it."""

    frame: Frame
    score: float
    limit: float
    model: str


class Seen:
    """The newest sightings, as many as fit. Thread-safe."""

    def __init__(
        self, max_bytes: int = MAX_BYTES, max_age_s: float = MAX_AGE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, int], tuple[float, Sighting]] = OrderedDict()
        self._bytes = 0

    def note(self, sighting: Sighting, jpeg: bytes) -> None:
        """Somebody was sent this frame as these bytes."""
        frame = sighting.frame
        kept = replace(sighting, frame=replace(frame, payload=jpeg, pixels=None))
        key = frame.camera, frame.captured_at_ns // 1_000_000
        now_s = self._clock()
        with self._lock:
            self._drop(key)
            self._kept[key] = now_s, kept
            self._bytes += len(jpeg)
            while self._kept:
                oldest, (seen_s, _) = next(iter(self._kept.items()))
                if self._bytes <= self._max_bytes and now_s - seen_s <= self._max_age_s:
                    break
                self._drop(oldest)

    def find(self, camera: str, captured_at_ms: int) -> Sighting | None:
        """The frame of this camera that was captured in this very millisecond, if it was shown lately."""
        with self._lock:
            found = self._kept.get((camera, captured_at_ms))
            return None if found is None or self._clock() - found[0] > self._max_age_s else found[1]

    def _drop(self, key: tuple[str, int]) -> None:
        gone = self._kept.pop(key, None)
        if gone is not None:
            self._bytes -= gone[1].frame.size_bytes
