"""What may name a camera. The name becomes a metric label, a Redis key and part of a file name."""

from __future__ import annotations

MAX_LENGTH = 128


def checked_camera(name: str) -> str:
    """The name without surrounding blanks. Raises ValueError where it is empty, too long or not printable."""
    name = name.strip()
    if not name:
        raise ValueError("a camera's id must not be empty")
    if len(name) > MAX_LENGTH:
        raise ValueError(f"a camera's id has at most {MAX_LENGTH} characters, not {len(name)}")
    if not name.isprintable():
        raise ValueError(f"a camera's id must be printable, not {name!r}")
    return name
