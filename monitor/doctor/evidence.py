"""Whether pictures and clips of alerts can be written, and how long there is room for them."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from monitor.doctor.finding import Finding, failed, ok, warning
from monitor.evidence_settings import Evidence

LEAST_BYTES = 50_000_000
LITTLE_BYTES = 1_000_000_000
ALERT_BYTES = 400_000
"""What one alert takes, roughly: a camera's JPEG, its heat map and its clip."""
COUNTED = 20_000
"""So many files give the rate well enough."""
KINDS = frozenset({".jpg", ".mp4"})


def examine_evidence(settings: Evidence, over: threading.Event) -> Iterator[Finding]:
    folder = settings.dir.expanduser()
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    try:
        if not there.is_dir():
            raise NotADirectoryError(20, f"{there} is no folder")
        with tempfile.TemporaryFile(dir=there, prefix=".linewatch-doctor-"):
            pass
        free = shutil.disk_usage(there).free
    except OSError as error:
        yield failed(
            f"{folder}: cannot be written ({(error.strerror or type(error).__name__).lower()})",
            "give the service's user the right to write there, or set evidence.dir",
        )
        return
    told = f"{folder}: can be written" + ("" if there == folder else "; it will be made")
    if free < LEAST_BYTES:
        yield failed(f"{told}, but only {_size(free)} are free", "make room: alerts would be told without pictures")
    elif free < LITTLE_BYTES:
        yield warning(f"{told}, but only {_size(free)} are free", "make room, or lower evidence.keep_days")
    else:
        yield ok(f"{told}, {_size(free)} free")
    yield _room(folder, free, settings)


def _room(folder: Path, free: int, settings: Evidence) -> Finding:
    """How long the room lasts, by what the alerts of the past took; that of `max_bytes` where it is the smaller one."""
    kept = []
    for file in itertools.islice(folder.glob("*/*"), COUNTED):
        with suppress(FileNotFoundError):  # its days were over, and a running linewatch has removed it
            if file.suffix in KINDS:
                kept.append(file.stat())
    used, limit = sum(one.st_size for one in kept), settings.max_bytes
    most = min(limit, used + free)
    if not kept:
        told = f"room for about {most // ALERT_BYTES:,} alerts"
        if limit > free:
            return ok(told, f"hint: evidence.max_bytes allows {_size(limit)}, which is more than is free")
        return ok(told)
    days = max(1.0, (time.time() - min(one.st_mtime for one in kept)) / 86_400)
    a_day = max(used / days, 1.0)
    told = f"{_size(round(a_day))} a day so far"
    if limit <= used + free:
        holds = limit / a_day
        if holds < settings.keep_days:
            return warning(
                f"{told}: evidence.max_bytes ({_size(limit)}) holds {holds:,.0f} days, and evidence.keep_days says "
                f"{settings.keep_days:g}",
                "raise evidence.max_bytes, or lower evidence.keep_days; the oldest ones go first",
            )
        return ok(f"{told}: evidence.max_bytes ({_size(limit)}) holds what evidence.keep_days keeps")
    lasts = free / a_day
    told += f": the free room lasts about {min(lasts, 99_999):,.0f} days"
    if lasts < settings.keep_days and days < settings.keep_days:
        return warning(
            f"{told}, and pictures are kept for {settings.keep_days:g}",
            "lower evidence.keep_days or evidence.max_bytes, or give it more room",
        )
    return ok(told)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
