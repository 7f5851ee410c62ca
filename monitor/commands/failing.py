"""How a command ends where it cannot do what was asked."""

from __future__ import annotations

from typing import NoReturn

import typer

FAILED = 1
USAGE = 2


def fail(message: str, code: int) -> NoReturn:
    """Say why on standard error and end: `FAILED` while running, `USAGE` for wrong usage or configuration."""
    typer.echo(f"linewatch: {message}" if "\n" not in message else message, err=True)
    raise typer.Exit(code)
