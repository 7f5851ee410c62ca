"""The IDX format of MNIST's files: a magic number, the lengths of the dimensions (big-endian), the bytes."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path

import numpy as np

from models.preprocess import Picture

UNSIGNED_BYTE = 8
MOST_BYTES = 1 << 28
"""Of one file, unpacked: five times MNIST's largest."""


def read_idx(path: Path, dimensions: int) -> Picture:
    """uint8 with so many dimensions. Packed with gzip or not, as the first bytes say, not the name.
    ValueError, with the file's name, where it is anything else, cut short, too long or too large."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if not packed:
                return _read(path, raw, dimensions)
            with gzip.open(raw) as file:
                return _read(path, file, dimensions)
    except EOFError:
        raise ValueError(f"{path}: is cut short: the packed data ends early; fetch the file again") from None
    except (OSError, zlib.error) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from None


def _read(path: Path, file: io.BufferedIOBase | gzip.GzipFile, dimensions: int) -> Picture:
    header = file.read(4 + 4 * dimensions)
    expected = bytes([0, 0, UNSIGNED_BYTE, dimensions])
    if header[:4] != expected:
        raise ValueError(
            f"{path}: begins with {header[:4].hex() or 'nothing'}: an IDX file of bytes in {dimensions} "
            f"dimensions begins with {expected.hex()}"
        )
    if len(header) < 4 + 4 * dimensions:
        raise ValueError(f"{path}: is cut short within its header; fetch the file again")
    shape = [int.from_bytes(header[i : i + 4], "big") for i in range(4, len(header), 4)]
    count = 1
    for length in shape:
        count *= length
    if not 0 < count <= MOST_BYTES:
        raise ValueError(f"{path}: says that it holds {' x '.join(map(str, shape))} bytes: expected 1 to {MOST_BYTES}")
    content = file.read(count + 1)
    if len(content) != count:
        found = f"only {len(content)}" if len(content) < count else "more"
        raise ValueError(f"{path}: says that it holds {count} bytes, but there are {found}; fetch the file again")
    return np.frombuffer(content, np.uint8).reshape(shape)
