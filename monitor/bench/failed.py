"""What ends a bench."""

from __future__ import annotations


class BenchFailed(RuntimeError):
    """A bench could not be brought to its end; the message says what was waited for, what came, and what was said."""
