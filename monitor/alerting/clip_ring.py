"""The last seconds of each camera in memory: what a clip shows of the time before its alert."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

EARLIER_S = 2.0
"""The frame that triggered may lie so much before the one at which the alert fires; frames are kept so much longer."""
GONE_S = 60.0
"""A camera without a frame for so long beside that time is forgotten."""


@dataclass(eq=False, slots=True)
class Sample:
    """One encoded frame. users: how many rings and clips hold it."""

    at_ns: int
    payload: bytes
    users: int = 0


@dataclass(eq=False, slots=True)
class Ring:
    """One camera. due_ns: frames from this capture time on are kept. seen_s: the newest one, on the monotonic clock."""

    due_ns: int
    seen_s: float
    samples: deque[Sample] = field(default_factory=deque)
    size: int = 0
    collecting: list[Callable[[Sample], bool]] = field(default_factory=list)
    """Told of each frame that is kept; those that return False want no more."""


class ClipRings:
    """Not thread-safe but for `due`, which only looks. Sizes in bytes; a frame that several hold counts once."""

    def __init__(self, before_s: float, fps: float, memory_bytes: int) -> None:
        self._gap_ns = round(1e9 / fps)
        self._span_ns = round((before_s + EARLIER_S) * 1e9)
        self._gone_s = before_s + GONE_S
        self._most = math.ceil((before_s + EARLIER_S) * fps) + 2
        self._memory_bytes = memory_bytes
        self.rings: dict[str, Ring] = {}
        self.size = 0

    def due(self, camera: str, at_ns: int) -> bool:
        """Whether a frame with this capture time is to be kept. In step with the clock, so that a camera whose frames
        come a little early or late has no fewer of them; a time far before the last one (a clock that was set back, a
        frame delivered again) begins anew."""
        ring = self.rings.get(camera)
        return ring is None or not 0 < ring.due_ns - at_ns <= self._gap_ns + self._gap_ns

    def claim(self, camera: str, at_ns: int) -> Ring:
        """Note that this frame is the one that was due."""
        now_s = time.monotonic()
        ring = self.rings.get(camera)
        if ring is None:
            ring = self.rings[camera] = Ring(at_ns + self._gap_ns, now_s)
            return ring
        in_step = 0 <= at_ns - ring.due_ns < self._gap_ns
        ring.due_ns = (ring.due_ns if in_step else at_ns) + self._gap_ns
        ring.seen_s = now_s
        return ring

    def add(self, camera: str, sample: Sample) -> None:
        """Keep a frame, and let go of what is too old or too much."""
        ring = self.rings.get(camera)
        if ring is None:
            return  # it was forgotten while its frame was being encoded
        ring.samples.append(sample)
        ring.size += len(sample.payload)
        self.hold(sample)
        if ring.collecting:
            ring.collecting = [wants for wants in ring.collecting if wants(sample)]
        samples = ring.samples
        # Far on either side: after a clock was set back, what it said before is of no use.
        while len(samples) > self._most or abs(sample.at_ns - samples[0].at_ns) > self._span_ns:
            self._drop_oldest(ring)
        if self.size > self._memory_bytes:
            self._make_room(ring)

    def forget_gone(self, now_s: float) -> None:
        """Let go of cameras that have left. now_s: on the monotonic clock."""
        for camera, ring in list(self.rings.items()):
            if now_s - ring.seen_s > self._gone_s:
                while ring.samples:
                    self._drop_oldest(ring)
                del self.rings[camera]

    def hold(self, sample: Sample) -> None:
        if sample.users == 0:
            self.size += len(sample.payload)
        sample.users += 1

    def let_go(self, sample: Sample) -> None:
        sample.users -= 1
        if sample.users == 0:
            self.size -= len(sample.payload)

    def newest(self, camera: str) -> Iterator[Sample]:
        """The frames of a camera, newest first."""
        ring = self.rings.get(camera)
        return iter(()) if ring is None else reversed(ring.samples)

    def _make_room(self, ring: Ring) -> None:
        """Each camera may hold its share; who holds more lets its own oldest go. Where that does not do, since others
        hold too much and say nothing, those do."""
        share = self._memory_bytes / len(self.rings)
        while self.size > self._memory_bytes and ring.size > share:
            self._drop_oldest(ring)
        while self.size > self._memory_bytes:
            largest = max(self.rings.values(), key=lambda other: other.size)
            if not largest.samples:
                return  # clips that are being made hold all of it
            self._drop_oldest(largest)

    def _drop_oldest(self, ring: Ring) -> None:
        sample = ring.samples.popleft()
        ring.size -= len(sample.payload)
        self.let_go(sample)
