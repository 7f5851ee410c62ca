"""`linewatch dashboards`: the shipped dashboards, for a Grafana that is not provisioned with them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dashboards.clients import connect
from dashboards.grafana import GrafanaRejected, GrafanaUnavailable
from dashboards.push import DashboardFileError, push
from monitor.commands.failing import FAILED, USAGE, fail
from monitor.settings_file import ConfigError, load_settings

app = typer.Typer(help="The shipped Grafana dashboards.", no_args_is_help=True, rich_markup_mode=None)


@app.command("push", epilog="Example: linewatch dashboards push config.yaml")
def push_dashboards(
    config: Annotated[Path, typer.Argument(help="A configuration with the section `grafana`.")],
) -> None:
    """Put the dashboards into the Grafana of a configuration. Doing it again changes nothing."""
    try:
        grafana = load_settings(config).grafana
    except ConfigError as error:
        fail(str(error), USAGE)
    if grafana is None:
        fail(f"{config}: grafana: missing; dashboards are pushed to grafana.url with grafana.token_file", USAGE)
    try:
        client = connect(
            grafana.url, grafana.token.get_secret_value(), timeout_s=grafana.timeout_s, library=grafana.library
        )
        for pushed in push(client):
            typer.echo(f"{pushed.outcome}: {pushed.title}")
    except (GrafanaRejected, GrafanaUnavailable, DashboardFileError) as error:
        fail(str(error), FAILED)


@app.callback()
def dashboards() -> None:
    """Keeps `push` a subcommand while it is the only one."""
