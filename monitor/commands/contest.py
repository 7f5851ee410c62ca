"""Training and measuring several scorers on one data set: the longer half of `linewatch evaluate`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import typer

from models.checkpoint import CheckpointError
from models.evaluation.contest import Run, sit
from models.evaluation.evaluated import Evaluated
from models.evaluation.sweep import variants
from models.train import TrainingError
from models.training_config import TrainConfig, for_line, for_paper
from monitor.commands.failing import FAILED, USAGE, fail
from monitor.commands.telling import tell_runs
from monitor.commands.train import interrupted
from monitor.exams import Choice, exams
from monitor.progress import TrainingProgress
from monitor.training import SourceError


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
    """Every scorer on every exam with every seed; a line after each, a table at the end. Ctrl-C ends after the
    running one and prints what there is."""
    runs: list[Run] = []
    try:
        plans = list(_plans(rules))
        with interrupted() as stop:
            for seed in rules.seeds:
                for exam in exams(dataset, choice, seed):
                    for note in exam.notes:
                        typer.echo(f"note: {exam.name}: {note}", err=True)
                    for variant, config in plans:
                        if stop.is_set():
                            break
                        label = f"{exam.name}, {config.method} {variant}".rstrip() + f", seed {seed}"
                        typer.echo(label, err=True)
                        with TrainingProgress() as progress:
                            seeded = replace(config, seed=seed)
                            run, found = sit(exam, seeded, progress, stop.is_set, variant=variant)
                        if run.stopped == "asked":
                            break  # a training that was cut short is no result
                        runs.append(run)
                        typer.echo(f"{label}: AUROC {run.auroc:.3f} after {run.training_s:.0f} s", err=True)
                        if rules.save is not None:
                            run.save(rules.save)
                        if rules.report is not None:
                            name = f"{exam.name}-{config.method}{f'-{variant}' if variant else ''}-seed{seed}"
                            write_pages(rules.report / name, found)
    except SourceError as error:
        fail(str(error), USAGE)
    except (ValueError, OSError, CheckpointError, TrainingError) as error:
        fail(str(error), FAILED)
    if not runs:
        fail("stopped before anything was measured", FAILED)
    if rules.as_json:
        typer.echo(json.dumps([asdict(run) for run in runs], allow_nan=False))
    else:
        typer.echo(tell_runs(runs))


def write_pages(folder: Path, found: Evaluated) -> list[Path]:
    """The report's HTML and JSON."""
    from models.evaluation.page import write_page  # noqa: PLC0415 - draws and embeds with what is slow to load

    return write_page(folder, found)


def _plans(rules: Rules) -> Iterator[tuple[str, TrainConfig]]:
    """The name of each variant ("" for the plain one), and how it is trained. ValueError for a wrong name."""
    for name in rules.scorers:
        base = for_paper(name) if rules.paper else for_line(name)
        architecture = base.architecture
        if rules.size is not None:
            architecture = replace(architecture, size=rules.size)
        base = replace(
            base, architecture=architecture, minutes=rules.minutes, max_steps=rules.steps, device=rules.device
        )
        if rules.sweep is None:
            yield "", base
        else:
            yield from variants(base, rules.sweep)
