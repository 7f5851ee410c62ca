"""`linewatch train`: a checkpoint from normal frames."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from models.augment import Augment
from models.checkpoint import CheckpointError, load
from models.ganomaly import Architecture
from models.preprocess import Preprocess
from models.report import write_report
from models.train import TrainingError
from models.train import train as train_model
from models.training_config import FIXED_CAMERA, TrainConfig, for_line
from monitor.commands.failing import FAILED, USAGE, fail
from monitor.progress import TrainingProgress, counting
from monitor.training import Collected, SourceError, collect

EXAMPLE = (
    "Examples: linewatch train pictures/good --out model.safetensors   |   "
    "linewatch train rtsp://camera/stream --frames 2000 --minutes 5 --out model.safetensors"
)


def train(
    source: Annotated[
        str,
        typer.Argument(
            help="Normal frames: a folder of pictures, a film, rtsp://host/path or kafka://host:port/topic."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The checkpoint to write; the report lies beside it.")] = Path(
        "model.safetensors"
    ),
    frames: Annotated[int | None, typer.Option(min=1, help="Take so many frames; of a film the first ones.")] = None,
    minutes: Annotated[float, typer.Option(min=0.01, help="How long to train.")] = 5.0,
    steps: Annotated[int | None, typer.Option(min=1, help="End after so many steps, if that is sooner.")] = None,
    size: Annotated[int, typer.Option(help="Side of the network's picture: 32, 64, 128 or 256.")] = 64,
    grey: Annotated[bool, typer.Option(help="Look at brightness only.")] = False,
    nz: Annotated[int, typer.Option(min=1, help="Length of the latent code.")] = 100,
    paper: Annotated[
        bool,
        typer.Option(
            help="The paper's settings: ngf 64, batch 64, no augmentation, no averaging. Slower; for comparisons."
        ),
    ] = False,
    ngf: Annotated[int | None, typer.Option(min=1, help="Channels of the first layer.  [default: 32]")] = None,
    extra_layers: Annotated[int, typer.Option(min=0, help="Extra layers at full width.")] = 0,
    batch: Annotated[int | None, typer.Option(min=2, help="Frames in a batch.  [default: 16]")] = None,
    augment: Annotated[
        bool | None,
        typer.Option(
            "--augment/--no-augment", help="Small changes of light and noise while training.  [default: augment]"
        ),
    ] = None,
    tolerate_shift: Annotated[
        int,
        typer.Option(min=0, help="A part displaced by so many pixels of the network's picture still counts as normal."),
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Makes a training repeatable.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    resume: Annotated[bool, typer.Option(help="Go on from OUT.resume, with the same frames and settings.")] = False,
) -> None:
    """Train a GANomaly on normal frames: the paper's networks and losses. Ctrl-C keeps the best so far."""
    try:
        base = TrainConfig() if paper else for_line()
        architecture = Architecture(
            size=size, channels=1 if grey else 3, nz=nz, ngf=ngf or base.architecture.ngf, extra_layers=extra_layers
        )
        config = replace(
            base,
            architecture=architecture,
            batch=batch or base.batch,
            augment=base.augment if augment is None else FIXED_CAMERA if augment else Augment(),
            tolerate_shift_px=tolerate_shift,
            seed=seed,
            minutes=minutes,
            max_steps=steps,
            device=device,
        )
    except ValueError as error:
        fail(str(error), USAGE)
    if not out.parent.is_dir():
        fail(f"--out {out}: no folder {out.parent}", USAGE)
    try:
        with interrupted() as stop:
            collected = take(source, Preprocess(architecture.size, architecture.channels), frames, stop)
            if stop.is_set():
                fail("stopped before training began", FAILED)
            with TrainingProgress() as progress:
                result = train_model(collected.pictures, config, out, progress, stop.is_set, resume)
    except SourceError as error:
        fail(str(error), USAGE)
    except (ValueError, CheckpointError, TrainingError) as error:
        fail(str(error), FAILED)
    reports = write_report(result, load(out, device="cpu"), collected.pictures)
    typer.echo(
        f"{out}: step {result.best_step} of {result.steps} was best, ended by {result.stopped} after "
        f"{result.elapsed_s:.0f} s; {result.calibration.count} held-out frames scored "
        f"{result.calibration.low:.4g} to {result.calibration.high:.4g}, threshold "
        f"{result.calibration.threshold:.4g}"
    )
    typer.echo("report: " + ", ".join(str(path) for path in reports))


def take(source: str, preprocess: Preprocess, frames: int | None, stop: threading.Event) -> Collected:
    """Collect frames with progress; says how many were unusable. Raises SourceError."""
    with counting("frames") as progress:
        collected = collect(source, preprocess, frames, progress, stop)
    unusable = f", {collected.unusable} unusable" if collected.unusable else ""
    typer.echo(f"{len(collected.pictures)} frames to train on{unusable}", err=True)
    return collected


@contextmanager
def interrupted() -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets; a second SIGINT ends the process as usual."""
    asked = threading.Event()

    def stop(number: int, _: FrameType | None) -> None:
        asked.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = [(number, signal.signal(number, stop)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield asked
    finally:
        for number, handler in before:
            signal.signal(number, handler)
