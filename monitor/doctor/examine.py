"""Runs all checks at the same time, each within its limit: a dead camera holds up nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import structlog

from monitor.doctor.finding import Check, Examined, Finding, failed

log = structlog.get_logger(__name__)

LEAVE_S = 3.0
"""How long checks whose time is over may take to let go of their connections and processes."""


class _Running:
    """A check in a thread of its own; its findings grow while it runs."""

    def __init__(self, check: Check, done: threading.Semaphore) -> None:
        self.check = check
        self.over = threading.Event()
        self._findings: list[Finding] = []
        self._done = done
        self.end_s = time.monotonic() + check.limit_s
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

    def result(self) -> Examined:
        """What was found so far; a check that is still at it has taken too long."""
        findings = tuple(self._findings)
        if self.thread.is_alive():
            self.over.set()
            findings += (failed(f"gave no answer within {self.check.limit_s:.0f} s", self.check.remedy),)
        return Examined(self.check.name, findings)


def examine(checks: Sequence[Check], waiting: Callable[[Sequence[str], int], None]) -> list[Examined]:
    """The findings of all checks, in their order.

    waiting: told from time to time which checks are not done yet, and how many there are in all.
    """
    done = threading.Semaphore(0)
    running = [_Running(check, done) for check in checks]
    while True:
        left = [one for one in running if one.thread.is_alive() and time.monotonic() < one.end_s]
        waiting([one.check.name for one in left], len(running))
        if not left:
            break
        done.acquire(timeout=min(0.5, max(0.0, min(one.end_s for one in left) - time.monotonic())))
    results = [one.result() for one in running]
    end_s = time.monotonic() + LEAVE_S
    for one in running:
        one.thread.join(max(0.0, end_s - time.monotonic()))
    return results
