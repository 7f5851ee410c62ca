"""`linewatch export-feedback`: false alarms and missed defects as pictures to train and evaluate on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from monitor.alerting.alert import Alert
from monitor.commands.failing import FAILED, fail
from monitor.commands.reaching import CONFIG, Config, printable, reached
from monitor.line_rules import matches
from monitor.orders.feedback import Exported, FeedbackError, export, label, marked

EXAMPLE = (
    "Example: linewatch export-feedback --config config.yaml --out feedback --since 30   "
    "(then: linewatch evaluate model.safetensors feedback)"
)
NAMED = 5


def export_feedback(
    out: Annotated[Path, typer.Option(help="The folder; pictures that are in it already stay as they are.")],
    config: Config = CONFIG,
    since: Annotated[
        float | None, typer.Option(min=0, max=36_500, help="Alerts of the last so many days.  [default: all]")
    ] = None,
    confirmed: Annotated[
        bool,
        typer.Option("--confirmed", help="Also alerts that were acknowledged and not called false, as defects."),
    ] = False,
    camera: Annotated[str | None, typer.Option(help="Of these cameras only: an id, or a pattern with * and ?.")] = None,
) -> None:
    """Write the pictures of what people marked into a folder for `linewatch train` and `linewatch evaluate`: false
    alarms as good ones, missed defects as defective ones, with a manifest."""
    since_ns = 0 if since is None else time.time_ns() - round(since * 86_400 * 1e9)

    def wanted(alert: Alert) -> bool:
        return label(alert, confirmed) is not None and (camera is None or matches(alert.camera, camera))

    with reached(config) as there:

        def product(alert: Alert) -> str:
            return there.orders.product(alert.camera, alert.started_at)

        try:
            found = marked(there.outbox, since_ns, wanted)
            done = export(found, there.evidence, out, confirmed=confirmed, product=product)
        except FeedbackError as error:
            fail(f"--out {error}", FAILED)
    _tell(done, out)
    if not done.marked:
        fail(
            "nothing is marked: mark false alarms and missed defects on the page or with `linewatch alerts`"
            + ("" if confirmed else ", or add --confirmed for what was acknowledged"),
            FAILED,
        )
    if done.marked == len(done.gone):
        fail("no picture is kept of any marked alert", FAILED)


def _tell(done: Exported, out: Path) -> None:
    written = ", ".join(f"{count} in {folder}" for folder, count in sorted(done.written.items()))
    if done.marked:
        typer.echo(f"{out}: {written or 'nothing new'}" + (f"; {done.there} were there before" if done.there else ""))
    if done.gone:
        more = f" and {len(done.gone) - NAMED} more" if len(done.gone) > NAMED else ""
        typer.echo(
            f"note: {len(done.gone)} marked have no picture any more (evidence.keep_days), or it lies on another "
            f"machine: {', '.join(done.gone[:NAMED])}{more}",
            err=True,
        )
    for alert_id, file, into in done.relabelled:
        typer.echo(
            printable(f"note: alert {alert_id} was marked anew: its picture {file} belongs in {into}; move it there"),
            err=True,
        )
    for alert_id, before, after in done.withdrawn:
        typer.echo(
            printable(f"note: the mark of alert {alert_id} was withdrawn: its picture {before} lies in {after} now"),
            err=True,
        )
