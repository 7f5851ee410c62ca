"""`linewatch evaluate`: how well a checkpoint, or each of the scorers, tells normal from anomalous."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from models.checkpoint import CheckpointError, load
from models.evaluation.judge import judge
from models.evaluation.sweep import SWEEPS
from models.method_scorer import MethodScorer
from models.methods.catalogue import METHODS
from monitor.commands.contest import Rules, contest, write_pages
from monitor.commands.failing import FAILED, USAGE, fail
from monitor.commands.telling import tell, tell_json
from monitor.exams import Choice, exams
from monitor.progress import counting
from monitor.training import SourceError

EXAMPLE = (
    "Examples: linewatch evaluate model.safetensors mvtec/bottle --report out   |   linewatch evaluate "
    "model.safetensors line.mp4 --segments line.segments.csv   |   linewatch evaluate --all mvtec/bottle --minutes 2"
    "   |   linewatch evaluate --scorer ganomaly mnist --abnormal 3 --seeds 0,1,2   |   linewatch evaluate --sweep nz "
    "mnist --abnormal 2"
)


def evaluate(
    what: Annotated[
        list[Path],
        typer.Argument(
            metavar="[CHECKPOINT] DATASET",
            help="What `linewatch train` wrote (not with --all, --scorer, --sweep), and a folder (MVTec layout or one "
            "folder a class), a film, or the folder of MNIST or CIFAR-10.",
        ),
    ],
    report: Annotated[
        Path | None, typer.Option(help="Write report.html and report.json into this folder, with curves and pictures.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    normal: Annotated[str | None, typer.Option(help="The folder with the normal pictures, by name.")] = None,
    split_seed: Annotated[int, typer.Option(min=0, help="Of the division of a folder that has none.")] = 0,
    segments: Annotated[
        Path | None,
        typer.Option(
            help="A film's labels: first_frame,last_frame,label,what; taken from beside the film if not given."
        ),
    ] = None,
    abnormal: Annotated[
        str | None, typer.Option(help="Of MNIST or CIFAR-10: the class that is abnormal.  [default: each in turn]")
    ] = None,
    subset: Annotated[
        int | None, typer.Option(min=2, help="Of MNIST or CIFAR-10: only so many pictures of each class, and say so.")
    ] = None,
    all_scorers: Annotated[
        bool, typer.Option("--all", help="Train and measure every scorer on DATASET, side by side.")
    ] = False,
    scorer: Annotated[
        list[str] | None, typer.Option(help=f"Train and measure this one, or several: {', '.join(METHODS)}.")
    ] = None,
    sweep: Annotated[
        str | None, typer.Option(help=f"Train GANomaly with varied settings: {' or '.join(SWEEPS)}.")
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.01, help="With training: how long each scorer may take.")] = 2.0,
    steps: Annotated[int | None, typer.Option(min=1, help="With training: end after so many steps if sooner.")] = None,
    seeds: Annotated[str, typer.Option(help="With training: one run each, such as 0,1,2.")] = "0",
    size: Annotated[int | None, typer.Option(help="With training: side of the picture.")] = None,
    paper: Annotated[bool, typer.Option(help="With training: the paper's settings, not those for a line.")] = False,
    save: Annotated[
        Path | None, typer.Option(help="With training: store every run in this folder, for a page of results.")
    ] = None,
) -> None:
    """Print AUROC, average precision, F1 and false alarms with 95 % intervals, at the best and the own threshold."""
    choice = Choice(normal, abnormal, subset, segments, split_seed)
    if all_scorers or scorer or sweep:
        if len(what) != 1:
            fail("with --all, --scorer or --sweep give one DATASET and no checkpoint: they train anew", USAGE)
        rules = Rules(
            scorers=tuple(scorer or (METHODS if all_scorers else ("ganomaly",))),
            sweep=sweep,
            seeds=_seeds(seeds),
            minutes=minutes,
            steps=steps,
            size=size,
            paper=paper,
            device=device,
            save=save,
            report=report,
            as_json=as_json,
        )
        contest(what[0], choice, rules)
        return
    if len(what) != 2:
        fail("give a CHECKPOINT and a DATASET, or --all, --scorer or --sweep and a DATASET", USAGE)
    try:
        loaded = load(what[0], device=device)
    except (CheckpointError, ValueError) as error:
        fail(str(error), USAGE)
    _one(loaded, what[1], choice, report, as_json)


def _one(scorer: MethodScorer, dataset: Path, choice: Choice, report: Path | None, as_json: bool) -> None:
    """Measure one model. Of a published set every class would mean another training, so one must be named."""
    try:
        found = next(exams(dataset, choice, seed=0))
        for note in found.notes:
            typer.echo(f"note: {note}", err=True)
        test = found.test(scorer.info.preprocess)
        for path, reason in test.unreadable:
            typer.echo(f"left out {path}: {reason}", err=True)
        with counting("scored") as progress:
            measured = judge(scorer, found, progress, loaded=test)
        pages = [] if report is None else write_pages(report, measured)
    except SourceError as error:
        fail(str(error), USAGE)
    except (ValueError, OSError) as error:
        fail(f"{dataset}: {error}", FAILED)
    typer.echo(tell_json(measured) if as_json else tell(measured))
    for page in pages:
        typer.echo(f"report: {page}", err=as_json)


def _seeds(text: str) -> tuple[int, ...]:
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or min(found) < 0:
        fail(f"--seeds {text}: expected whole numbers with commas between, such as 0,1,2", USAGE)
    return found
