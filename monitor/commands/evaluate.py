"""`linewatch evaluate`: how well a checkpoint, or each of the scorers, tells normal from anomalous."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from models.checkpoint import CheckpointError, load_checkpoint, scorer_of
from models.evaluation.exam import load_test, unreadable
from models.evaluation.judge import judge
from models.evaluation.sweep import SWEEPS
from models.marks import known
from models.method_scorer import MethodScorer
from models.methods.catalogue import METHODS
from monitor.commands.contest import Rules, contest, write_pages
from monitor.commands.failing import FAILED, USAGE, fail
from monitor.commands.telling import tell, tell_json
from monitor.exams import Choice, exams, is_published
from monitor.progress import counting
from monitor.training import SourceError

EXAMPLE = (
    "Examples: linewatch evaluate model.safetensors mvtec/bottle --report out   |   linewatch evaluate "
    "model.safetensors line.mp4 --segments line.segments.csv   |   linewatch evaluate --all mvtec/bottle --minutes 2"
    "   |   linewatch evaluate --scorer ganomaly mnist --abnormal 3 --seeds 0,1,2   |   linewatch evaluate --sweep nz "
    "mnist --abnormal 2"
)
TRAINING = ("minutes", "steps", "seeds", "size", "paper", "save")
"""Options that mean nothing where a checkpoint is measured."""


def evaluate(
    context: typer.Context,
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
    split_seed: Annotated[
        int, typer.Option(min=0, help="Of the division into training and test where a folder has none.")
    ] = 0,
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
    size: Annotated[
        int | None,
        typer.Option(help="With training: side of the picture.  [default: the scorer's; MNIST and CIFAR-10: 32]"),
    ] = None,
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
        if all_scorers and scorer:
            fail("give --all or --scorer, not both", USAGE)
        rules = Rules(
            scorers=tuple(dict.fromkeys(scorer or (METHODS if all_scorers else ("ganomaly",)))),
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
    useless = [f"--{name}" for name in TRAINING if _given(context, name)]
    if useless:
        fail(f"{', '.join(useless)}: only with --all, --scorer or --sweep: a CHECKPOINT is not trained again", USAGE)
    try:
        held = load_checkpoint(what[0])
        model = scorer_of(held, device)
    except (CheckpointError, ValueError) as error:
        fail(str(error), USAGE)
    _one(model, held.training.get("seen", []), what[1], choice, report, as_json)


def _one(
    scorer: MethodScorer, seen: list[str], dataset: Path, choice: Choice, report: Path | None, as_json: bool
) -> None:
    """Measure one model. seen: the marks of the pictures that it was trained on."""
    try:
        if choice.abnormal is None and is_published(dataset):
            fail(f"{dataset}: say with --abnormal which class the checkpoint was not trained on", USAGE)
        found = next(exams(dataset, choice, choice.split_seed))
        test = load_test(found, scorer.info.preprocess)
        for note in (*found.notes, *unreadable(test, "the test")):
            typer.echo(f"note: {note}", err=True)
        trained_on = known(test.pictures, seen)
        if trained_on:
            typer.echo(
                f"note: the model was trained on {trained_on} of these {len(test.pictures)} pictures: it looks better "
                "than it is",
                err=True,
            )
        with counting("looked at") as progress:
            measured = judge(scorer, found, progress, loaded=test)
    except SourceError as error:
        fail(str(error), USAGE)
    except (ValueError, OSError) as error:
        fail(f"{dataset}: {error}", FAILED)
    typer.echo(tell_json(measured) if as_json else tell(measured))
    if report is None:
        return
    try:
        for page in write_pages(report, measured):
            typer.echo(f"report: {page}", err=as_json)
    except (ValueError, OSError) as error:
        fail(f"no report: {error}", FAILED)


def _given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _seeds(text: str) -> tuple[int, ...]:
    try:
        found = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        found = ()
    if not found or not all(0 <= seed < 2**32 for seed in found):
        fail(f"--seeds {text}: expected whole numbers with commas between, such as 0,1,2", USAGE)
    return found
