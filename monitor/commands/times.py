"""Times as people write and read them on a terminal: on this machine's clock."""

from __future__ import annotations

import re
import time
from datetime import datetime

import typer

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def moment_ns(text: str) -> int:
    """A time like 2026-05-31T10:15:00 (of this machine's clock), one with its offset, or HH:MM[:SS] of today, in ns
    since the epoch. typer.BadParameter otherwise, and for times to come."""
    try:
        if re.fullmatch(r"\d{1,2}:\d{2}(:\d{2}(\.\d{1,6})?)?", text):
            text = f"{datetime.now():%Y-%m-%d}T{'0' if text[1] == ':' else ''}{text}"
        at_s = datetime.fromisoformat(text).astimezone().timestamp()
    except (ValueError, OverflowError, OSError):
        raise typer.BadParameter(f"{text!r}: expected a time like 2026-05-31T10:15:00 or 10:15") from None
    if not 0 <= at_s <= time.time():
        raise typer.BadParameter(f"{text}: expected a time that has passed")
    return round(at_s * 1000) * 1_000_000


def span_s(text: str) -> float:
    """A time span like 90s, 30m, 8h or 7d, in seconds; a bare number is minutes. typer.BadParameter otherwise."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)([smhd]?)", text.strip())
    if found is None or float(found[1]) == 0:
        raise typer.BadParameter(f"{text!r}: expected a time span like 30m, 8h or 7d")
    return float(found[1]) * UNITS_S[found[2] or "m"]


def shown(time_ns: int | None) -> str:
    """Date and time on this machine's clock; a dash for none."""
    if time_ns is None:
        return "-"
    return f"{datetime.fromtimestamp(time_ns // 10**9):%Y-%m-%d %H:%M:%S}"


def shown_ms(time_ms: int | None) -> str:
    return shown(None if time_ms is None else time_ms * 1_000_000)
