"""Processor seconds of the threads of this process and of the processes that it started. Linux tells; elsewhere
nothing is found."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections import defaultdict
from pathlib import Path
from typing import Final

from monitor.bench.stages.lap import processor_s

_TASKS: Final = Path("/proc/self/task")
_TICKS: Final = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class Threads:
    """Threads by name; those that differ by a number only count as one. A thread that has ended keeps its seconds, as
    far as they were looked at."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[str, float]] = {}
        self._ended: dict[str, float] = defaultdict(float)

    def cpu_s(self) -> dict[str, float]:
        """Seconds until now. Threads that Python did not start have the system's name for them, in brackets."""
        names = {thread.native_id: thread.name for thread in threading.enumerate()}
        now = {}
        for place in _entries(_TASKS):
            seconds = _of_thread(place)
            if seconds is not None:
                thread = int(place.name)
                now[thread] = (_plain(names.get(thread) or f"[{_told(place / 'comm')}]"), seconds)
        for thread, (name, seconds) in self._seen.items():
            if thread not in now or now[thread][1] < seconds:  # ended, or its number taken by another
                self._ended[name] += seconds
        self._seen = now
        found = defaultdict(float, self._ended)
        for name, seconds in now.values():
            found[name] += seconds
        return dict(found)


def children_s() -> dict[int, float]:
    """Seconds until now of every process that this one started and that still runs, with all that those started, by
    process id of the former."""
    found = {}
    for pid in _children(os.getpid()):
        if (seconds := processor_s(pid)) is not None:
            found[pid] = seconds + sum(processor_s(one) or 0.0 for one in _below(pid))
    return found


def _below(pid: int) -> list[int]:
    return [one for child in _children(pid) for one in (child, *_below(child))]


def _children(pid: int) -> list[int]:
    tasks = _entries(Path(f"/proc/{pid}/task"))
    return [int(child) for task in tasks for child in _told(task / "children").split()]


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # not Linux, or the process is gone
        return []


def _of_thread(task: Path) -> float | None:
    """To the nanosecond where the kernel keeps that, else to a hundredth; None for a thread that has ended."""
    if exact := _told(task / "schedstat").split():
        return int(exact[0]) / 1e9
    fields = _told(task / "stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS if fields else None


def _told(file: Path) -> str:
    with contextlib.suppress(OSError):
        return file.read_text(encoding="utf-8", errors="replace").strip()
    return ""


def _plain(name: str) -> str:
    """Without the number at its end: decode_0, decode_1."""
    return re.sub(r"(?<=.)[-_: ]*[0-9]+(?=\]?$)", "", re.sub(r" \(.*\)$", "", name))
