"""How a camera's reference comes to be, and how it follows the slow changes of a day."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.judging.health.reference import Reference
from monitor.scoring.sight import Sight

SAMPLES: Final = 40
"""Pictures that a reference is learnt from, spread over the time given for it."""

_UNEVEN: Final = 0.618034  # the golden section: steps that keep no time with a machine's beat
_FOLLOW_EVERY_S: Final = 0.5
_FOLLOW_OVER_S: Final = 600.0  # so slowly does the reference follow: a morning's light, not a lamp
_SETTLE_EVERY: Final = 20
_OTHER_SHAPE: Final = 0.05  # change of width by height above which the pictures are another view


@dataclass(slots=True)
class Learner:
    """Learns one camera's reference from pictures without trouble, and lets it follow. Times on the frames' clock."""

    learn_s: float
    anchor: NDArray[np.uint8] | None = None
    reference: Reference | None = None
    _samples: list[Sight] = field(default_factory=list)
    _waited_s: float = float("inf")
    _taken: int = 0

    def forget(self) -> None:
        """Learn anew; what was given as the reference is given up, too."""
        self.anchor = self.reference = None
        self._samples.clear()
        self._waited_s = float("inf")

    def take(self, sight: Sight, dt_s: float) -> None:
        """A picture of the camera at work with nothing suspected in it, `dt_s` after the one before."""
        self._waited_s += dt_s
        step_s = self.learn_s / SAMPLES if self.reference is None else _FOLLOW_EVERY_S
        # Even steps could always meet the belt at rest, and what moves in between would be taken for a fault.
        if self._waited_s < step_s * (0.5 + self._taken * _UNEVEN % 1.0):
            return
        self._taken += 1
        if self.reference is None:
            self._learn(sight)
        else:
            self._follow(self.reference, sight)
        self._waited_s = 0.0

    def new_shape(self, sight: Sight) -> bool:
        """Whether the pictures have another shape than the reference: then it says nothing of them."""
        return self.reference is not None and abs(sight.aspect / self.reference.aspect - 1) > _OTHER_SHAPE

    def _learn(self, sight: Sight) -> None:
        if self._samples and abs(sight.aspect / self._samples[-1].aspect - 1) > _OTHER_SHAPE:
            self._samples.clear()
        if self._samples and self._samples[-1].checksum == sight.checksum:
            return  # a frozen picture shows nothing of what varies
        self._samples.append(sight)
        if len(self._samples) == SAMPLES:
            self.reference = Reference.learn(self._samples, self.anchor)
            self._samples.clear()

    def _follow(self, reference: Reference, sight: Sight) -> None:
        reference.follow(sight, min(self._waited_s, 10 * _FOLLOW_EVERY_S) / _FOLLOW_OVER_S)
        if self._taken % _SETTLE_EVERY == 0:
            reference.settle()
