"""A server process that never outlives us, not even when we are killed with SIGKILL."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from typing import IO, Final

# Runs in the new process, before it becomes the server: on Linux the kernel is asked to kill it
# when its parent dies (1 is PR_SET_PDEATHSIG). This is done after the exec of a fresh interpreter
# and not in a preexec function, because code between fork and exec can dead-lock where torch and
# others run threads. A parent that died meanwhile is noticed by the changed parent id.
_LAUNCHER: Final = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the parent is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""
_LOG_TAIL_BYTES: Final = 2000


class ChildProcess:
    """Starts at once. It has a session of its own, so Ctrl-C on our terminal does not reach it:
    servers must outlive those who flush to them, and `stop` decides when they go.

    Where the kernel cannot be asked (not Linux), an ordinary exit of ours still stops it.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: str,
        grace_s: float,
    ) -> None:
        """Raises OSError if the process cannot be started. `stop` kills it after `grace_s`."""
        self._grace_s = grace_s
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        self._process: subprocess.Popen[bytes] | None = None
        self._error: OSError | None = None
        started = threading.Event()

        def run() -> None:
            # The kernel's promise is bound to the thread that started the child, so that thread
            # must live as long as the child does: it waits for it here.
            launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid())]
            try:
                self._process = subprocess.Popen(
                    [*launcher, *command],
                    stdin=subprocess.DEVNULL,
                    stdout=self._log,
                    stderr=subprocess.STDOUT,
                    cwd=folder,
                    env=dict(environment),
                    start_new_session=True,
                )
            except OSError as error:
                self._error = error
                return
            finally:
                started.set()
            self._process.wait()

        self._keeper = threading.Thread(target=run, name="child-keeper", daemon=True)
        self._keeper.start()
        started.wait()
        if self._error is not None:
            self._log.close()
            raise self._error
        atexit.register(self.stop)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._keeper.is_alive()

    def log_tail(self) -> str:
        """The last lines that the process wrote."""
        if self._log.closed:
            return ""
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - _LOG_TAIL_BYTES))
        return self._log.read().decode(errors="replace").strip()

    def stop(self) -> None:
        """Ask it to end, and kill it if it takes too long. May be called again."""
        atexit.unregister(self.stop)
        if self._process is not None and self.running:
            self._process.terminate()
            self._keeper.join(self._grace_s)
            if self.running:
                self._process.kill()
                self._keeper.join()
        self._log.close()
