"""A server that is a program of its own: started on a free port, watched until it answers."""

from __future__ import annotations

import os
import tempfile
import time
from abc import ABC, abstractmethod
from typing import Final, Self

from monitor.embedded.child import ChildProcess
from monitor.embedded.server import HOST, REMEDY, EmbeddedServerError, free_port

_READY_S: Final = 20.0
_TRIES: Final = 3


class _EndedEarlyError(EmbeddedServerError):
    """The program ended before it answered; most often, someone took its port."""


class ProgramServer(ABC):
    """A server that is a program, told by its arguments which port to take: `port`, or a free one."""

    name: str
    grace_s = 5.0
    """How long it may take to end by itself."""

    def __init__(self, port: int | None = None) -> None:
        self._wanted_port = port
        self._child: ChildProcess | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._port = 0

    @property
    def port(self) -> int:
        if self._child is None:
            raise EmbeddedServerError(f"the embedded {self.name} is not running: start it first")
        return self._port

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._child.pid if self._child is not None else None

    def start(self) -> Self:
        if self._child is not None:
            return self
        binary = self._binary()
        for attempt in range(_TRIES):
            try:
                self._launch(binary)
                return self
            except _EndedEarlyError:
                # Someone may have taken the port between our look and the server's; look again.
                self.stop()
                if attempt == _TRIES - 1:
                    raise
            except BaseException:
                self.stop()
                raise
        return self

    def stop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.stop()
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.cleanup()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _launch(self, binary: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="linewatch-", ignore_cleanup_errors=True)
        self._port = self._wanted_port or free_port()
        # A small environment: these programs also read settings from variables.
        environment = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        try:
            self._child = ChildProcess(
                [binary, *self._arguments(self._folder.name)],
                environment,
                self._folder.name,
                self.grace_s,
            )
        except OSError as error:
            raise EmbeddedServerError(f"cannot run {binary}: {error}; reinstall it: {REMEDY}") from error
        deadline_s = time.monotonic() + _READY_S
        while not self._answers():
            if not self._child.running:
                raise _EndedEarlyError(f"the embedded {self.name} ended while starting: {self._child.log_tail()}")
            if time.monotonic() > deadline_s:
                raise EmbeddedServerError(
                    f"the embedded {self.name} did not answer on {HOST}:{self._port} within "
                    f"{_READY_S:.0f} s: {self._child.log_tail()}"
                )
            time.sleep(0.02)

    @abstractmethod
    def _binary(self) -> str: ...
    @abstractmethod
    def _arguments(self, folder: str) -> list[str]: ...
    @abstractmethod
    def _answers(self) -> bool: ...
