"""The exam that a path names: a folder, a film with its labels, MNIST or CIFAR-10."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import datasets
from models.datasets import Loaded
from models.evaluation.exam import Exam, as_loaded, of_folder, of_split
from models.preprocess import Preprocess
from monitor.progress import counting
from monitor.training import SourceError, collect
from streams.simulator.segments import read_segments, segments_beside
from streams.simulator.span import Span

NORMAL = "normal"
LEAST_TO_TRAIN = 20


@dataclass(frozen=True)
class Choice:
    """normal: the folder's name for what is normal. abnormal: the class of a published set, None for each in turn.
    subset: so many pictures of each class of it. segments: a film's labels. split_seed: of the division of a folder."""

    normal: str | None = None
    abnormal: str | None = None
    subset: int | None = None
    segments: Path | None = None
    split_seed: int = 0


def exams(path: Path, choice: Choice, seed: int) -> Iterator[Exam]:
    """One exam, or one for each class of a published set. seed: of that set's split.

    SourceError where the path cannot be used; it says what was expected."""
    try:
        published = datasets.recognise(path)
        if published:
            source = datasets.open_published(path)
            for abnormal in [choice.abnormal] if choice.abnormal else source.classes:
                yield of_split(datasets.divide(source, abnormal, seed, choice.subset))
        elif choice.abnormal is not None or choice.subset is not None:
            raise ValueError(f"{path}: is neither MNIST nor CIFAR-10, so --abnormal and --subset mean nothing")
        elif path.is_dir():
            yield of_folder(path, choice.normal, choice.split_seed)
        elif path.exists():
            yield of_film(path, choice.segments or segments_beside(path))
        else:
            raise ValueError(
                f"{path}: no such file or folder; expected a folder of pictures, a film, MNIST or CIFAR-10"
            )
    except (ValueError, OSError) as error:
        raise SourceError(str(error)) from error


def of_film(film: Path, labels: Path) -> Exam:
    """A film whose frames are labelled by stretch. The frames before the first that is not plainly normal are for
    training, the rest is the test. Where no normal frame comes later, the last quarter of the first is test too."""
    if not labels.is_file():
        raise SourceError(f"{film}: its labels are missing; expected {labels}, or --segments FILE")
    spans = read_segments(labels)
    first = _for_training(spans)
    held: dict[Preprocess, NDArray[np.uint8]] = {}

    def frames(preprocess: Preprocess) -> NDArray[np.uint8]:
        if preprocess not in held:
            held.clear()
            with counting("frames") as progress:
                held[preprocess] = collect(str(film), preprocess, None, progress, threading.Event()).pictures
        return held[preprocess]

    def train(preprocess: Preprocess) -> Loaded:
        if first < LEAST_TO_TRAIN:
            raise SourceError(f"{film}: {first} frames before the first that is not normal: too few to train on")
        return as_loaded(frames(preprocess)[:first], [NORMAL] * first, NORMAL, film.name)

    def test(preprocess: Preprocess) -> Loaded:
        pictures = frames(preprocess)
        kinds = np.full(len(pictures), NORMAL, dtype=object)
        judged = np.ones(len(pictures), dtype=np.bool_)
        judged[:first] = False
        for span in spans:
            kinds[span.first_frame : span.last_frame + 1] = span.kind
            judged[span.first_frame : span.last_frame + 1] = span.judged
        return as_loaded(pictures[judged], [str(kind) for kind in kinds[judged]], NORMAL, film.name)

    rule = f"the film's first {first} frames, for training; the rest, as labelled, for the test"
    return Exam(film.stem, rule, train, test)


def _for_training(spans: Sequence[Span]) -> int:
    """How many frames from the film's first on."""
    first = min((span.first_frame for span in spans), default=0)
    comes_again = any(later.first_frame > earlier.last_frame + 1 for earlier, later in pairwise(spans))
    return first if comes_again else first * 3 // 4
