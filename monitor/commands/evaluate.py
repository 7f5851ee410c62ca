"""`linewatch evaluate`: how well a checkpoint tells normal from anomalous, on labelled pictures or a labelled film."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from models import datasets
from models.checkpoint import CheckpointError, load
from models.evaluate import Evaluation
from models.evaluate import evaluate as evaluate_scores
from models.scorer import Scorer
from monitor.commands.failing import FAILED, USAGE, fail
from monitor.progress import counting
from monitor.training import SourceError, collect
from streams.simulator.segments import read_segments, segments_beside

EXAMPLE = (
    "Examples: linewatch evaluate model.safetensors mvtec/bottle   |   linewatch evaluate model.safetensors "
    "line.mp4 --segments line.segments.csv"
)
BATCH = 64


def evaluate(
    checkpoint: Annotated[Path, typer.Argument(help="What `linewatch train` wrote.")],
    dataset: Annotated[Path, typer.Argument(help="A folder (MVTec layout or one folder a class) or a film.")],
    segments: Annotated[
        Path | None,
        typer.Option(
            help="A film's labels: first_frame,last_frame,label,what; taken from beside the film if not given."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print AUROC, average precision, and recall and false-positive rate at the checkpoint's own threshold."""
    try:
        scorer = load(checkpoint, device=device)
    except (CheckpointError, ValueError) as error:
        fail(str(error), USAGE)
    try:
        if dataset.is_dir():
            scores, anomalous, kinds = _folder(scorer, dataset)
        else:
            scores, anomalous, kinds = _film(scorer, dataset, segments or segments_beside(dataset))
        found = evaluate_scores(scores, anomalous, scorer.info.calibration.threshold)
    except (SourceError, FileNotFoundError) as error:
        fail(str(error), USAGE)
    except ValueError as error:
        fail(f"{dataset}: {error}", FAILED)
    _print(found, scorer, scores, kinds, as_json)


def _folder(scorer: Scorer, folder: Path) -> tuple[NDArray[np.float64], NDArray[np.bool_], list[str]]:
    test = datasets.find(folder).test
    if not test:
        raise SourceError(
            f"{folder}: holds no labelled pictures; expected test/good beside test/<fault>, or a folder "
            "good or normal beside others"
        )
    loaded = datasets.load(test, scorer.info.preprocess)
    for path, reason in loaded.unreadable:
        typer.echo(f"left out {path}: {reason}", err=True)
    anomalous = np.array([picture.anomalous for picture in loaded.kept], dtype=np.bool_)
    return score_all(scorer, loaded.pictures), anomalous, [picture.kind for picture in loaded.kept]


def _film(scorer: Scorer, film: Path, labels: Path) -> tuple[NDArray[np.float64], NDArray[np.bool_], list[str]]:
    if not labels.is_file():
        raise SourceError(f"{film}: its labels are missing; expected {labels}, or --segments FILE")
    spans = read_segments(labels)
    with counting("frames") as progress:
        pictures = collect(str(film), scorer.info.preprocess, None, progress, threading.Event()).pictures
    kinds = np.full(len(pictures), "normal", dtype=object)
    judged = np.ones(len(pictures), dtype=np.bool_)
    for span in spans:
        kinds[span.first_frame : span.last_frame + 1] = span.kind
        judged[span.first_frame : span.last_frame + 1] = span.judged
    scores = score_all(scorer, pictures)[judged]
    return scores, np.array(kinds[judged] != "normal", dtype=np.bool_), [str(kind) for kind in kinds[judged]]


def score_all(scorer: Scorer, pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Raw scores [N] of uint8 [N, S, S, C], in batches, with progress."""
    parts = []
    with counting("scored") as progress:
        for start in range(0, len(pictures), BATCH):
            parts.append(scorer.score(pictures[start : start + BATCH]))
            progress(min(start + BATCH, len(pictures)), len(pictures))
    return np.concatenate(parts) if parts else np.empty(0)


def _print(found: Evaluation, scorer: Scorer, scores: NDArray[np.float64], kinds: Sequence[str], as_json: bool) -> None:
    threshold = scorer.info.calibration.threshold
    by_kind = {
        kind: {
            "frames": int(mask.sum()),
            "median_score": float(np.median(scores[mask])),
            "above_threshold": float((scores[mask] > threshold).mean()),
        }
        for kind in sorted(set(kinds))
        for mask in [np.array([k == kind for k in kinds])]
    }
    if as_json:
        typer.echo(
            json.dumps({"model": scorer.info.model_id, "threshold": threshold, **asdict(found), "kinds": by_kind})
        )
        return
    typer.echo(f"{found.normal} normal, {found.anomalous} anomalous")
    typer.echo(f"AUROC {found.auroc:.3f}, average precision {found.average_precision:.3f}")
    typer.echo(
        f"at the threshold {threshold:.4g}: recall {found.recall:.3f}, "
        f"false-positive rate {found.false_positive_rate:.3f}"
    )
    for kind, row in by_kind.items():
        typer.echo(
            f"  {kind:<32} {row['frames']:>5} frames, median score {row['median_score']:.4g}, "
            f"{row['above_threshold']:.0%} above the threshold"
        )
