"""`linewatch doctor`: tries everything that a configuration names before, or while, a line depends on it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from monitor.commands.failing import FAILED, USAGE, fail
from monitor.doctor.checks import checks_of
from monitor.doctor.examine import examine
from monitor.doctor.finding import Examined, Mark, ok, worst
from monitor.doctor.report import as_json, as_text
from monitor.doctor.secrets import secrets_of, without_secrets
from monitor.settings_file import ConfigError, load_settings

EXAMPLE = "Example: linewatch doctor config.yaml   (exit code 1 when something does not work)"
NAMED = 4


def doctor(
    config: Annotated[Path, typer.Argument(help="The configuration, YAML.")],
    json_: Annotated[bool, typer.Option("--json", help="One JSON document, for machines.")] = False,
) -> None:
    """Try every source, server, the disk and the device, and say what works, what does not, and what to do."""
    began_s = time.monotonic()
    try:
        settings = load_settings(config)
    except ConfigError as error:
        fail(str(error), USAGE)
    secrets = secrets_of(settings)
    sources = len(settings.sources)
    read = Examined("configuration", (ok(f"{config}: {sources} source{'s' * (sources != 1)}"),))
    with _quiet(), _progress() as waiting:
        found = examine(checks_of(settings), waiting)
    examined = [read, *(without_secrets(one, secrets) for one in found)]
    result = worst(iter(examined))
    took_s = time.monotonic() - began_s
    typer.echo(as_json(examined, result, took_s) if json_ else as_text(examined, took_s))
    if result == Mark.FAILED:
        raise typer.Exit(FAILED)


@contextmanager
def _quiet() -> Iterator[None]:
    """What sources and clients log meanwhile is told as findings; with --log-level debug it is shown all the same."""
    loggers = [logging.getLogger(name) for name in ("streams", "dashboards", "models")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        if logger.level > logging.DEBUG:
            logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


@contextmanager
def _progress() -> Iterator[Callable[[Sequence[str], int], None]]:
    """On a terminal, what is being waited for; elsewhere nothing, since it takes seconds."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda left, total: None
        return
    with console.status("") as status:

        def show(left: Sequence[str], total: int) -> None:
            named = ", ".join(left[:NAMED]) + (" and others" if len(left) > NAMED else "")
            status.update(f"{total - len(left)} of {total} examined; waiting for {escape(named) or 'nothing'}")

        yield show
