"""Whether a service grew: two looks at rest, before and after many faults, and the way between them."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Self

from tests.faults.procs import Sample, slope_per_minute

MAX_SLOPE_MB_PER_MIN = 2.0
MAX_GROWTH = 0.10
MORE_THREADS = 2
MORE_FILES = 16
MORE_CHILDREN_FILES = 4
"""Pools of threads and connections breathe by one or two, and kafka-python leaves the sockets of refused connections
to the garbage collector: up to a dozen were seen after an outage, and none after a collection. A file lost at every
fault of ten minutes would be a hundred."""
SETTLE_S = 300.0
"""So far back the charts of the page reach: until then their memory fills up."""
JUDGE_MEMORY_FROM_S = SETTLE_S + 180.0
"""Below this a fit says nothing."""


@dataclass(frozen=True)
class Calm:
    """Medians while nothing is wrong."""

    rss_mb: float
    threads: float
    fds: float
    children: float
    children_mb: float
    children_fds: float

    @classmethod
    def of(cls, samples: list[Sample]) -> Self:
        return cls(*(median(getattr(s, name) for s in samples) for name in cls.__dataclass_fields__))

    def __str__(self) -> str:
        return (
            f"{self.rss_mb:.0f} MB, {self.threads:.0f} threads, {self.fds:.0f} files; {self.children:.0f} children "
            f"with {self.children_mb:.0f} MB and {self.children_fds:.0f} files"
        )


def growth(before: Calm, after: Calm, between: list[Sample]) -> list[str]:
    """What has grown by more than it may, in words; prints the figures."""
    complaints = []
    for name, allowed in (
        ("threads", MORE_THREADS),
        ("fds", MORE_FILES),
        ("children", 0),
        ("children_fds", MORE_CHILDREN_FILES),
    ):
        was, now = getattr(before, name), getattr(after, name)
        if now > was + allowed:
            complaints.append(f"{name} grew from {was:.0f} to {now:.0f} at rest; {allowed} more are allowed")
    lasted_s = between[-1].at_s - between[0].at_s if between else 0.0
    if lasted_s < JUDGE_MEMORY_FROM_S:
        print(f"memory is not judged: {lasted_s:.0f} s of faults, {JUDGE_MEMORY_FROM_S:.0f} s are enough", flush=True)
        return complaints
    later = [s for s in between if s.at_s - between[0].at_s >= SETTLE_S]
    slope = slope_per_minute([(s.at_s, s.rss_mb) for s in later])
    third = max(1, len(later) // 3)
    first, last = (median(s.rss_mb for s in part) for part in (later[:third], later[-third:]))
    print(
        f"memory after the first {SETTLE_S:.0f} s: {slope:+.2f} MB a minute, "
        f"{first:.0f} MB in the first third, {last:.0f} MB in the last",
        flush=True,
    )
    if slope > MAX_SLOPE_MB_PER_MIN:
        complaints.append(f"memory grows by {slope:.2f} MB a minute; {MAX_SLOPE_MB_PER_MIN} are allowed")
    if last > first * (1 + MAX_GROWTH):
        complaints.append(f"memory grew from {first:.0f} to {last:.0f} MB; {MAX_GROWTH:.0%} are allowed")
    if after.children_mb > before.children_mb * (1 + MAX_GROWTH) + 5:
        complaints.append(f"the children's memory grew from {before.children_mb:.0f} to {after.children_mb:.0f} MB")
    return complaints
