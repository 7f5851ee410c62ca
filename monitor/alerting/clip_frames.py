"""Small JPEGs of frames that come as pixels, made in a thread of their own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from monitor.alerting.film import shrunk
from streams.codec import CodecError, encode_jpeg, pixels_of
from streams.frame import Frame

QUALITY = 85


class FrameEncoder:
    """`take` never waits. dropped: frames that came faster than they could be encoded."""

    def __init__(self, done: Callable[[Frame, bytes], None], width: int, max_pixels: int, waiting_bytes: int) -> None:
        """done: called in the thread of this, in order. waiting_bytes: what may wait; one frame always may."""
        self._done = done
        self._width = width
        self._max_pixels = max_pixels
        self._waiting_bytes = waiting_bytes
        self._waiting: deque[Frame] = deque()
        self._size = 0
        self._change = threading.Condition()
        self._stopping = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="clip-frames", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def take(self, frame: Frame) -> None:
        with self._change:
            if self._stopping or (self._waiting and self._size + frame.size_bytes > self._waiting_bytes):
                self.dropped += 1
                return
            self._waiting.append(frame)
            self._size += frame.size_bytes
            self._change.notify()

    def stop(self, flush_s: float) -> None:
        """Encode what waits; so long at most."""
        with self._change:
            self._stopping = True
            self._change.notify()
        if self._thread.is_alive():
            self._thread.join(flush_s)
        with self._change:
            self._waiting.clear()

    def _run(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting or self._stopping)
                if not self._waiting:
                    return
                frame = self._waiting.popleft()
                self._size -= frame.size_bytes
            try:
                payload = encode_jpeg(shrunk(pixels_of(frame, self._max_pixels), self._width), QUALITY)
            except (CodecError, ValueError):
                continue  # it is no picture; the clip does without
            self._done(frame, payload)
