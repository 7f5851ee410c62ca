"""The port of whatever looks at a camera, inside the capture process."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Sight(Enum):
    """What a look has brought."""

    PICTURE = "picture"
    DAMAGED = "damaged"
    NOT_A_KEY_FRAME = "not_a_key_frame"
    NOTHING = "nothing"


class EyeError(Exception):
    """The camera cannot be opened or has ended; the words are for an operator. They may hold the address."""


class Eye(Protocol):
    """Opened once, then looked through until it raises. Every method blocks for its time-out at most, or hangs: then
    the parent kills the process."""

    def open(self) -> str:
        """Connect; returns what decodes. Raises EyeError."""
        ...

    def look(self) -> Sight:
        """Wait for the next thing to come. Raises EyeError when nothing comes any more."""
        ...

    def pixels(self) -> NDArray[np.uint8] | None:
        """The picture of the last look, uint8 [H, W, 3] BGR, contiguous, good until the next look; None: damaged."""
        ...

    def close(self) -> None:
        """Let go of the camera. May be called again."""
        ...
