"""The command line: `linewatch`. Data on standard output, logs on standard error.

Exit codes: 0 done, 1 failed while running, 2 wrong usage or configuration.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from monitor import logs
from monitor.commands import (
    alerts,
    baselines,
    bench,
    dashboards,
    dead_letters,
    demo,
    dispatch,
    doctor,
    evaluate,
    export_feedback,
    importing,
    ingest,
    regions,
    replay,
    run,
    simulate,
    subscriptions,
    train,
)

app = typer.Typer(
    name="linewatch",
    help="Watches the cameras of production lines, and says, with the picture, when something is not as it should be.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"linewatch {version('linewatch')}")
        raise typer.Exit


@app.callback()
def main(
    log_format: Annotated[str, typer.Option(help="text for people, json for machines.")] = "text",
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    if log_format not in ("text", "json"):
        raise typer.BadParameter(f"{log_format}: expected text or json", param_hint="--log-format")
    if log_level.lower() not in ("debug", "info", "warning", "error"):
        raise typer.BadParameter(f"{log_level}: expected debug, info, warning or error", param_hint="--log-level")
    logs.set_up("json" if log_format == "json" else "text", log_level)


app.command("train", epilog=train.EXAMPLE)(train.train)
app.command("evaluate", epilog=evaluate.EXAMPLE)(evaluate.evaluate)
app.command("import", epilog=importing.EXAMPLE)(importing.import_checkpoint)
app.command("run", epilog=run.EXAMPLE)(run.run)
app.command("dispatch", epilog=dispatch.EXAMPLE)(dispatch.dispatch)
app.command("doctor", epilog=doctor.EXAMPLE)(doctor.doctor)
app.command("demo", epilog=demo.EXAMPLE)(demo.demo)
app.command("ingest", epilog=ingest.EXAMPLE)(ingest.ingest)
app.command("simulate", epilog=simulate.EXAMPLE)(simulate.simulate)
app.command("replay", epilog=replay.EXAMPLE)(replay.replay)
app.command("regions", epilog=regions.EXAMPLE)(regions.regions)
app.command("export-feedback", epilog=export_feedback.EXAMPLE)(export_feedback.export_feedback)
app.add_typer(alerts.app, name="alerts")
app.add_typer(baselines.app, name="baselines")
app.add_typer(subscriptions.app, name="subscriptions")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(dashboards.app, name="dashboards")
app.add_typer(bench.app, name="bench")


if __name__ == "__main__":
    app()
