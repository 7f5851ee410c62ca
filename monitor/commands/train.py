"""`linewatch train`: a checkpoint from normal frames."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from models.augment import Augment
from models.checkpoint import CheckpointError, load
from models.ganomaly import Architecture
from models.methods.catalogue import METHODS
from models.preprocess import Preprocess
from models.together import speaks
from models.train import train as train_model
from models.training_config import FIXED_CAMERA, TrainingError, for_line, for_paper
from monitor.commands.failing import FAILED, USAGE, fail
from monitor.progress import TrainingProgress, counting
from monitor.training import Collected, SourceError, collect

EXAMPLE = (
    "Examples: linewatch train pictures/good --out model.safetensors   |   "
    "linewatch train rtsp://camera/stream --frames 2000 --scorer calibrated --out model.safetensors   |   "
    "torchrun --nproc-per-node 2 -m monitor.cli train pictures/good --size 256 --minutes 30"
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
    scorer: Annotated[
        str,
        typer.Option(
            help=f"What learns: {', '.join(METHODS)}. For a line: calibrated. The others are the paper's, to compare."
        ),
    ] = "ganomaly",
    minutes: Annotated[float, typer.Option(min=0.01, help="How long to train.")] = 5.0,
    steps: Annotated[int | None, typer.Option(min=1, help="End after so many steps, if that is sooner.")] = None,
    patience: Annotated[
        int | None, typer.Option(min=1, help="End when so many steps brought no better loss on held-out frames.")
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(help="Side of the picture: 32, 64, 128 or 256.  [default: 64; calibrated: 128]"),
    ] = None,
    grey: Annotated[bool, typer.Option(help="Look at brightness only.")] = False,
    nz: Annotated[
        int | None, typer.Option(min=1, help="Length of the latent code.  [default: the scorer's, mostly 100]")
    ] = None,
    paper: Annotated[
        bool,
        typer.Option(
            help="The paper's settings: its ngf, batch 64, no augmentation, no averaging. Slower; for comparisons."
        ),
    ] = False,
    norm: Annotated[str, typer.Option(help="How the codes' distance is measured: squared or absolute.")] = "squared",
    lr: Annotated[
        float | None, typer.Option(min=0, help="Learning rate.  [default: the scorer's, mostly 2e-4]")
    ] = None,
    held_out: Annotated[float, typer.Option(help="Share of the frames kept out of the steps, to calibrate.")] = 0.2,
    precision: Annotated[str, typer.Option(help="auto (bf16 where it is faster), fp32 or bf16.")] = "auto",
    ngf: Annotated[int | None, typer.Option(min=1, help="Channels of the first layer.  [default: 32]")] = None,
    extra_layers: Annotated[int, typer.Option(min=0, help="Extra layers at full width.")] = 0,
    batch: Annotated[int | None, typer.Option(min=2, help="Frames in a batch.  [default: 16]")] = None,
    augment: Annotated[
        bool | None,
        typer.Option(
            "--augment/--no-augment", help="Small changes of light and noise while training.  [default: augment]"
        ),
    ] = None,
    augment_shift: Annotated[
        float, typer.Option(min=0, help="Move frames by up to so many pixels of the network's picture while training.")
    ] = 0.0,
    tolerate_shift: Annotated[
        int,
        typer.Option(min=0, help="A part displaced by so many pixels of the network's picture still counts as normal."),
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Makes a training repeatable.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    resume: Annotated[bool, typer.Option(help="Go on from OUT.resume, with the same frames and settings.")] = False,
) -> None:
    """Train on normal frames, by default the paper's GANomaly. Ctrl-C keeps the best so far."""
    try:
        base = for_paper(scorer, seed=seed) if paper else for_line(scorer, seed=seed)
        shape = base.architecture
        architecture = Architecture(
            size=size or shape.size,
            channels=1 if grey else 3,
            nz=nz or shape.nz,
            ngf=ngf or shape.ngf,
            extra_layers=extra_layers,
        )
        varied = base.augment if augment is None else FIXED_CAMERA if augment else Augment()
        config = replace(
            base,
            architecture=architecture,
            batch=batch or base.batch,
            lr=base.lr if lr is None else lr,
            norm=norm,  # type: ignore[arg-type] # checked there
            precision=precision,  # type: ignore[arg-type]
            held_out=held_out,
            augment=replace(varied, shift_px=augment_shift or varied.shift_px),
            tolerate_shift_px=tolerate_shift,
            minutes=minutes,
            max_steps=steps,
            patience=patience,
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
            with TrainingProgress() if speaks() else nullcontext() as progress:
                result = train_model(collected.pictures, config, out, progress, stop.is_set, resume)
    except SourceError as error:
        fail(str(error), USAGE)
    except (ValueError, CheckpointError, TrainingError) as error:
        fail(str(error), FAILED)
    if not speaks():  # one of several processes that torchrun started
        return
    from models.report import write_report  # noqa: PLC0415 - draws with matplotlib, which is slow to load

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
