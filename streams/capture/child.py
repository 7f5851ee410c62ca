"""Starts a capture process, reads its messages, and can kill it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

from streams.capture import wire
from streams.capture.options import CaptureOptions, UsbSourceOptions, dumped

ROOT: Final = Path(__file__).resolve().parents[2]
"""Where the package `streams` lies."""

PIPE_BYTES: Final = 1 << 20
"""What Linux lets everybody ask for; a 640×480 picture fits in."""

LAST_WORDS: Final = 10
LONGEST_LINE_BYTES: Final = 1000
JOIN_S: Final = 5.0


class CaptureChild:
    """One capture process, from `start` to its end. It has a session of its own, so Ctrl-C does not reach it.

    `hear` is called with every message, in a thread of this child's own: the one that started the process and lives
    as long as it does, since that is the thread to which the kernel binds the promise to kill it.
    """

    def __init__(self, options: CaptureOptions, hear: Callable[[wire.Message], None]) -> None:
        self._options = options
        self._hear = hear
        self._process: subprocess.Popen[bytes] | None = None
        self._words: deque[str] = deque(maxlen=LAST_WORDS)
        self._started = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"capture:{options.camera}", daemon=True)
        self.fault: Exception | None = None
        """What went wrong on our side of the pipe."""

    def start(self) -> None:
        """Returns when the process runs. Raises OSError where it cannot be started."""
        self._thread.start()
        self._started.wait()
        if self._process is None and isinstance(self.fault, OSError):
            raise self.fault

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Negative: ended by that signal."""
        return None if self._process is None else self._process.returncode

    @property
    def last_words(self) -> str:
        """The last line that the process wrote to its standard error, secrets included."""
        return self._words[-1] if self._words else ""

    def wait_for_end(self, timeout_s: float) -> bool:
        """Whether it has ended, all its messages are heard, and `hear` will not be called again."""
        return self._ended.wait(timeout_s)

    def leave(self) -> None:
        """Ask the process to let go of its camera and end; it does so within a second unless it hangs."""
        assert self._process is not None and self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.close()

    def kill(self) -> bool:
        """End it at once; False where the kernel cannot even do that within some seconds."""
        assert self._process is not None
        self._process.kill()
        return self.wait_for_end(JOIN_S)

    def _keep(self) -> None:
        try:
            self._process = self._begin()
        except Exception as error:
            self.fault = error
            self._ended.set()
            return
        finally:
            self._started.set()
        process = self._process
        assert process.stdout is not None and process.stderr is not None
        listener = threading.Thread(target=self._listen, args=(process.stderr,), daemon=True)
        listener.start()
        try:
            while (message := wire.read(process.stdout)) is not None:  # type: ignore[arg-type]  # unbuffered
                self._hear(message)
        except Exception as error:
            self.fault = error
            process.kill()
        self.leave()
        process.wait()
        listener.join(1.0)
        process.stdout.close()
        self._ended.set()

    def _begin(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "streams.capture.process", str(os.getpid())],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(self._options),
            start_new_session=True,
        )
        assert process.stdin is not None and process.stdout is not None
        _enlarge(process.stdout)
        with contextlib.suppress(BrokenPipeError):  # it is dead already; reading will tell
            process.stdin.write(dumped(self._options))
        return process

    def _listen(self, stderr: IO[bytes]) -> None:
        with stderr:
            while line := stderr.readline(LONGEST_LINE_BYTES):
                if text := line.decode(errors="replace").strip():
                    self._words.append(text)


def _environment(options: CaptureOptions) -> dict[str, str]:
    """Ours without our settings, which may hold secrets."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LINEWATCH_")}
    paths = [str(ROOT), *filter(None, [environment.get("PYTHONPATH")])]
    environment |= {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    if isinstance(options, UsbSourceOptions):
        environment["OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT"] = str(max(1, round(options.read_timeout_s)))  # seconds
    return environment


def _enlarge(pipe: IO[bytes]) -> None:
    """So that a picture needs fewer turns of the two processes."""
    if sys.platform == "linux":
        import fcntl  # noqa: PLC0415 - not everywhere

        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
