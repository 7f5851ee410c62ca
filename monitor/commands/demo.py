"""`linewatch demo`: a simulated plant, or a labelled film, watched by the whole of linewatch."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import structlog
import typer
from numpy.typing import NDArray

from models.augment import Augment
from models.checkpoint import CheckpointError, load
from models.preprocess import Preprocess
from models.train import train as train_model
from models.training_config import for_line
from monitor.commands.failing import FAILED, USAGE, fail
from monitor.commands.train import interrupted
from monitor.demo import Demo, Plant, describe, film_plant, lines, simulated_plant
from monitor.embedded import EmbeddedServerError, check_installed
from monitor.progress import TrainingProgress, counting
from streams.codec import decode, encode_jpeg
from streams.simulator.film import film_frames, write_film
from streams.simulator.segments import read_segments, segments_beside

log = structlog.get_logger(__name__)

EXAMPLE = (
    "Examples: linewatch demo   |   linewatch demo --seconds 90   |   linewatch demo --checkpoint bottle.safetensors "
    "--film bottle.mp4 --segments bottle.segments.csv --seconds 60"
)
SEED = 7
TRAINING_SEED = 1007
"""Other parts than the ones that will be watched: the model has seen none of the frames that it will score."""
CAMERAS = 3
FILM_S = 120
TRAINING_PERIODS = 50
"""Belt periods that each camera shows for training: so many parts, each laid down a little differently."""
STEPS = 900
"""One to two minutes on two cores; a slower machine takes longer for as good a model, up to `--minutes`."""


def demo(
    seconds: Annotated[float | None, typer.Option(min=5, help="End by itself after so long; else with Ctrl-C.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the live page; 0 takes a free one.")] = 8090,
    folder: Annotated[Path, typer.Option(help="Where the checkpoint, the film, evidence and truth are kept.")] = Path(
        "demo-work"
    ),
    minutes: Annotated[float, typer.Option(min=0.01, help="How long training may take at the first start.")] = 8.0,
    checkpoint: Annotated[Path | None, typer.Option(help="Use this model instead of training one.")] = None,
    film: Annotated[
        Path | None, typer.Option(help="Watch this film, over RTSP and Kafka, instead of the plant.")
    ] = None,
    segments: Annotated[Path | None, typer.Option(help="The film's labels; taken from beside it if not given.")] = None,
    cooldown_s: Annotated[float, typer.Option(min=0, help="alerts.cooldown_s of this run.")] = 0.0,
) -> None:
    """Start servers and a simulated line, train a model, watch three cameras, account for every frame and defect."""
    if film is not None and checkpoint is None:
        fail("--film needs --checkpoint: train one first with linewatch train FILM --frames N", USAGE)
    try:
        check_installed()
        folder.mkdir(parents=True, exist_ok=True)
        plant = _film(film, segments) if film is not None else _plant(folder)
        model = checkpoint or _train(folder / "model.safetensors", minutes)
        load(model, device="cpu")  # a checkpoint that cannot be used is told before servers start
    except EmbeddedServerError as error:
        fail(str(error), FAILED)
    except (OSError, ValueError, CheckpointError) as error:
        fail(str(error), USAGE)
    running = Demo(plant, model, folder, port=port, cooldown_s=cooldown_s)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: running.stop())

    def announce(address: str) -> None:
        typer.echo(f"the live page: {address}/", err=True)
        typer.echo("Ctrl-C ends the demo." if seconds is None else f"It ends by itself in {seconds:g} s.", err=True)

    try:
        report = running.run(seconds, announce=announce)
    except EmbeddedServerError as error:
        fail(str(error), FAILED)
    except OSError as error:
        fail(f"cannot listen on port {port}: {error.strerror}; give another with --port", FAILED)
    typer.echo(describe(report))
    if not report.good:
        raise typer.Exit(FAILED)


def _film(film: Path, segments: Path | None) -> Plant:
    labels = segments or segments_beside(film)
    if not labels.is_file():
        raise FileNotFoundError(f"{film}: its labels are missing; expected {labels}, or --segments FILE")
    return film_plant(film, labels, read_segments(labels))


def _plant(folder: Path) -> Plant:
    """The simulated plant; its RTSP camera plays a film that is rendered once."""
    first = lines(SEED, CAMERAS)[0]
    film = folder / f"line-1-{SEED}-{FILM_S}s.mp4"
    if not film.is_file():
        with counting("frames of the RTSP camera's film") as progress:
            write_film(first, film, FILM_S, on_frame=progress)
    return simulated_plant(SEED, film, film_frames(first, FILM_S))


def _train(out: Path, minutes: float) -> Path:
    """The checkpoint of an earlier start, or one trained now on normal frames of all cameras."""
    if out.is_file():
        try:
            load(out, device="cpu")
            typer.echo(f"using {out} from an earlier start", err=True)
            return out
        except CheckpointError as error:
            typer.echo(f"training anew: {error}", err=True)
    # The training frames show all that changes on this line, so nothing is added to them.
    config = replace(for_line(minutes=minutes), max_steps=STEPS, augment=Augment())
    architecture = config.architecture
    pictures = normal_pictures(Preprocess(architecture.size, architecture.channels))
    typer.echo(f"training on {len(pictures)} normal frames: {STEPS} steps, {minutes:g} minutes at most", err=True)
    with interrupted() as stop, TrainingProgress() as progress:
        result = train_model(pictures, config, out, progress, stop.is_set)
    if stop.is_set():
        fail(f"training was stopped; {out} holds the best so far and will be used by the next start", FAILED)
    from models.report import write_report  # noqa: PLC0415 - draws with matplotlib, which is slow to load

    write_report(result, load(out, device="cpu"), pictures)
    return out


def normal_pictures(preprocess: Preprocess) -> NDArray[np.uint8]:
    """Normal frames of every camera as they arrive, JPEG and all: uint8 [N, S, S, C]."""
    plant = lines(TRAINING_SEED, CAMERAS)
    frames = TRAINING_PERIODS * 2 * plant[0].fps
    pictures = []
    with counting("normal frames") as progress:
        for line in plant:
            for index in range(frames):
                jpeg = encode_jpeg(line.render(index, defects=False))
                pictures.append(preprocess.picture(decode(jpeg, max_pixels=1 << 24)))
                progress(len(pictures), frames * len(plant))
    return np.stack(pictures)
