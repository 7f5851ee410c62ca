"""`linewatch import`: a checkpoint of the authors' code or of anomalib becomes one of ours, with the same scores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from models.calibration import Calibration
from models.checkpoint import CheckpointError, save
from models.importers import import_networks
from models.losses import Norm
from models.method_scorer import MethodScorer
from models.methods.ganomaly import Ganomaly
from models.preprocess import Normalisation, Preprocess
from monitor.commands.failing import FAILED, USAGE, fail
from monitor.commands.train import interrupted
from monitor.progress import counting
from monitor.training import SourceError, collect
from streams.redact import redact

EXAMPLE = (
    "Examples: linewatch import netG.pth --discriminator netD.pth --normal pictures/good --out model.safetensors   |   "
    "linewatch import model.ckpt --out model.safetensors"
)
BATCH = 64


def import_checkpoint(
    file: Annotated[Path, typer.Argument(help="The authors' netG.pth, or anomalib's model.ckpt.")],
    out: Annotated[Path, typer.Option(help="The checkpoint to write.")] = Path("model.safetensors"),
    discriminator: Annotated[
        Path | None, typer.Option(help="The authors' netD.pth; anomalib's file holds its own.")
    ] = None,
    normal: Annotated[
        str | None,
        typer.Option(
            help="Normal pictures to calibrate the threshold on: a folder, a film, rtsp://host/path or "
            "kafka://host:port/topic. Without, there is no threshold yet."
        ),
    ] = None,
    frames: Annotated[
        int | None, typer.Option(min=1, help="Take so many normal pictures; of a film the first ones.")
    ] = None,
    norm: Annotated[
        Norm, typer.Option(help="How codes are compared: squared as in both codes, absolute as in the paper's text.")
    ] = "squared",
    normalisation: Annotated[
        Normalisation | None,
        typer.Option(
            help="How the model was shown pictures.  [default: half for the authors', imagenet for anomalib's]"
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="Where normal pictures are scored: auto, cpu or cuda.")] = "auto",
) -> None:
    """Turn a checkpoint of the authors' code or of anomalib into ours. No code from the file is run."""
    if not out.parent.is_dir():
        fail(f"--out {out}: no folder {out.parent}", USAGE)
    if out.exists() and any(
        given is not None and given.exists() and out.samefile(given) for given in (file, discriminator)
    ):
        fail(f"--out {out}: is the file that is read; name another", USAGE)
    try:
        imported = import_networks(file, discriminator, normalisation)
        made = imported.ganomaly(norm)
        calibration = None
        if normal is not None:
            calibration = _calibrate(made, imported.preprocess, normal, frames, device)
    except (CheckpointError, SourceError, ValueError) as error:
        fail(str(error), USAGE)
    training: dict[str, Any] = {
        "imported_from": file.name,
        "origin": imported.origin,
        "discriminator": "as imported" if imported.discriminator_trained else "fresh",
        "notes": list(imported.notes),
        "calibrated_on": redact(normal) if normal is not None and "://" in normal else normal,
        "torch": torch.__version__,
    }
    try:
        save(out, made, imported.preprocess, calibration=calibration, training=training)
    except CheckpointError as error:
        fail(str(error), FAILED)
    arch = imported.architecture
    typer.echo(
        f"{out}: {arch.size} px, {arch.channels} channels, nz {arch.nz}, ngf {arch.ngf}, "
        f"{arch.extra_layers} extra layers, scores {norm}"
    )
    for note in imported.notes:
        typer.echo(f"  {note}")
    if calibration is None:
        typer.echo(
            "  no threshold yet: `linewatch evaluate` works, `linewatch run` needs one. Import again with "
            "--normal FOLDER, where FOLDER holds pictures of good parts that the model was not trained on"
        )
    else:
        typer.echo(
            f"  {calibration.count} normal pictures scored {calibration.low:.4g} to {calibration.high:.4g}, threshold "
            f"{calibration.threshold:.4g}; linewatch trained on none of them. If the model was trained on them "
            "elsewhere, the threshold is too low: import again with others"
        )


def _calibrate(made: Ganomaly, preprocess: Preprocess, normal: str, frames: int | None, device: str) -> Calibration:
    """On all the pictures: none was trained on here, so there is nothing to hold out."""
    scorer = MethodScorer(made, None, preprocess=preprocess, device=device)
    with interrupted() as stop:
        with counting("normal pictures") as progress:
            pictures = collect(normal, preprocess, frames, progress, stop).pictures
        scores: list[NDArray[np.float64]] = []
        with counting("scored") as progress:
            for start in range(0, len(pictures), BATCH):
                if stop.is_set():
                    break
                scores.append(scorer.score(pictures[start : start + BATCH]))
                progress(min(start + BATCH, len(pictures)), len(pictures))
        if stop.is_set():
            fail("stopped before the threshold was known; nothing was written", FAILED)
    return Calibration.from_scores(np.concatenate(scores))
