"""`linewatch regions`: what a configuration counts of a camera's picture, drawn over one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import cv2
import typer

from models.checkpoint import CheckpointError, load_checkpoint
from monitor.commands.failing import FAILED, USAGE, fail
from monitor.scoring.outline import dim_outside, outline
from monitor.scoring.region import Region
from monitor.scoring.regions import Regions
from monitor.settings import Settings
from monitor.settings_file import ConfigError, load_settings
from streams.codec import CodecError, decode
from streams.frame import Pixels

EXAMPLE = "Example: linewatch regions config.yaml --camera line-3 --picture line-3.jpg --out region.png"
USUAL_SIDE = 64


def regions(
    config: Annotated[Path, typer.Argument(help="The configuration, YAML.")],
    camera: Annotated[str, typer.Option(help="The camera's id.")],
    picture: Annotated[Path, typer.Option(help="A picture of this camera, JPEG or PNG.")],
    out: Annotated[Path, typer.Option(help="Where to write it, .png or .jpg.")],
    side: Annotated[
        int | None, typer.Option(min=8, max=1024, help="The network's pixels a side.  [default: the checkpoint's]")
    ] = None,
) -> None:
    """Draw what counts of a camera's picture: bright what counts, dark what does not, white and magenta the polygons
    of region and masks."""
    try:
        settings = load_settings(config)
    except ConfigError as error:
        fail(str(error), USAGE)
    pixels = _read(picture, settings.limits.max_pixels)
    if out.resolve() == picture.resolve():
        fail(f"--out {out} is the picture itself: name another file", USAGE)
    if side is None:
        side = _side(settings)
    known = Regions(settings.cameras, side)
    try:
        known.check([camera])
    except ValueError as error:
        fail(f"{config}: cameras: {error}", USAGE)
    region = known(camera)
    _write(out, outline(dim_outside(pixels, region, side), region))
    typer.echo(_told(camera, region, side))
    typer.echo(f"drawn into {out}", err=True)


def _told(camera: str, region: Region, side: int) -> str:
    if region.is_everything:
        return f"{camera}: no region; its whole picture counts"
    polygons = f"{len(region.inside)} of region, {len(region.outside)} of masks"
    return f"{camera}: region {region.id}, polygons: {polygons}; {region.share(side):.1%} of {side}x{side} pixels count"


def _side(settings: Settings) -> int:
    try:
        return load_checkpoint(settings.model.checkpoint).preprocess.size
    except CheckpointError as error:
        typer.echo(f"linewatch: {error}; taking {USUAL_SIDE} pixels a side", err=True)
        return USUAL_SIDE


def _read(picture: Path, max_pixels: int) -> Pixels:
    try:
        return decode(picture.read_bytes(), max_pixels)
    except OSError as error:
        fail(f"--picture {picture}: {error.strerror}", USAGE)
    except CodecError as error:
        fail(f"--picture {picture}: {error}", USAGE)


def _write(out: Path, pixels: Pixels) -> None:
    suffix = out.suffix.lower()
    if suffix not in {".png", ".jpg", ".jpeg"}:
        fail(f"--out {out}: expected a name that ends in .png or .jpg", USAGE)
    _, encoded = cv2.imencode(suffix, pixels)
    try:
        out.write_bytes(encoded.tobytes())
    except OSError as error:
        fail(f"--out {out}: {error.strerror}", FAILED)
