"""`linewatch bench`: what parts of the service cost on this machine."""

from __future__ import annotations

import json
import platform
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import redis
import typer

from monitor.bench.window import Row, measure, tell
from monitor.commands.benches.stages import EXAMPLE as STAGES_EXAMPLE
from monitor.commands.benches.stages import stages
from monitor.commands.failing import FAILED, USAGE, fail
from monitor.embedded import EmbeddedServerError, EmbeddedValkey
from monitor.judging.baseline.port import Mode, WindowUnavailable
from monitor.progress import counting
from streams.redact import redact

app = typer.Typer(help="What parts of the service cost on this machine.", no_args_is_help=True, rich_markup_mode=None)
MORE_CAMERAS = (64, 256)


@app.command("window", epilog="Example: linewatch bench window --redis redis://localhost:6379/0")
def bench_window(
    url: Annotated[
        str | None, typer.Option("--redis", help="Measure this server; else an embedded Valkey is started.")
    ] = None,
    cameras: Annotated[int, typer.Option(min=1, max=10_000, help="Cameras; 64 and 256 are measured as well.")] = 16,
    frames: Annotated[int, typer.Option(min=1, max=4096, help="Frames in a batch.")] = 64,
    window: Annotated[int, typer.Option(min=2, max=100_000, help="Frames in each window; they are full.")] = 2000,
    batches: Annotated[int, typer.Option(min=1, max=100_000, help="Batches that are timed.")] = 300,
    mode: Annotated[Mode, typer.Option(help="As window.mode.")] = Mode.QUANTILE,
    only: Annotated[bool, typer.Option("--only", help="Leave the rows for 64 and 256 cameras out.")] = False,
    out: Annotated[Path | None, typer.Option("--json", help="Write the rows to this file, too.")] = None,
) -> None:
    """The rolling window: the time of a whole call a batch, and the memory of a score.

    With more cameras the batches grow along, at the same frames a camera.
    """
    try:
        with ExitStack() as stack:
            address = url or stack.enter_context(EmbeddedValkey()).address
            client = stack.enter_context(redis.Redis.from_url(address, decode_responses=True, socket_timeout=60))
            info: dict[str, Any] = client.info("server")
            server = (
                f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {info['redis_version']}"
            )
            typer.echo(f"{server} at {redact(address)}, windows of {window} frames, {mode.value}", err=True)
            rows: list[Row] = []
            for number in [cameras, *(n for n in MORE_CAMERAS if n != cameras and not only)]:
                size = frames if number == cameras else max(1, frames * number // cameras)
                with counting(f"{number} cameras") as counted:
                    rows.append(measure(client, number, size, window, batches, mode, counted))
    except (ValueError, EmbeddedServerError) as error:
        fail(str(error), USAGE)
    except (redis.RedisError, WindowUnavailable) as error:
        fail(f"the Redis server: {type(error).__name__}: {error}", FAILED)
    typer.echo(tell(rows))
    if out is not None:
        document = {"server": server, "machine": platform.machine(), "rows": [row.to_dict() for row in rows]}
        try:
            out.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        except OSError as error:
            fail(f"{out}: cannot be written: {error.strerror}", FAILED)


app.command("stages", epilog=STAGES_EXAMPLE)(stages)
