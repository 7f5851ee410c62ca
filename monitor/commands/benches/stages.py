"""`linewatch bench stages`: each stage of a frame's way, alone."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Annotated, Any, Final

import cv2
import redis
import typer
from kafka.errors import KafkaError  # type: ignore[import-untyped,unused-ignore]

from models.ganomaly import SIZES
from models.precision import PRECISIONS, Precision
from models.tensorfile import CheckpointError
from monitor.bench.document import Document
from monitor.bench.footage import Footage, footage
from monitor.bench.network import network
from monitor.bench.stages.lap import StageFailed
from monitor.bench.stages.score import had
from monitor.bench.stages.stages import STAGES, measure
from monitor.bench.stages.task import Row, Setup
from monitor.bench.table import Column, table
from monitor.commands.failing import FAILED, USAGE, fail
from monitor.embedded import EmbeddedServerError
from monitor.judging.baseline.port import WindowUnavailable
from monitor.progress import counting

EXAMPLE: Final = "Example: linewatch bench stages --frames line.mp4 --size 64 --only decode --only score --out figures"
NOTES: Final = (
    "Every stage is measured alone, on a machine that does nothing else for it than run the server it asks. A frame is "
    "the unit throughout.",
    "Rows with in_path are together a frame's whole way through the service, nothing of it twice; the others are parts "
    "of these, or other sizes.",
    "wall_us of the window is that of the median call.",
)
COLUMNS: Final = (
    Column("stage", "stage", "", ""),
    Column("variant", "measured", "", ""),
    Column("batch", "batch", "d", ""),
    Column("wall_us", "a frame", ".1f", "µs"),
    Column("cpu_us", "CPU", ".1f", "µs"),
    Column("server_cpu_us", "server's CPU", ".1f", "µs"),
    Column("frames_per_s", "frames/s", ".0f", ""),
    Column("least", "least", ".0f", ""),
    Column("greatest", "greatest", ".0f", ""),
)


def stages(
    frames: Annotated[
        Path | None, typer.Option(help="A film or a folder of pictures; without it a simulated line.")
    ] = None,
    resolution: Annotated[str, typer.Option(help="Of the frames, as WIDTHxHEIGHT; others are scaled.")] = "640x480",
    size: Annotated[int, typer.Option(help="Side of the network's picture: 32, 64, 128 or 256.")] = 64,
    ngf: Annotated[int, typer.Option(min=2, help="The network's width, as in training.")] = 64,
    seconds: Annotated[float, typer.Option(min=0.05, max=600, help="How long each way is measured at a time.")] = 2.0,
    repeats: Annotated[int, typer.Option(min=1, max=1000, help="And how often.")] = 5,
    batches: Annotated[str, typer.Option(help="Batch sizes for the network and the window.")] = "1,8,32,64",
    precisions: Annotated[
        str | None, typer.Option(help="fp32, bf16 or both: fp32,bf16. Without it those the device has units for.")
    ] = None,
    device: Annotated[str, typer.Option(help="As model.device.")] = "auto",
    only: Annotated[
        list[str] | None, typer.Option(help=f"This stage alone; again for more: {', '.join(STAGES)}.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write stages.json into this folder, too.")] = None,
) -> None:
    """What each stage of a frame's way costs alone: reading, decoding, preprocessing, scoring, the window, judging,
    publishing. By the classes of the service, on servers that are started for it."""
    try:
        chosen = _chosen(only or [])
        width, height = _resolution(resolution)
        wanted = _precisions(precisions, device)
        sizes = _batches(batches)
        if size not in SIZES:
            raise ValueError(f"--size {size}: choose one of {', '.join(map(str, SIZES))}")
        shown = footage(frames, width, height)
        with tempfile.TemporaryDirectory(prefix="linewatch-bench-") as folder:
            setup = Setup(shown, network(Path(folder), size, shown, ngf), device, wanted, sizes)
            rows = [row for stage in chosen for row in _measured(stage, setup, seconds, repeats)]
    except (ValueError, CheckpointError) as error:
        fail(str(error), USAGE)
    except (EmbeddedServerError, StageFailed) as error:
        fail(str(error), FAILED)
    except (KafkaError, redis.RedisError, WindowUnavailable, OSError) as error:
        fail(f"the servers of the bench: {type(error).__name__}: {error}", FAILED)
    typer.echo(table([_line(row) for row in rows], COLUMNS))
    if out is not None:
        asked = _asked(shown, size, ngf, seconds, repeats, setup)
        try:
            file = Document.of("stages", asked, [row.to_dict() for row in rows], NOTES).write(out)
        except (OSError, ValueError) as error:
            fail(str(error), FAILED)
        typer.echo(f"written to {file}", err=True)


def _measured(stage: str, setup: Setup, seconds: float, repeats: int) -> list[Row]:
    with counting(f"laps of {stage}") as counted:
        return measure(stage, setup, seconds, repeats, counted)


def _chosen(only: list[str]) -> list[str]:
    if unknown := [name for name in only if name not in STAGES]:
        raise ValueError(f"--only {unknown[0]}: there is no such stage; choose among {', '.join(STAGES)}")
    return [name for name in STAGES if not only or name in only]


def _resolution(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", text)
    if found is None:
        raise ValueError(f"--resolution {text}: expected WIDTHxHEIGHT in pixels, 640x480 say")
    return int(found[1]), int(found[2])


def _batches(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and 1 <= int(part) <= 4096 for part in parts):
        raise ValueError(f"--batches {text}: expected numbers from 1 to 4096 with commas between them, 1,8,64 say")
    return tuple(sorted({int(part) for part in parts}))


def _precisions(text: str | None, device: str) -> tuple[Precision, ...]:
    usual = had(device)
    if text is None:
        return usual
    asked = {part.strip() for part in text.split(",")}
    found = tuple(name for name in PRECISIONS if name in asked and name != "auto")
    if len(found) != len(asked):
        raise ValueError(f"--precisions {text}: expected fp32, bf16 or both with a comma between them")
    return found


def _line(row: Row) -> dict[str, Any]:
    return row.to_dict() | {"least": row.spread.least, "greatest": row.spread.greatest}


def _asked(shown: Footage, size: int, ngf: int, seconds: float, repeats: int, setup: Setup) -> dict[str, Any]:
    return {
        "frames": shown.name,
        "resolution": f"{shown.width}x{shown.height}",
        "mean_bytes": round(shown.mean_bytes),
        "different_frames": len(shown.jpegs),
        "size": size,
        "ngf": ngf,
        "device": setup.device,
        "precisions": list(setup.precisions),
        "batches": list(setup.batches),
        "cameras": setup.cameras,
        "window": setup.window,
        "seconds": seconds,
        "repeats": repeats,
        "opencv_threads": cv2.getNumThreads(),
    }
