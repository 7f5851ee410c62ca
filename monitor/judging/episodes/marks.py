"""How far the frames of a camera were judged: so much, and no list, tells which ones come again."""

from __future__ import annotations

import re
from collections.abc import Mapping

from streams.frame import Frame

MAX_STREAMS = 16
"""So many streams of a camera are remembered, the last ones: films bring a new one with every file."""

NEVER_AGAIN = ("rtsp:", "usb:")
"""How the streams begin that deliver nothing twice; a topic's name holds no colon."""

_ORIGIN = re.compile(r"(.*)[/#](\d+)", re.DOTALL)


class Marks:
    """The watermark of each stream that a camera's frames came from: the highest number and the latest capture time.

    A stream is an origin without its number: `topic/partition`, `rtsp:camera`, a file. A frame was judged before where
    neither its number nor its capture time is above the mark. So frames that are redelivered are known again however
    many they are, and those of a source that counts anew after a restart are not mistaken for them. Cameras that are
    captured here never deliver a frame again, so of them nothing is remembered: their numbers begin anew with each
    process, and after a clock that was set back none would pass.
    """

    def __init__(self, known: Mapping[str, tuple[int, int]] | None = None) -> None:
        self._known = dict(known or {})

    def advance(self, frame: Frame) -> bool:
        """Take note of a frame; False where it was judged before."""
        stream, number = _stream_of(frame)
        if stream.startswith(NEVER_AGAIN):
            return True
        at_ns = frame.stamped_ns
        known = self._known.get(stream)
        if known is not None:
            if number <= known[0] and at_ns <= known[1]:
                return False
            del self._known[stream]  # to the end: the streams stand in the order in which they last spoke
            if number > known[0]:
                at_ns = max(at_ns, known[1])
        self._known[stream] = number, at_ns
        while len(self._known) > MAX_STREAMS:
            del self._known[next(iter(self._known))]
        return True

    def __bool__(self) -> bool:
        return bool(self._known)

    def to_dict(self) -> dict[str, tuple[int, int]]:
        """Number and capture time (ns since the epoch) by stream."""
        return dict(self._known)


def _stream_of(frame: Frame) -> tuple[str, int]:
    found = _ORIGIN.fullmatch(frame.origin)
    return (found[1], int(found[2])) if found else (frame.origin, frame.seq)
