"""Files that are there whole or not at all: written beside the target, then renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def beside(path: Path) -> Path:
    """Where this process writes what is to become `path`."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write to the path that this gives. At the end it becomes `path`; after an error it is gone, and `path` is as it
    was. OSError where that is not possible."""
    temporary = beside(path)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        with suppress(OSError):  # what went wrong before is the error to tell
            temporary.unlink(missing_ok=True)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all. OSError as replacing."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)
