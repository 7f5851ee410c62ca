"""Whether a file that somebody writes has been written to its end, as far as its format tells."""

from __future__ import annotations

import io
import os
from typing import BinaryIO

TAIL_BYTES = 1 << 16
MAX_BOXES = 10_000
MAX_SEGMENTS = 10_000

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"IEND\xaeB`\x82"
MP4_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"})
"""What a film of the MP4 and QuickTime family begins with, at its fifth byte."""


def looks_whole(path: str) -> bool:
    """False where the end of the picture or film is missing: JPEG, PNG, BMP, WebP, AVI, GIF, MP4 and QuickTime.

    Told by what the file begins with, not by its name. Other formats do not say where they end: True. An empty file is
    never whole. Raises OSError where the file cannot be read.
    """
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        return _is_whole(file, size)


def _is_whole(file: BinaryIO, size: int) -> bool:
    head = file.read(16)
    if not head.strip(b"\0"):  # nothing yet, or room that was set aside for what is to come
        return False
    if head.startswith(b"\xff\xd8"):
        return _jpeg(file, size)
    if head.startswith(_PNG):
        return _PNG_END in _tail(file, size)
    if head.startswith(b"GIF8"):
        return _tail(file, size).rstrip(b"\0").endswith(b";")
    if head.startswith(b"RIFF"):  # WebP, AVI
        claimed = int.from_bytes(head[4:8], "little")
        return 0 < claimed <= size - 8
    if head.startswith(b"BM"):
        return int.from_bytes(head[2:6], "little") <= size
    if head[4:8] in MP4_BOXES:
        return _mp4(file, size)
    return True


def _tail(file: BinaryIO, size: int) -> bytes:
    file.seek(max(0, size - TAIL_BYTES))
    return file.read(TAIL_BYTES)


def _jpeg(file: BinaryIO, size: int) -> bool:
    """Almost every JPEG ends with its end marker; where something follows, the marker is looked for behind the
    headers, since a preview within them has an end of its own."""
    file.seek(max(0, size - 2))
    if file.read(2) == b"\xff\xd9":
        return True
    file.seek(2)
    for _ in range(MAX_SEGMENTS):
        marker = file.read(2)
        if marker == b"\xff\xff":
            marker = _behind_filling(file)
        if marker == b"\xff\xda":
            break
        length = int.from_bytes(file.read(2), "big")
        if marker[:1] != b"\xff" or length < 2 or file.tell() + length - 2 > size:
            return False
        file.seek(length - 2, io.SEEK_CUR)
    else:
        return True  # no camera writes so many: the decoder will know
    last = b""
    while piece := file.read(1 << 20):
        if b"\xff\xd9" in last + piece:
            return True
        last = piece[-1:]
    return False


def _behind_filling(file: BinaryIO) -> bytes:
    """The marker, two bytes, behind any number of 0xFF; empty where the file ends before."""
    while piece := file.read(4096):
        if rest := piece.lstrip(b"\xff"):
            file.seek(1 - len(rest), io.SEEK_CUR)
            return b"\xff" + rest[:1]
    return b""


def _mp4(file: BinaryIO, size: int) -> bool:
    """Every box lies within the file, and one of them is the index, without which nothing plays."""
    at, has_index = 0, False
    for _ in range(MAX_BOXES):
        if at >= size:
            return has_index and at == size
        file.seek(at)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        elif length == 0:  # up to the end of the file, wherever that is
            return has_index or header[4:8] == b"moov"
        has_index = has_index or header[4:8] == b"moov"
        if length < 8:
            return has_index  # what follows is no box: the decoder will know
        at += length
    return True
