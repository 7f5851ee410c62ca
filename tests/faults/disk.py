"""A disk that can be filled: a tiny file system of the service's own, or where none may be mounted a limit."""

from __future__ import annotations

import contextlib
import resource
import shutil
import subprocess
from pathlib import Path

FILLER = "filler"
MOUNT = 'mount -t tmpfs -o size="$1" none "$2" && shift 2 && exec "$@"'


class TinyDisk:
    """One folder of one service on a file system of `size_bytes`, in a mount name space of that process.

    Where the kernel permits no such name space, the service is forbidden to write files of any size instead: it then
    meets EFBIG where it would have met ENOSPC.
    """

    def __init__(self, folder: Path, size_bytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._size_bytes = folder, size_bytes
        self.mounted = _permitted(folder)
        """Whether it is a file system, and not the limit."""

    @property
    def before(self) -> tuple[str, ...]:
        """What the service's command is put behind."""
        if not self.mounted:
            return ()
        return ("unshare", "-rm", "sh", "-c", MOUNT, "sh", str(self._size_bytes), str(self._folder))

    def fill(self, pid: int) -> None:
        """Leave no byte free."""
        if not self.mounted:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            return
        with contextlib.suppress(OSError), self._inside(pid).joinpath(FILLER).open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass

    def free(self, pid: int) -> None:
        """Take back what `fill` took."""
        if not self.mounted:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            return
        self._inside(pid).joinpath(FILLER).unlink()

    def _inside(self, pid: int) -> Path:
        """The folder as that process sees it."""
        return Path(f"/proc/{pid}/root{self._folder.resolve()}")


def _permitted(folder: Path) -> bool:
    if shutil.which("unshare") is None:
        return False
    attempt = ["unshare", "-rm", "sh", "-c", MOUNT, "sh", "65536", str(folder), "true"]
    return subprocess.run(attempt, capture_output=True, check=False).returncode == 0
