"""A stretch of frames in which something is wrong."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """What is wrong in the frames first_frame to last_frame, both counted in.

    `judged` is False where nobody can say: alerts there are neither right nor wrong.
    """

    kind: str
    first_frame: int
    last_frame: int
    judged: bool = True
