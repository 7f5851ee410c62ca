"""Frames of several cameras, made of footage, as the stages behind the reading meet them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Final

from monitor.bench.footage import Footage
from monitor.scoring.inbox import Arrival
from streams.frame import Frame

EVERY_NS: Final = 100_000_000
"""Between two frames of a camera, as they are stamped."""
BEHIND_NS: Final = 86_400 * 10**9
"""So far in the past they begin: none may lie in the future, however fast they are used."""


class Nobody:
    """Where frames come from that nobody waits for."""

    def finish(self, frame: Frame) -> None:
        """There is nothing to note."""

    def reject(self, frame: Frame, error: str) -> None:
        """Likewise."""


def cameras(count: int) -> list[str]:
    return [f"camera-{number:03}" for number in range(1, count + 1)]


def frames(footage: Footage, count: int) -> Iterator[Frame]:
    """Of so many cameras in turn, each with the footage from its first picture on, without an end."""
    start_ns, names = time.time_ns() - BEHIND_NS, cameras(count)
    offset = itertools.count()
    for seq in itertools.count():
        for name in names:
            yield Frame(
                camera=name,
                seq=seq,
                captured_at_ns=start_ns + seq * EVERY_NS,
                origin=f"frames/0/{next(offset)}",
                payload=footage.jpegs[seq % len(footage.jpegs)],
            )


def arrivals(footage: Footage, count: int) -> Iterator[Arrival]:
    """The same, as they come out of the inbox."""
    nobody = Nobody()
    return (Arrival(frame, nobody, time.monotonic()) for frame in frames(footage, count))
