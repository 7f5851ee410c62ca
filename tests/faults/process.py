"""A `linewatch` command as its users have it: a process of its own, watched through HTTP and its summary."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, Self

import yaml

from monitor.embedded.server import free_port

ROOT = Path(__file__).parents[2]
START_S = 60.0
STOP_S = 60.0
# As in the Dockerfile: glibc gives every thread a heap of its own, and each fault brings new threads. With 16 heaps the
# service grew by 37 MB over 150 faults, with 2 by 24 MB, and without faults it does not grow.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "MALLOC_ARENA_MAX": "2"}
BY_PARENT = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Asks the kernel to end the command with the process that started it, however that ends; 1 is PR_SET_PDEATHSIG."""


@dataclass(frozen=True)
class Ended:
    """How the command ended. `rows`: the cells of its summary's table by camera, reasons in brackets left out."""

    code: int
    summary: str
    rows: dict[str, list[int]]
    took_s: float

    @property
    def balances(self) -> bool:
        """Whether it says so itself."""
        return "every frame is accounted for." in self.summary


class Process(ABC):
    """Starts in `start`, ends in `stop` (in order) or `kill`. `port` is where it is to serve HTTP."""

    command: str
    answers_at: str

    def __init__(self, config: dict[str, Any], folder: Path, name: str, before: tuple[str, ...] = ()) -> None:
        """`before`: a command that ends by becoming the one that follows it."""
        self._port = free_port()
        self._path = folder / f"{name}.yaml"
        self._path.write_text(yaml.safe_dump(config | self.served_at(self._port)))
        self._before = before
        self._process: subprocess.Popen[str] | None = None
        self._drains: list[threading.Thread] = []
        self.out: deque[str] = deque(maxlen=1000)
        self.log: deque[str] = deque(maxlen=5000)

    @abstractmethod
    def served_at(self, port: int) -> dict[str, Any]:
        """The section of the configuration that names the port."""

    def arguments(self) -> list[str]:
        """What else stands on the command line."""
        return []

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        """Returns when it answers."""
        linewatch = [sys.executable, "-m", "monitor.cli", "--log-format", "json", self.command, str(self._path)]
        linewatch += self.arguments()
        self._process = process = subprocess.Popen(
            [*self._before, sys.executable, "-c", BY_PARENT, *linewatch],
            cwd=ROOT,
            env=os.environ | ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        # Pipes and no files: a limit on the size of files must not reach the log.
        self._drains = [
            threading.Thread(target=into.extend, args=(pipe,), daemon=True)
            for pipe, into in ((process.stdout, self.out), (process.stderr, self.log))
        ]
        for drain in self._drains:
            drain.start()
        answers = until(lambda: process.poll() is not None or self.get(self.answers_at)[0] == 200, START_S)
        assert answers is not None and process.poll() is None, f"linewatch {self.command} did not start: {self.tail()}"
        return self

    def stop(self) -> Ended:
        """Ask it to end in order, and read its summary."""
        assert self._process is not None
        began_s = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(STOP_S)
        took_s = time.monotonic() - began_s
        for drain in self._drains:
            drain.join(10)
        text = "".join(self.out)
        return Ended(code, text, _rows(text), took_s)

    def kill(self) -> None:
        """As a power cut would. May be called at any time."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for drain in self._drains:
                drain.join(10)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body; status 0 where it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=10) as answer:
                return int(answer.status), bytes(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError:
            return 0, b""

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of this name with these labels."""
        total = 0.0
        for line in self.get("/metrics")[1].decode().splitlines():
            found = re.fullmatch(rf"{name}(?:{{(.*)}})? (\S+)", line)
            if found and all(f'{key}="{value}"' in (found[1] or "") for key, value in labels.items()):
                total += float(found[2])
        return total

    def tail(self) -> str:
        """The end of its log, for messages."""
        return "".join(list(self.log)[-15:])


def until(condition: Callable[[], bool], timeout_s: float, every_s: float = 0.05) -> float | None:
    """Seconds until the condition came true; None where it did not in time."""
    began_s = time.monotonic()
    while not condition():
        if time.monotonic() - began_s > timeout_s:
            return None
        time.sleep(every_s)
    return time.monotonic() - began_s


def _rows(summary: str) -> dict[str, list[int]]:
    lines = [re.sub(r" \([^)]*\)", "", line) for line in summary.splitlines()]
    rows = [re.split(r"\s{2,}", line.strip()) for line in lines]
    numbers = {row[0]: [int(c) for c in takewhile(_is_number, row[1:])] for row in rows}
    return {camera: row for camera, row in numbers.items() if len(row) >= 5}


def _is_number(cell: str) -> bool:
    return cell.lstrip("-").isdigit()
