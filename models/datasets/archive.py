"""Files inside a tar archive, read one after the other and never unpacked to disk."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

MOST_BYTES = 1 << 29
"""Of a whole archive, unpacked: three times the official binary CIFAR-10."""
MOST_FILES = 200_000
PATIENCE = 8
"""So often may be read at the end. tarfile goes on for ever where a header tells of a file of 2^80 bytes."""
SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz")


class ArchiveError(ValueError):
    """The archive cannot be read; the message names it."""


@dataclass(frozen=True)
class Member:
    """One file of an archive. size: in bytes. content may be read only until the next member is asked for."""

    name: str
    size: int
    _path: Path
    _archive: tarfile.TarFile
    _info: tarfile.TarInfo

    def content(self) -> bytes:
        """Exactly size bytes. ArchiveError as of members."""
        with _named(self._path):
            file = self._archive.extractfile(self._info)
            content = file.read() if file is not None else b""
            if len(content) != self.size:
                raise EOFError
            return content


def members(path: Path) -> Iterator[Member]:
    """The files of a .tar, .tar.gz or .tar.xz (as its first bytes say), in their order.

    ArchiveError, with the archive's name, where it is damaged or cut short, holds a link, a device or a name
    that leads out of it, or unpacks to more than MOST_BYTES or MOST_FILES.
    """
    with _named(path), path.open("rb") as raw, _unpacked(raw) as unpacked:
        stream = _Bounded(path, unpacked)
        with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|") as archive:
            for count, info in enumerate(archive):
                if count >= MOST_FILES:
                    raise ArchiveError(f"{path}: holds more than {MOST_FILES} files")
                name = _checked(path, info)
                if info.isfile():
                    yield Member(name, info.size, path, archive, info)
        stream.finish(int(archive.offset))


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """What goes wrong while reading, as an ArchiveError."""
    try:
        yield
    except EOFError:
        raise ArchiveError(f"{path}: is cut short: the data ends early; fetch the file again") from None
    except ArchiveError:
        raise
    except (OSError, tarfile.TarError, lzma.LZMAError, zlib.error, ValueError, OverflowError) as error:
        raise ArchiveError(f"{path}: cannot be read as a tar archive: {error}; fetch the file again") from None


def _unpacked(raw: IO[bytes]) -> io.BufferedIOBase:
    first = raw.read(6)
    raw.seek(0)
    if first[:2] == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=raw)
    if first == b"\xfd7zXZ\x00":
        return lzma.LZMAFile(raw)
    return io.BufferedReader(cast(io.RawIOBase, raw))


def _checked(path: Path, info: tarfile.TarInfo) -> str:
    """The member's name without a leading "./"."""
    name = PurePosixPath(info.name)
    if name.is_absolute() or ".." in name.parts or "\\" in info.name:
        raise ArchiveError(f"{path}: holds {info.name!r}, a name that leads out of the archive")
    if info.size < 0:
        raise ArchiveError(f"{path}: holds {info.name!r} with {info.size} bytes; fetch the file again")
    if not (info.isfile() or info.isdir()):
        raise ArchiveError(f"{path}: holds {info.name!r}, which is a link or a device: expected files and folders")
    return str(name)


class _Bounded:
    """Reads on until the limit, and knows how the archive ended."""

    def __init__(self, path: Path, stream: io.BufferedIOBase) -> None:
        self._path, self._stream = path, stream
        self._total = self._zeros_from = self._read_at_end = 0

    def read(self, size: int) -> bytes:
        content = self._stream.read(size)
        if not content:
            self._read_at_end += 1
            if self._read_at_end > PATIENCE:
                raise EOFError
        if content.strip(b"\0"):
            self._zeros_from = self._total + len(content.rstrip(b"\0"))
        self._total += len(content)
        if self._total > MOST_BYTES:
            raise ArchiveError(f"{self._path}: unpacks to more than {MOST_BYTES} bytes, the most that is read")
        return content

    def finish(self, end: int) -> None:
        """end: where the last file's last block ended. tarfile takes a damaged header, or a cut between two files,
        for the end; at the real one nothing follows but zeros, at least one block. Reading on to the
        end has the packing's own checksum compared too."""
        while self.read(1 << 16):
            pass
        if self._zeros_from > end or self._total < end + tarfile.BLOCKSIZE:
            raise ArchiveError(f"{self._path}: is damaged or cut short at byte {end}; fetch the file again")
