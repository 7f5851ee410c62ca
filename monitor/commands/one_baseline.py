"""Which baseline a command means, and what it tells of it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

import typer

from monitor.commands.failing import FAILED, USAGE, fail
from monitor.commands.reaching import Reached, printable, tell_table
from monitor.commands.times import shown_ms
from monitor.judging.baseline.life import Life
from monitor.judging.baseline.port import BaselineKey
from monitor.judging.baseline.series import Distribution
from monitor.orders.baselines import named

HEADINGS = ("camera", "product", "model", "phase", "frames", "refused", "epoch", "newest frame")
WIDEST = 50


def one(there: Reached, camera: str, product: str | None, model: str | None) -> BaselineKey:
    """The one baseline that is meant. Ends the command where there is none or more than one."""
    every = there.store.list()
    of_camera = [key for key in every if key.camera == camera]
    if not of_camera:
        some = ", ".join(sorted({key.camera for key in every})[:8])
        fail(f"no baseline of camera {camera} is kept" + (f"; there are some of {some}" if some else ""), FAILED)
    found = [
        key for key in of_camera if product in (None, key.product) and (model is None or key.model.startswith(model))
    ]
    if len(found) == 1:
        return found[0]
    options = "\n".join(f'  --product "{key.product}" --model {key.model}' for key in of_camera)
    problem = "there is no such baseline" if not found else f"there are {len(found)} baselines"
    fail(f"{problem} of camera {camera}; say which one you mean:\n{printable(options, keep=chr(10))}", USAGE)


def confirm(life: Life) -> None:
    if not sys.stdin.isatty():
        fail("reset throws away what was learnt: say --yes", USAGE)
    question = f"Throw away the {life.count} frames learnt of {named(life.key)} ({life.phase.value})?"
    typer.confirm(printable(question), abort=True, err=True)


def tell(there: Reached, key: BaselineKey, as_json: bool) -> None:
    life = there.store.life(key)
    if as_json:
        typer.echo(json.dumps(document_of(life)))
    else:
        tell_table(HEADINGS, [row(life)])


def document_of(life: Life) -> dict[str, Any]:
    told = asdict(life)
    return {**told.pop("key"), **told}


def row(life: Life) -> tuple[str, ...]:
    return (
        life.key.camera,
        life.key.product or "-",
        life.key.model,
        life.phase.value + (" (frozen)" if life.frozen else ""),
        f"{life.count}/{life.needed}",
        f"{life.refused}/{life.relearn_after}",
        str(life.epoch),
        shown_ms(life.newest_ms),
    )


def draw(spread: Distribution) -> None:
    """The histogram, a line for each bin."""
    most = max(spread.counts, default=0)
    for edge, count in zip(spread.edges, spread.counts, strict=False):
        typer.echo(f"{edge:>12.6g}  {count:>7}  {'#' * round(count / most * WIDEST)}".rstrip())
