"""The exam that a path names: a folder, a film with its labels, MNIST or CIFAR-10."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import datasets
from models.datasets import Labelled, Loaded
from models.evaluation.exam import Exam, file_name, of_folder, of_split
from models.preprocess import Preprocess
from monitor.progress import counting
from monitor.training import SourceError, collect
from streams.files import FILMS
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

    SourceError where the path cannot be used, or the choice does not fit it; it says what was expected."""
    try:
        if not path.exists():
            raise ValueError(
                f"{path}: no such file or folder; expected a folder of pictures, a film, MNIST or CIFAR-10"
            )
        if is_published(path):
            _refuse(path, "MNIST or CIFAR-10", normal=choice.normal, segments=choice.segments)
            source = datasets.open_published(path)
            for abnormal in source.classes if choice.abnormal is None else [choice.abnormal]:
                yield of_split(datasets.divide(source, abnormal, seed, choice.subset))
        elif path.is_dir():
            _refuse(path, "a folder", abnormal=choice.abnormal, subset=choice.subset, segments=choice.segments)
            yield of_folder(path, choice.normal, choice.split_seed)
        elif path.suffix.lower() in FILMS:
            _refuse(path, "a film", abnormal=choice.abnormal, subset=choice.subset, normal=choice.normal)
            yield of_film(path, choice.segments or segments_beside(path))
        else:
            raise ValueError(
                f"{path}: expected a folder of pictures, a film ({', '.join(sorted(FILMS))}), MNIST or CIFAR-10"
            )
    except (ValueError, OSError, csv.Error) as error:
        raise SourceError(str(error)) from error


def is_published(path: Path) -> bool:
    """Whether the path is taken for MNIST or CIFAR-10, by the names of files. OSError where it cannot be read."""
    return datasets.recognise(path) is not None


def of_film(film: Path, labels: Path) -> Exam:
    """A film whose frames are labelled by stretch. The frames before the first that is not plainly normal are for
    training, the rest is the test. Where no labelled stretches have normal frames between them, the last quarter of
    the first is test too: it may be all that is normal there. SourceError where the labels name nothing anomalous;
    when the film is read, where it does not go with them."""
    if not labels.is_file():
        raise SourceError(f"{film}: its labels are missing; expected {labels}, or --segments FILE")
    spans = read_segments(labels)
    if not any(span.judged for span in spans):
        raise SourceError(f"{labels}: names no anomalous frame, so there is nothing to tell apart")
    first = _for_training(spans)
    held: dict[Preprocess, NDArray[np.uint8]] = {}

    def frames(preprocess: Preprocess) -> NDArray[np.uint8]:
        if preprocess not in held:
            held.clear()
            held[preprocess] = _read(film, preprocess, labels, spans)
        return held[preprocess]

    def train(preprocess: Preprocess) -> Loaded:
        if first < LEAST_TO_TRAIN:
            raise SourceError(
                f"{film}: {first} frames for training, before the first that is not normal: expected at least "
                f"{LEAST_TO_TRAIN}"
            )
        kept = tuple(_labelled(film, number, NORMAL, False) for number in range(first))
        return Loaded(frames(preprocess)[:first], kept, ())

    def test(preprocess: Preprocess) -> Loaded:
        pictures = frames(preprocess)
        kinds = np.full(len(pictures), NORMAL, dtype=object)
        judged = np.arange(len(pictures)) >= first
        anomalous = np.zeros(len(pictures), np.bool_)
        for span in spans:
            stretch = slice(span.first_frame, span.last_frame + 1)
            kinds[stretch], judged[stretch], anomalous[stretch] = span.kind, span.judged, span.judged
        numbers = np.flatnonzero(judged)
        kept = tuple(_labelled(film, int(i), str(kinds[i]), bool(anomalous[i])) for i in numbers)
        return Loaded(pictures[numbers], kept, ())

    rule = f"the film's first {first} frames, for training; the rest, as labelled, for the test"
    return Exam(file_name(film.stem), rule, train, test)


def _read(film: Path, preprocess: Preprocess, labels: Path, spans: Sequence[Span]) -> NDArray[np.uint8]:
    with counting("frames") as progress:
        collected = collect(str(film), preprocess, None, progress, threading.Event())
    count, last = len(collected.pictures), spans[-1].last_frame
    if collected.unusable:  # the labels count frames: after a missing one they would be of others
        raise SourceError(f"{film}: {collected.unusable} frames cannot be used, so {labels} does not fit it any more")
    if last >= count:
        raise SourceError(f"{labels}: names frame {last}, but {film} has {count} frames (0 to {count - 1})")
    return collected.pictures


def _labelled(film: Path, number: int, kind: str, anomalous: bool) -> Labelled:
    """A frame is no file; its name says where in the film it is."""
    return Labelled(Path(f"{film.name} frame {number}"), anomalous, kind)


def _for_training(spans: Sequence[Span]) -> int:
    """How many frames from the film's first on."""
    first = spans[0].first_frame
    comes_again = any(later.first_frame > earlier.last_frame + 1 for earlier, later in pairwise(spans))
    return first if comes_again else first * 3 // 4


def _refuse(path: Path, what: str, **given: object) -> None:
    """What was chosen and means nothing for such a path is not passed over."""
    names = [f"--{name}" for name, value in given.items() if value is not None]
    if names:
        raise ValueError(f"{path}: is {what}, so {', '.join(names)} cannot be used with it")
