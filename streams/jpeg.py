"""The header of a plain JPEG, read without a library: it is asked for with every frame, before anything is decoded."""

from __future__ import annotations

from typing import Final

_START: Final = b"\xff\xd8\xff"
_APP0, _COMMENT, _QUANTISATION, _HUFFMAN, _RESTARTS, _SCAN = 0xE0, 0xFE, 0xDB, 0xC4, 0xDD, 0xDA
_FRAMES: Final = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive
_PASSED_OVER: Final = (_COMMENT, _HUFFMAN, _RESTARTS)


def plain_jpeg_size(payload: bytes) -> tuple[int, int] | None:
    """Width and height that a JPEG's header claims, in pixels; None for all that is not plain, which is no verdict.

    Plain is what cameras send: every segment up to the first scan is there in full, well-formed and known here, the
    frame is the only one, of 8 bits and 1, 3 or 4 colours, and there is no Exif: such a picture may be meant to be
    turned. Whatever it answers for, Pillow takes as well, and finds the same size.
    """
    if payload[:3] != _START:
        return None
    found: tuple[int, int] | None = None
    at, end = 2, len(payload)
    while at + 4 <= end and payload[at] == 0xFF:
        marker, body = payload[at + 1], at + 4
        after = at + 2 + (payload[at + 2] << 8 | payload[at + 3])
        if after < body or after > end:
            return None
        if marker == _SCAN:
            return found
        if marker == _QUANTISATION:
            if not _whole_tables(payload, body, after):
                return None
        elif marker in _FRAMES:
            if found is not None:
                return None
            found = _frame_size(payload[body:after])
            if found is None:
                return None
        elif marker == _APP0:
            if after - body < 7:  # the version is in the last two
                return None
        elif marker not in _PASSED_OVER:
            return None
        at = after
    return None


def _frame_size(body: bytes) -> tuple[int, int] | None:
    if len(body) < 6 or body[0] != 8 or body[5] not in (1, 3, 4) or len(body) != 6 + 3 * body[5]:
        return None
    width, height = body[3] << 8 | body[4], body[1] << 8 | body[2]
    return (width, height) if width and height else None


def _whole_tables(payload: bytes, at: int, end: int) -> bool:
    """Whether tables of 64 values, of one byte or two, fill a segment exactly."""
    while at < end:
        at += 65 if payload[at] < 16 else 129
    return at == end
