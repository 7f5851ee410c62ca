"""What a process and its children hold: memory, threads, open files, read from /proc (Linux)."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Sample:
    """One look. `at_s` monotonic. `rss_mb`, `threads` and `fds` are the process's own, `children_mb` its children's
    together."""

    at_s: float
    rss_mb: float
    threads: int
    fds: int
    children: int
    children_mb: float
    children_fds: int


def sample(pid: int) -> Sample:
    """How it stands now. A child that ends meanwhile counts as nothing."""
    below = descendants(pid)
    return Sample(
        at_s=time.monotonic(),
        rss_mb=_rss_mb(pid),
        threads=len(_listed(Path(f"/proc/{pid}/task"))),
        fds=len(_listed(Path(f"/proc/{pid}/fd"))),
        children=len(below),
        children_mb=sum(_rss_mb(child) for child in below),
        children_fds=sum(len(_listed(Path(f"/proc/{child}/fd"))) for child in below),
    )


def descendants(pid: int) -> list[int]:
    """The children of a process, theirs, and so on."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            # The name in brackets may hold anything; the parent is the second word after it.
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found, edge = [], [pid]
    while edge:
        edge = [child for child, parent in parents.items() if parent in edge]
        found += edge
    return found


def open_files(pid: int) -> Counter[str]:
    """What its open files are, for the search after a leak: TCP connections by the far end's port, the rest by kind."""
    far_ends: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
            words = line.split()
            far_ends[words[9]] = f"tcp to port {int(words[2].rpartition(':')[2], 16)}, state {words[3]}"
    found: Counter[str] = Counter()
    for name in _listed(Path(f"/proc/{pid}/fd")):
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/{pid}/fd/{name}")
            kind, _, inode = target.partition(":")
            found[far_ends.get(inode.strip("[]"), kind) if kind == "socket" else kind] += 1
    return found


def slope_per_minute(samples: list[tuple[float, float]]) -> float:
    """The median of the slopes of all pairs (Theil and Sen) of (s, value): outliers among them move it little."""
    times, values = (np.asarray(column, np.float64) for column in zip(*samples, strict=True))
    first, second = np.triu_indices(len(times), k=1)
    return float(np.median((values[second] - values[first]) / (times[second] - times[first]))) * 60


def _rss_mb(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 1e6
    except (OSError, IndexError):
        return 0.0


def _listed(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
