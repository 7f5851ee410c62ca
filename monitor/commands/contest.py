"""Training and measuring several scorers on one data set: the longer half of `linewatch evaluate`."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import typer

from models.checkpoint import CheckpointError
from models.evaluation.contest import Run, Stopped, sit
from models.evaluation.evaluated import Evaluated
from models.evaluation.exam import Exam
from models.evaluation.judge import Counted
from models.evaluation.sweep import variants
from models.precision import pick_device
from models.training_config import SOUND, TrainConfig, TrainingError, for_line, for_paper
from monitor.commands.failing import FAILED, USAGE, fail
from monitor.commands.telling import tell_runs
from monitor.commands.train import interrupted
from monitor.exams import Choice, exams
from monitor.progress import TrainingProgress, counting
from monitor.training import SourceError

Plan = tuple[str, TrainConfig]
"""The name of a variant ("" for the plain one), and how it is trained."""


@dataclass(frozen=True)
class Rules:
    """As the options of `linewatch evaluate`."""

    scorers: tuple[str, ...]
    sweep: str | None
    seeds: tuple[int, ...]
    minutes: float
    steps: int | None
    size: int | None
    paper: bool
    device: str
    save: Path | None
    report: Path | None
    as_json: bool


def contest(dataset: Path, choice: Choice, rules: Rules) -> None:
    """Every scorer on every exam with every seed; a line after each, a table at the end. One that fails does not keep
    the others from their turn. Ctrl-C drops the running one; in every case what there is gets printed."""
    try:
        plans = list(_plans(rules))
        pick_device(rules.device)
        for folder in (rules.save, rules.report):  # now, and not after the first training
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError) as error:
        fail(str(error), USAGE)
    runs: list[Run] = []
    failed = 0
    with interrupted() as stop:
        try:
            for exam, variant, config in _turns(dataset, choice, rules, plans):
                if stop.is_set():
                    break
                label = f"{exam.name}, {config.method} {variant}".rstrip() + f", seed {config.seed}"
                typer.echo(label, err=True)
                try:
                    run, found = _sit(exam, variant, config, stop)
                    runs.append(run)
                    _say(label, run, exam)
                    _keep(run, found, rules)
                except SourceError:
                    raise  # the data set cannot be used, by none of them
                except (ValueError, OSError, RuntimeError, CheckpointError, TrainingError) as error:
                    failed += 1
                    typer.echo(f"{label}: failed: {error}", err=True)
        except (Stopped, KeyboardInterrupt):
            stop.set()
        except SourceError as error:
            if not runs:
                fail(str(error), USAGE)
            failed += 1
            typer.echo(str(error), err=True)
    if stop.is_set():
        typer.echo("stopped before all were measured", err=True)
    if runs:
        typer.echo(json.dumps([asdict(run) for run in runs], allow_nan=False) if rules.as_json else tell_runs(runs))
    if failed:
        fail(f"{failed} failed, see above", FAILED)
    if not runs:
        fail("nothing was measured", FAILED)


def write_pages(folder: Path, found: Evaluated) -> list[Path]:
    """The report's HTML and JSON."""
    from models.evaluation.page import write_page  # noqa: PLC0415 - draws and embeds with what is slow to load

    return write_page(folder, found)


def _turns(
    dataset: Path, choice: Choice, rules: Rules, plans: Sequence[Plan]
) -> Iterator[tuple[Exam, str, TrainConfig]]:
    """Exam, variant and settings of each run. SourceError as exams."""
    told = set()
    for seed in rules.seeds:
        for exam in exams(dataset, choice, seed):
            for note in exam.notes:
                if (exam.name, note) not in told:
                    told.add((exam.name, note))
                    typer.echo(f"note: {exam.name}: {note}", err=True)
            for variant, config in plans:
                size = rules.size or exam.size or config.architecture.size
                yield exam, variant, replace(config, seed=seed, architecture=replace(config.architecture, size=size))


def _sit(exam: Exam, variant: str, config: TrainConfig, stop: threading.Event) -> tuple[Run, Evaluated]:
    with ExitStack() as shown:
        training = shown.enter_context(TrainingProgress())
        measuring: Counted | None = None

        def counted(done: int, total: int) -> None:
            nonlocal measuring
            if measuring is None:
                shown.close()  # a terminal has one bar at a time
                measuring = shown.enter_context(counting("looked at"))
            measuring(done, total)

        return sit(exam, config, training, stop.is_set, counted, variant=variant)


def _say(label: str, run: Run, exam: Exam) -> None:
    for note in run.notes[len(exam.notes) :]:
        typer.echo(f"note: {exam.name}: {note}", err=True)
    if run.stopped not in SOUND:
        typer.echo(f"note: {label}: {run.stopped}; measured with the best weights before", err=True)
    typer.echo(f"{label}: AUROC {run.auroc:.3f} after {run.training_s:.0f} s", err=True)


def _keep(run: Run, found: Evaluated, rules: Rules) -> None:
    if rules.save is not None:
        run.save(rules.save)
    if rules.report is not None:
        write_pages(rules.report / run.name, found)


def _plans(rules: Rules) -> Iterator[Plan]:
    """Each scorer in each of its variants. ValueError for a wrong name or size."""
    for name in rules.scorers:
        base = for_paper(name) if rules.paper else for_line(name)
        size = base.architecture.size if rules.size is None else rules.size
        base = replace(
            base,
            architecture=replace(base.architecture, size=size),
            minutes=rules.minutes,
            max_steps=rules.steps,
            device=rules.device,
        )
        paper = ["paper"] if rules.paper else []  # no run with the paper's settings takes the place of one without
        if rules.sweep is None:
            yield "-".join(paper), base
        else:
            for variant, config in variants(base, rules.sweep):
                yield "-".join([*paper, variant]), config
