"""What can be wrong with a camera, apart from the parts that it sees."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum


class Condition(StrEnum):
    """A way in which a camera fails to show its parts. Limits and units: docs/camera-health.md."""

    OFFLINE = "offline"
    FROZEN = "frozen"
    DARK = "dark"
    BRIGHT = "bright"
    BLURRED = "blurred"
    COVERED = "covered"
    MOVED = "moved"
    RELIT = "relit"


@dataclass(frozen=True, slots=True)
class Trouble:
    """A stretch of time in which a condition held at a camera.

    trouble_id: 16 hexadecimal digits, the same from begin to end and when the frames are redelivered: it is made from
    the camera, the condition and the time of the first frame that showed it.
    Times in ns since the epoch, on the frames' own clock. `value` was measured when the condition was confirmed, and
    `limit` is what was allowed, both in the condition's unit.
    """

    trouble_id: str
    camera: str
    condition: Condition
    began_at_ns: int
    ended_at_ns: int | None
    value: float
    limit: float


@dataclass(frozen=True, slots=True)
class Look:
    """What one frame says about its camera.

    suspect: what looks wrong in this very frame, confirmed or not.
    held: anomaly alerts of this camera are to be held back now, since a condition other than `offline` holds, or may
    be about to and is not yet decided.
    changes: conditions that began or ended with this frame.
    """

    suspect: frozenset[Condition]
    held: bool
    changes: tuple[Trouble, ...] = ()


def trouble_id(camera: str, condition: Condition, began_at_ns: int) -> str:
    """16 hexadecimal digits, the same whenever this condition begins at this camera at this time."""
    return hashlib.sha256(f"{camera}|{condition.value}|{began_at_ns}".encode()).hexdigest()[:16]
