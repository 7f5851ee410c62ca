"""A camera's fill, learnt from its own frames: the median picture, which what only passes by leaves no trace in."""

from __future__ import annotations

from typing import Final

import numpy as np

from monitor.scoring.fill import Picture

SAMPLES: Final = 15
APART_NS: Final = 1_000_000_000
APART_FRAMES: Final = 50
"""Where the frames' clock does not get on, a sample is taken after so many."""

PATIENCE: Final = 15
"""After so many samples of which none was fit, a black or blank picture is what this camera looks like."""

_BLACK_UP_TO, _BURNT_FROM = 20, 250
_MOST_BLACK, _MOST_BURNT = 0.75, 0.6  # shares of the picture, as in the camera's health
_LEAST_DEVIATION = 3.0  # grey levels; a lens cap and a signal that is lost have less


class FillLearner:
    """Takes SAMPLES frames, at least APART_NS from each other by their own clock. Belongs to one thread at a time.

    fill: the median of what was taken so far, from the first frame on. complete: whether it is final.
    """

    def __init__(self, first: Picture, time_ns: int) -> None:
        """`first` serves until a fit one comes, be it fit or not."""
        self.fill = first
        self.complete = False
        self._samples: list[Picture] = []
        self._unfit = 0
        self._last_ns = time_ns
        self._since = 0
        self._take(first)

    def offer(self, picture: Picture, time_ns: int) -> bool:
        """A frame, uint8 [S, S, C] like the first; whether `fill` or `complete` changed."""
        self._since += 1
        if self.complete or (abs(time_ns - self._last_ns) < APART_NS and self._since < APART_FRAMES):
            return False
        self._last_ns, self._since = time_ns, 0
        return self._take(picture)

    def _take(self, picture: Picture) -> bool:
        if self._unfit < PATIENCE and not is_fit(picture):
            self._unfit += 0 if self._samples else 1
            return False
        self._samples.append(picture.copy())
        self.fill = _median(self._samples)
        if len(self._samples) == SAMPLES:
            self.complete = True
            self._samples.clear()
        return True


def is_fit(picture: Picture) -> bool:
    """Whether a picture, uint8 [S, S, C], shows a scene: not nearly all of it black or burnt out, and not blank."""
    grey = picture.mean(axis=2)
    black, burnt = (grey <= _BLACK_UP_TO).mean(), (grey >= _BURNT_FROM).mean()
    return bool(black <= _MOST_BLACK and burnt <= _MOST_BURNT and grey.std() >= _LEAST_DEVIATION)


def _median(samples: list[Picture]) -> Picture:
    """The lower of the two in the middle where they are even in number: a level that was seen, pixel by pixel."""
    middle = (len(samples) - 1) // 2
    return np.ascontiguousarray(np.partition(np.stack(samples), middle, axis=0)[middle])
