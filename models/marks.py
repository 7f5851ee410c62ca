"""Short marks of pictures, by which a model's training pictures are known again where it is tested."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from models.preprocess import Picture

MOST = 20_000
"""Of more pictures no marks are kept: the checkpoint's metadata stays small, and so many were hardly chosen by hand."""


def marks(pictures: Picture) -> list[str]:
    """uint8 [N, S, S, C] -> sorted, eight hexadecimal digits for each different picture; none of more than MOST."""
    return [] if len(pictures) > MOST else sorted({_mark(picture) for picture in pictures})


def known(pictures: Picture, seen: Iterable[object]) -> int:
    """How many of the pictures have a mark among `seen`. By chance one in 200,000 would, of 20,000 marks."""
    held = set(seen)
    return sum(_mark(picture) in held for picture in pictures) if held else 0


def _mark(picture: Picture) -> str:
    return hashlib.blake2b(picture.tobytes(), digest_size=4).hexdigest()
