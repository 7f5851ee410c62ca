"""The paper's protocol on MNIST and CIFAR-10: one class is abnormal, the others are normal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.datasets.labelled import Labelled, Loaded
from models.datasets.published import open_published
from models.datasets.source import Entry, Source
from models.preprocess import Preprocess

TRAIN_SHARE = 0.8
ALIASES = {"plane": "airplane", "car": "automobile"}
"""As the tables of the papers call two of CIFAR-10's classes."""
PARTS = ("train", "test")

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Split:
    """One run of the protocol, without its pictures: those are decoded by load_train and load_test.

    train, test: rows of the source's entries. train is in random order, so that any stretch of it
    holds every class; test has the normal pictures first. subset: so many pictures were drawn from
    each class; None: all.
    """

    source: Source
    abnormal: str
    seed: int
    subset: int | None
    train_rows: Rows
    test_rows: Rows

    @property
    def channels(self) -> int:
        """For the Preprocess: 1 for MNIST, 3 for CIFAR-10. The size is 32 in the paper."""
        return self.source.channels

    @property
    def complete(self) -> bool:
        """Whether this is the full protocol: no subset, and as many pictures as were published."""
        return self.subset is None and len(self.source.entries) == self.source.published

    @property
    def train(self) -> tuple[Labelled, ...]:
        """What load_train reads, all normal. A path names a picture within the set; it is no file."""
        return tuple(self._labelled(row) for row in self.train_rows)

    @property
    def test(self) -> tuple[Labelled, ...]:
        """What load_test reads, normal and anomalous."""
        return tuple(self._labelled(row) for row in self.test_rows)

    def load_train(self, preprocess: Preprocess) -> Loaded:
        """The pictures to train on. ValueError where the set can no longer be read."""
        return self._load(self.train_rows, preprocess)

    def load_test(self, preprocess: Preprocess) -> Loaded:
        """The pictures to test with. ValueError where the set can no longer be read."""
        return self._load(self.test_rows, preprocess)

    def describe(self) -> str:
        """One sentence for a report, which says what was left out."""
        abnormal = sum(self._kind(row) == self.abnormal for row in self.test_rows)
        drawn = "" if self.subset is None else f"a subset of {self.subset} pictures of each class, "
        here, published = len(self.source.entries), self.source.published
        partial = "" if here == published else f"from {here} of the {published} published pictures, "
        return (
            f"{self.source.title}, {drawn}{partial}abnormal {self.abnormal}, seed {self.seed}: "
            f"{len(self.train_rows)} normal to train; {len(self.test_rows) - abnormal} normal and {abnormal} "
            "abnormal to test"
        )

    def _kind(self, row: int) -> str:
        return self.source.classes[self.source.entries[row].kind]

    def _labelled(self, row: int) -> Labelled:
        entry, kind = self.source.entries[row], self._kind(row)
        return Labelled(Path(PARTS[entry.part], kind, f"{entry.number:04d}"), kind == self.abnormal, kind)

    def _load(self, rows: Rows, preprocess: Preprocess) -> Loaded:
        places = {int(row): place for place, row in enumerate(rows)}
        pictures = np.empty((len(rows), preprocess.size, preprocess.size, preprocess.channels), np.uint8)
        reasons: dict[int, str] = dict.fromkeys(range(len(rows)), "is no longer there")
        try:
            for row, read in self.source.pictures(places.keys()):
                place = places[row]
                if isinstance(read, str):
                    reasons[place] = read
                else:
                    pictures[place] = preprocess.picture(read)
                    del reasons[place]
        except OSError as error:
            raise ValueError(f"{self.source.title}: cannot be read any more: {error}") from None
        labelled = [self._labelled(row) for row in rows]
        kept = [place for place in range(len(rows)) if place not in reasons]
        return Loaded(
            pictures[kept] if reasons else pictures,
            tuple(labelled[place] for place in kept),
            tuple((labelled[place].path, reason) for place, reason in sorted(reasons.items())),
        )


def protocol(root: Path | str, abnormal: str, seed: int, subset: int | None = None) -> Split:
    """All pictures of the other classes, published training and test set together, are normal: 80 % of
    them, drawn by the seed, are for training. The rest and the whole abnormal class are for the test.

    root: as published.open_published takes it. abnormal: "0" to "9", "bird". subset: draw so many
    pictures from each class first, by the same seed. The same arguments give the same split on every
    machine, and from CIFAR-10's binary and single-picture forms alike.
    ValueError where root holds neither set, or a file of it is wrong; where the class is unknown or
    empty, the seed out of range, or a class has fewer pictures than the subset.
    """
    source = open_published(Path(root))
    return divide(source, abnormal, seed, subset)


def divide(source: Source, abnormal: str, seed: int, subset: int | None = None) -> Split:
    """As protocol, for a source that is already open (opening reads the whole set once)."""
    abnormal = ALIASES.get(abnormal.lower(), abnormal.lower())
    if abnormal not in source.classes:
        raise ValueError(f"{source.title} has no class {abnormal!r}: expected one of {', '.join(source.classes)}")
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed}: expected 0 to {2**32 - 1}")
    # RandomState's stream is promised never to change; that of numpy's newer generators is not.
    random = np.random.RandomState(seed)
    by_class = [_drawn(source, kind, subset, random) for kind in range(len(source.classes))]
    odd = source.classes.index(abnormal)
    normal = np.concatenate([rows for kind, rows in enumerate(by_class) if kind != odd])
    normal = normal[random.permutation(len(normal))]
    trained = int(len(normal) * TRAIN_SHARE)
    if trained == 0 or len(by_class[odd]) == 0:
        raise ValueError(
            f"{source.title}: {len(normal)} normal pictures and {len(by_class[odd])} of {abnormal}: "
            "expected at least 2 and 1"
        )
    test = np.concatenate([normal[trained:], by_class[odd]])
    return Split(source, abnormal, seed, subset, normal[:trained], test)


def _drawn(source: Source, kind: int, subset: int | None, random: np.random.RandomState) -> Rows:
    """The rows of one class, ascending."""
    rows = _rows_of(source.entries, kind)
    if subset is None:
        return rows
    if not 1 <= subset <= len(rows):
        raise ValueError(f"a subset of {subset} a class: {source.title} has {len(rows)} of {source.classes[kind]}")
    return np.sort(rows[random.permutation(len(rows))[:subset]])


def _rows_of(entries: Sequence[Entry], kind: int) -> Rows:
    return np.array([row for row, entry in enumerate(entries) if entry.kind == kind], dtype=np.intp)
