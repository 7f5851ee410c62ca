"""Finds capture processes from outside, as an operator would."""

from __future__ import annotations

import os
import time
from pathlib import Path

PROGRAM = "streams.capture.process"


def captures(parent: int | None = None) -> list[int]:
    """The process ids of the captures whose parent is `parent` (this process by default). Zombies are none."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0")
            state, ppid = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue  # gone meanwhile
        if PROGRAM.encode() in command and state != "Z" and int(ppid) == (parent or os.getpid()):
            found.append(int(entry.name))
    return found


def gone(pid: int, timeout_s: float = 10.0) -> bool:
    """Whether this process ends within that time."""
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False
