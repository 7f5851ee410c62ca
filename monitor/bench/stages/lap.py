"""One lap of a stage: so many frames, how long they took, and the processor time of those who worked on them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ServerClock = Callable[[], float | None]
"""Processor seconds of a server until now; None where nobody tells."""


@dataclass(frozen=True, slots=True)
class Lap:
    """cpu_s: of all threads of this process. server_cpu_s: None where the stage asks no server, or nobody tells."""

    frames: int
    wall_s: float
    cpu_s: float
    server_cpu_s: float | None


class StageFailed(RuntimeError):
    """A stage that could not be measured; the message says which and why."""


class Stopwatch:
    """Runs from `start` to `stop`, which may be called from any thread."""

    def __init__(self, server: ServerClock | None = None) -> None:
        self._server: ServerClock = server or (lambda: None)
        self._began_s, self._began_cpu_s = 0.0, 0.0
        self._began_server_s: float | None = None

    def start(self) -> None:
        self._began_server_s = self._server()
        self._began_cpu_s = time.process_time()
        self._began_s = time.perf_counter()

    @property
    def elapsed_s(self) -> float:
        return time.perf_counter() - self._began_s

    def stop(self, frames: int) -> Lap:
        wall_s, cpu_s, server_s = self.elapsed_s, time.process_time() - self._began_cpu_s, self._server()
        before_s = self._began_server_s
        return Lap(frames, wall_s, cpu_s, None if server_s is None or before_s is None else server_s - before_s)


def timed(work: Callable[[], int], seconds: float, server: ServerClock | None = None) -> Lap:
    """Call `work`, which tells how many frames it did, until so many seconds are over; at least once."""
    watch = Stopwatch(server)
    watch.start()
    frames = work()
    while watch.elapsed_s < seconds:
        frames += work()
    return watch.stop(frames)


def processor_s(pid: int | None) -> float | None:
    """Processor seconds of a process, user and system, to a hundredth; None where the system does not tell (not Linux,
    or no such process)."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = told.rpartition(")")[2].split()  # the name before it may hold anything
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
