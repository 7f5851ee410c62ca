"""Times and figures of a replay, as people read them."""

from __future__ import annotations

import math
from datetime import UTC, datetime


def when(time_ns: int) -> str:
    """ns since the epoch in UTC, to the second."""
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")


def length(seconds: float | None) -> str:
    """A time that something took; None: it goes on."""
    if seconds is None:
        return "not ended"
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def score(value: float) -> str:
    """A raw score; no number where nobody knows it."""
    return f"{value:.4g}" if math.isfinite(value) else "unknown"


def rate(value: float | None) -> str:
    """So many a day; None: nobody can tell."""
    return "–" if value is None else f"{value:.1f}"


def away(seconds: float) -> str:
    """How far something lies before or after."""
    return f"{length(abs(seconds))} {'later' if seconds > 0 else 'earlier'}"
