"""Keeps a process running that delivers for this worker (`monitor.delivery_child`)."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Final

import structlog

from monitor import logs
from monitor.settings import Settings
from streams.backoff import Backoff

log = structlog.get_logger(__name__)

Told = Callable[[str, str, float | None], None]
"""Told the channel and the outcome of each try, and how long after the capture of its frame an alert has arrived, in
seconds; None where that is not what it tells of."""

WELL_AFTER_S: Final = 60.0
"""A process that has run for so long is started again soon; one that ends at once, less and less often."""

LONGER_S: Final = 10.0
"""So much longer than it was given may a process take to end before it is killed."""


@dataclass(frozen=True, slots=True)
class Begin:
    settings: Settings
    base_url: str
    log_format: logs.LogFormat
    log_level: str


@dataclass(frozen=True, slots=True)
class Use:
    settings: Settings


@dataclass(frozen=True, slots=True)
class Stop:
    flush_s: float


Order = Begin | Use | Stop


class DeliveryProcess:
    """Starts the process when there is a channel, and again when it ends by itself. Thread-safe."""

    def __init__(self, settings: Settings, base_url: str, told: Told) -> None:
        """base_url: how others reach the page."""
        self._settings = settings
        self._base_url = base_url
        self._told = told
        self._lock = threading.Lock()
        self._change = threading.Event()
        self._stopping = False
        self._process: subprocess.Popen[bytes] | None = None
        # The thread that starts a process lives as long as that: the kernel kills a process with its starting thread.
        self._thread = threading.Thread(target=self._keep, name="delivery-process", daemon=True)

    @property
    def pid(self) -> int | None:
        """Of the process that delivers, while there is one."""
        process = self._process
        return None if process is None else process.pid

    def start(self) -> None:
        self._thread.start()

    def use(self, settings: Settings) -> None:
        """From now on these channels and subscriptions."""
        with self._lock:
            self._settings = settings
            self._say(Use(settings))
        self._change.set()

    def stop(self, flush_s: float) -> None:
        """Deliver what is in the outbox, for `flush_s` at most, and end. What is left waits in Redis."""
        self._stopping = True
        if self._lock.acquire(timeout=LONGER_S):  # it is held for long where a frozen process takes no orders
            try:
                self._say(Stop(flush_s))
            finally:
                self._lock.release()
        self._change.set()
        self._thread.join(flush_s + LONGER_S)
        process = self._process
        if process is not None and self._thread.is_alive():
            log.warning("delivery_process_killed", reason="it did not end in time; what it was doing comes again")
            process.kill()
            self._thread.join(5)

    def _keep(self) -> None:
        backoff = Backoff(first_s=1.0)
        while not self._stopping:
            self._change.clear()
            if not _has_channels(self._settings):
                self._change.wait()
                continue
            code, began_s = None, time.monotonic()
            try:
                code = self._run()
            except OSError as error:
                log.error("delivery_process_not_started", error=str(error))
            if not self._stopping:
                if time.monotonic() - began_s > WELL_AFTER_S:
                    backoff.reset()
                wait_s = backoff.next_s()
                log.error(
                    "delivery_process_ended",
                    exit_code=code,
                    again_in_s=round(wait_s, 1),
                    effect="nothing is delivered from here meanwhile; it waits in Redis",
                )
                self._change.clear()
                self._change.wait(wait_s)

    def _run(self) -> int:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "monitor.delivery_child", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C does not reach it
        )
        with self._lock:
            self._process = process
            self._say(Begin(self._settings, self._base_url, *logs.current()))
            if self._stopping:  # asked before there was one to tell
                self._say(Stop(0))
        assert process.stdout is not None and process.stdin is not None
        self._listen(process.stdout)
        with contextlib.suppress(OSError):
            process.stdin.close()
        code = process.wait()
        self._process = None
        return code

    def _listen(self, lines: IO[bytes]) -> None:
        with lines:
            for line in lines:
                try:
                    said = json.loads(line)
                    self._told(said["channel"], said["outcome"], said["late_s"])
                except Exception:
                    log.exception("delivery_process_not_understood")

    def _say(self, order: Order) -> None:
        """To the process, if there is one. Under the lock."""
        process = self._process
        if process is not None and process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):  # it is dead: whoever reads from it notices
                pickle.dump(order, process.stdin)
                process.stdin.flush()


def _has_channels(settings: Settings) -> bool:
    return bool(settings.channels) or settings.publish is not None or settings.grafana is not None
