"""`linewatch simulate`: cameras of a simulated line, or of a film, for a linewatch that runs elsewhere."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from monitor.commands.failing import FAILED, USAGE, fail
from monitor.commands.train import interrupted
from monitor.embedded import EmbeddedRtsp, EmbeddedServerError
from streams.simulator.footage import FilmFootage, Footage, LineFootage
from streams.simulator.player import KafkaPlayer, Play
from streams.simulator.scene import Line
from streams.simulator.schedule import HARD_KINDS, KINDS

EXAMPLE = (
    "Examples: linewatch simulate --kafka localhost:9092 --camera line-2   |   "
    "linewatch simulate --film clip.mp4 --rtsp"
)


def simulate(
    kafka: Annotated[str | None, typer.Option(help="Send frames to this broker, host:port.")] = None,
    topic: Annotated[str, typer.Option(help="The topic for the frames.")] = "frames",
    camera: Annotated[list[str] | None, typer.Option(help="A camera's id; again for more cameras.")] = None,
    film: Annotated[Path | None, typer.Option(help="Play this film instead of a simulated line.")] = None,
    segments: Annotated[Path | None, typer.Option(help="The film's labels, if they are not beside it.")] = None,
    rtsp: Annotated[bool, typer.Option(help="Serve the film over RTSP as well.")] = False,
    seconds: Annotated[float | None, typer.Option(min=1, help="End after so long; else with Ctrl-C.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed plants other defects.")] = 7,
    defects: Annotated[bool, typer.Option(help="Plant defects; --no-defects for training.")] = True,
    hard: Annotated[bool, typer.Option(help="Plant defects that are hard to see, too.")] = False,
) -> None:
    """Play cameras until Ctrl-C; then print what was planted and when, one JSON a line."""
    if kafka is None and not rtsp:
        fail("nothing to do: give --kafka HOST:PORT, or --film FILE --rtsp", USAGE)
    if rtsp and film is None:
        fail("--rtsp serves a film: give --film FILE", USAGE)
    try:
        footages = _footages(camera or ["line-1"], film, segments, seed, defects, KINDS + HARD_KINDS if hard else KINDS)
    except (OSError, ValueError) as error:
        fail(str(error), USAGE)
    with ExitStack() as servers, interrupted() as stop:
        players = []
        if kafka is not None:
            players = [KafkaPlayer(footage, name, topic, kafka, Play(seconds)) for name, footage in footages.items()]
            for player in players:
                player.start()
        if rtsp and film is not None:
            try:
                server = servers.enter_context(EmbeddedRtsp(film.parent))
            except EmbeddedServerError as error:
                fail(str(error), FAILED)
            typer.echo(f"RTSP: {server.url(film.stem)}", err=True)
        end_s = None if seconds is None else time.monotonic() + seconds
        while not stop.is_set() and (end_s is None or time.monotonic() < end_s):
            if players and not any(player.running for player in players):
                break
            stop.wait(0.2)
        for player in players:
            player.stop()
    for player in players:
        for planted in player.truth():
            typer.echo(json.dumps(asdict(planted)))
        typer.echo(f"{player.camera}: {player.sent} frames sent, {player.failed} failed", err=True)
    broken = [player for player in players if player.error is not None]
    if broken:
        fail("; ".join(f"{player.camera}: {player.error}" for player in broken), FAILED)


def _footages(
    cameras: list[str], film: Path | None, segments: Path | None, seed: int, defects: bool, kinds: tuple[str, ...]
) -> dict[str, Footage]:
    if film is not None:
        return {name: FilmFootage(film, segments) for name in cameras}
    return {name: LineFootage(Line(seed, index, kinds=kinds), defects) for index, name in enumerate(cameras)}
