"""Waiting for something that another thread does."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(true: Callable[[], object], within_s: float = 60.0) -> None:
    """Returns as soon as it holds; fails the test where it does not within that time."""
    end_s = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end_s, f"not so within {within_s:g} s"
        time.sleep(0.01)
