"""Runs all checks at the same time, each within its limit: a dead camera holds up nobody."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence

import structlog

from monitor.doctor.clock import Clock
from monitor.doctor.finding import Check, Examined, Finding, failed
from monitor.doctor.trial import AT_ONCE

log = structlog.get_logger(__name__)

LEAVE_S = 3.0
"""How long checks whose time is over may take to let go of their connections and processes."""


class _Running:
    """A check in a thread of its own; its findings grow while it runs."""

    def __init__(self, check: Check, done: threading.Semaphore, longest_wait_s: float) -> None:
        self.check = check
        self.over = Clock(check.limit_s, longest_wait_s)
        self._findings: list[Finding] = []
        self._done = done
        self._longest_wait_s = max(check.limit_s, longest_wait_s)
        self._late: Finding | None = None
        self.thread = threading.Thread(target=self._run, name=f"doctor {check.name}", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            for finding in self.check.examine(self.over):
                if self.over.is_set():
                    return
                self._findings.append(finding)
        except Exception as error:
            log.debug("check_failed", check=self.check.name, exc_info=True)
            self._findings.append(
                failed(f"could not be examined: {type(error).__name__}: {error}", "report this: it is a fault of ours")
            )
        finally:
            self._done.release()

    def at_work(self) -> bool:
        """False when it is done, or ends it when its time is over."""
        if not self.thread.is_alive() or self._late is not None:
            return False
        if time.monotonic() < self.over.end_s:
            return True
        if self.over.waiting:
            self._late = failed(
                f"was not tried: its turn did not come within {self._longest_wait_s:.0f} s",
                "run the doctor again when this machine has less to do",
            )
        else:
            self._late = failed(f"gave no answer within {self.check.limit_s:.0f} s", self.check.remedy)
        self.over.set()
        return False

    def result(self) -> Examined:
        """What was found in time."""
        return Examined(self.check.name, (*self._findings, *([self._late] if self._late is not None else [])))


def examine(checks: Sequence[Check], waiting: Callable[[Sequence[str], int], None]) -> list[Examined]:
    """The findings of all checks, in their order.

    waiting: told from time to time which checks are not done yet, and how many there are in all.
    """
    done = threading.Semaphore(0)
    turns = math.ceil(len(checks) / AT_ONCE)
    running = [_Running(check, done, check.limit_s * turns) for check in checks]
    while True:
        left = [one for one in running if one.at_work()]
        waiting([one.check.name for one in left], len(running))
        if not left:
            break
        done.acquire(timeout=min(0.5, max(0.0, min(one.over.end_s for one in left) - time.monotonic())))
    results = [one.result() for one in running]
    end_s = time.monotonic() + LEAVE_S
    for one in running:
        one.thread.join(max(0.0, end_s - time.monotonic()))
    return results
