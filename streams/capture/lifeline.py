"""A capture process ends with its parent, whatever way that ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
LEAVE_S: Final = 0.5
"""So long the camera may take to be let go of, once the parent has asked."""


def die_with(parent: int) -> None:
    """On Linux the kernel kills this process when the thread that started it dies. `parent` is its process id, as a
    parent that died before this call is noticed only by its id."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.name == "posix" and os.getppid() != parent:
        os._exit(1)


def watch(fd: int) -> threading.Event:
    """Set when the parent closes its end of this pipe, to ask us to leave or because it is gone. Who has not left
    LEAVE_S later is ended."""
    asked = threading.Event()

    def wait() -> None:
        try:
            while os.read(fd, 4096):
                pass
        except OSError:
            pass
        asked.set()
        time.sleep(LEAVE_S)
        os._exit(1)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()
    return asked
