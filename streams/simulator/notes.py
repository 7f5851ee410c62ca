"""Turning spans of frames into truth in wall-clock time, as the frames are played."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from streams.simulator.span import Span
from streams.simulator.truth import Planted


class TruthNotes:
    """Notes when each span was really in view. Written by one thread, read by any."""

    def __init__(self, camera: str, frame_ns: int) -> None:
        self._camera, self._frame_ns = camera, frame_ns
        self._lock = threading.Lock()
        self._done: list[Planted] = []
        self._open: tuple[Span, Planted] | None = None

    def note(self, span: Span | None, frame_index: int, captured_at_ns: int) -> None:
        """Tell of the next frame: what is wrong in it, if anything, and when it was taken."""
        with self._lock:
            if self._open is not None and self._open[0] != span:
                self._close()
            if span is None:
                return
            started_at_ns = captured_at_ns if self._open is None else self._open[1].started_at_ns
            # Until the span has been played out, its end is the planned one.
            left = span.last_frame - frame_index + 1
            ended_at_ns = captured_at_ns + left * self._frame_ns
            self._open = span, _planted(self._camera, span, started_at_ns, ended_at_ns)

    def end_run(self) -> None:
        """The footage ended; the next frame begins it anew."""
        with self._lock:
            self._close()

    def planted(self) -> list[Planted]:
        """All that was noted, in order, with what is in view now."""
        with self._lock:
            return self._done + ([self._open[1]] if self._open is not None else [])

    def _close(self) -> None:
        if self._open is not None:
            self._done.append(self._open[1])
            self._open = None


def truth_of_plays(
    spans: Sequence[Span], camera: str, fps: float, started_at_ns: Iterable[int], until_ns: int
) -> list[Planted]:
    """The truth of a looping film from the times at which each round of it began.

    What would have come into view after its round's end or after `until_ns` is left out. What
    the next round cut short, as when a client reconnects and the film begins anew, is not judged.
    """
    starts = sorted(started_at_ns)
    truth: list[Planted] = []
    for start_ns, end_ns in zip(starts, [*starts[1:], until_ns], strict=True):
        for span in spans:
            first_ns = start_ns + round(span.first_frame / fps * 1e9)
            last_ns = start_ns + round((span.last_frame + 1) / fps * 1e9)
            if first_ns >= min(end_ns, until_ns):
                continue
            cut_short = end_ns != until_ns and last_ns - round(1e9 / fps) > end_ns
            judged = span.judged and not cut_short
            truth.append(Planted(camera, span.kind, first_ns, last_ns, judged))
    return truth


def _planted(camera: str, span: Span, started_at_ns: int, ended_at_ns: int) -> Planted:
    return Planted(camera, span.kind, started_at_ns, ended_at_ns, span.judged)
