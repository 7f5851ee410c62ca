"""Several small pictures as one: what a digest shows at a glance."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import cv2
import numpy as np

from streams.codec import CodecError, decode, encode_jpeg
from streams.frame import Pixels

AT_MOST = 12
WIDTH, CAPTION, COLUMNS = 320, 22, 4
"""Pixels of one picture, pixels of the line below it, and pictures side by side."""
HEIGHT = 240
BACKGROUND, INK = 30, (235, 235, 235)
MAX_PIXELS = 50_000_000


def strip(pictures: Sequence[bytes], names: Sequence[str]) -> bytes | None:
    """One JPEG of up to 12 encoded pictures, each fitted into 320 x 240 pixels with its name below it, four in a row.
    The newest are the last: of more than 12 these are taken. A picture that cannot be decoded is left out; None where
    none is left. names: one for each; what is not ASCII is shown as `?`."""
    cells = []
    for picture, name in list(zip(pictures, names, strict=True))[-AT_MOST:]:
        try:
            cells.append(_cell(decode(picture, MAX_PIXELS), name))
        except CodecError:
            continue
    if not cells:
        return None
    columns = min(COLUMNS, len(cells))
    empty = np.full_like(cells[0], BACKGROUND)
    cells += [empty] * (math.ceil(len(cells) / columns) * columns - len(cells))
    rows = [np.hstack(cells[start : start + columns]) for start in range(0, len(cells), columns)]
    return encode_jpeg(np.vstack(rows), quality=85)


def caption(camera: str, at_ns: int) -> str:
    """What stands below a picture. at_ns: since the epoch; told in UTC."""
    return f"{camera}  {time.strftime('%m-%d %H:%M:%S', time.gmtime(at_ns / 1e9))} UTC"


def _cell(pixels: Pixels, name: str) -> Pixels:
    cell = np.full((HEIGHT + CAPTION, WIDTH, 3), BACKGROUND, np.uint8)
    height, width = pixels.shape[:2]
    scale = min((WIDTH - 4) / width, (HEIGHT - 4) / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    top, left = (HEIGHT - size[1]) // 2, (WIDTH - size[0]) // 2
    cell[top : top + size[1], left : left + size[0]] = small
    text = name.encode("ascii", "replace").decode()
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    font, letter_size = cv2.FONT_HERSHEY_SIMPLEX, 0.42
    while len(text) > 4 and cv2.getTextSize(text, font, letter_size, 1)[0][0] > WIDTH - 8:
        text = text[: len(text) // 2 - 2] + ".." + text[len(text) // 2 + 1 :]  # the time, at its end, stays
    cv2.putText(cell, text, (4, HEIGHT + 15), font, letter_size, INK, 1, cv2.LINE_AA)
    return cell
