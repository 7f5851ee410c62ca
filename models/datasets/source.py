"""The port of a labelled set that is not a folder of files: MNIST and CIFAR-10 in their various forms."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple, Protocol

from models.preprocess import Picture


class Entry(NamedTuple):
    """One picture. kind: index into the source's classes. part: 0 of the published training set, 1 of
    the test set. number: counts the pictures of one kind and part in the published order, from 0."""

    kind: int
    part: int
    number: int


class Source(Protocol):
    """title: what it is and in which form, for a report. channels: 3 for colour, 1 for grey. published: how
    many pictures the published set holds. entries: of all pictures here, ascending: the order is
    the same in whichever form the set is stored."""

    @property
    def title(self) -> str: ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def channels(self) -> int: ...

    @property
    def published(self) -> int: ...

    @property
    def entries(self) -> tuple[Entry, ...]: ...

    def pictures(self, rows: Collection[int]) -> Iterator[tuple[int, Picture | str]]:
        """(row of entries, uint8 [H, W, 3] in OpenCV's channel order, or why there is none) for each of
        the rows asked for, in any order. Only those are decoded."""
        ...
