"""`linewatch subscriptions`: who is told what, from a terminal, also while the service is down."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from monitor.commands.failing import FAILED, USAGE, fail
from monitor.commands.reaching import CONFIG, AsJson, By, Config, Reached, printable, reached, tell_table, who
from monitor.commands.times import shown_ms
from monitor.delivery.channels.channel import Channel
from monitor.delivery.channels.make import make_channel
from monitor.delivery.listing import Listed
from monitor.delivery.trial import Tried, try_out
from monitor.delivery.trial_event import trial_event
from monitor.delivery.trial_materials import TrialMaterials
from monitor.settings_file import ConfigError, load_tree
from monitor.subscription_settings import Subscription

app = typer.Typer(
    help="Who is told what, when and how often; works also while the service is down.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
HEADINGS = ("name", "from", "state", "to", "about", "severity", "tells", "how often", "escalates to")

Name = Annotated[str, typer.Argument(help="The subscription, as `linewatch subscriptions list` shows it.")]


@app.command("list", epilog="Example: linewatch subscriptions list")
def list_subscriptions(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """Every subscription, of the configuration and by API or command."""
    with reached(config) as there:
        found = there.subscriptions.listed()
    if as_json:
        typer.echo(json.dumps([_document(listed) for listed in found]))
    elif found:
        tell_table(HEADINGS, [_row(listed) for listed in found])
    else:
        typer.echo("no subscriptions", err=True)


@app.command(
    epilog="Example: linewatch subscriptions show night > night.yaml   (to change it, and add it again with --replace)"
)
def show(name: Name, config: Config = CONFIG, as_json: AsJson = False) -> None:
    """One subscription, as it would stand in the configuration."""
    with reached(config) as there:
        listed = there.subscriptions.get(name)
    if as_json:
        typer.echo(json.dumps(_document(listed)))
        return
    typer.echo(f"# of the {_origin(listed)}; {printable(_state(listed))}")
    if listed.changed_by is not None:
        typer.echo(printable(f"# written by {listed.changed_by} at {shown_ms(listed.changed_at_ms)}"))
    document = listed.subscription.model_dump(mode="json", exclude_defaults=True)
    typer.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), nl=False)


@app.command(epilog="Example: linewatch subscriptions test night")
def test(name: Name, config: Config = CONFIG, as_json: AsJson = False) -> None:
    """Send a test message to each of its channels now, and say what became of it; takes up to 20 s. Exit code 1 where
    one did not arrive. One that is off can be tested as well."""
    with reached(config) as there:
        listed = there.subscriptions.get(name)
        cameras = {key.camera for key in there.store.list()}
        event = trial_event(listed.subscription, cameras, there.place)
        results = try_out(listed.subscription, lambda channel: _channel(there, channel), event)
    if as_json:
        typer.echo(json.dumps({"on": listed.on, "results": [asdict(result) for result in results]}))
    else:
        tell_table(("channel", "outcome", "took", "why"), [_result_row(result) for result in results])
        if not listed.on:
            typer.echo(f"note: {name} is off: it tells nothing but this test", err=True)
    if any(result.outcome != "delivered" for result in results):
        raise typer.Exit(FAILED)


@app.command(epilog="Example: linewatch subscriptions on night")
def on(name: Name, config: Config = CONFIG, by: By = None, as_json: AsJson = False) -> None:
    """It tells again from now on."""
    _switch(name, True, config, by, as_json)


@app.command(epilog="Example: linewatch subscriptions off night --by Ada")
def off(name: Name, config: Config = CONFIG, by: By = None, as_json: AsJson = False) -> None:
    """It tells nothing from now on, nor gathers anything. Also for those of the configuration."""
    _switch(name, False, config, by, as_json)


@app.command(epilog="Example: linewatch subscriptions add night.yaml")
def add(
    file: Annotated[Path, typer.Argument(help="YAML or JSON with the keys of an entry of `subscriptions`.")],
    config: Config = CONFIG,
    replace: Annotated[bool, typer.Option("--replace", help="Where one of this name is there, replace it.")] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Add a subscription, which holds at once and for every worker."""
    name = who(by)
    try:
        given = load_tree(file, Subscription, {})
    except ConfigError as error:
        fail(str(error), USAGE)
    with reached(config) as there:
        known = {listed.subscription.name for listed in there.subscriptions.listed()}
        if given.name in known and not replace:
            fail(f"{file}: there is a subscription {given.name} already; say --replace to replace it", FAILED)
        if given.name in known:
            _tell(there.subscriptions.change(given.name, given, name), as_json)
        else:
            _tell(there.subscriptions.create(given, name), as_json)


@app.command(epilog="Example: linewatch subscriptions delete night --yes")
def delete(
    name: Name,
    config: Config = CONFIG,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    by: By = None,
) -> None:
    """It is gone for good, with what was gathered for it. Those of the configuration are taken out there."""
    actor = who(by)
    with reached(config) as there:
        there.subscriptions.get(name)
        if not yes:
            if not sys.stdin.isatty():
                fail("delete throws a subscription away: say --yes", USAGE)
            typer.confirm(f"Delete the subscription {name}?", abort=True, err=True)
        there.subscriptions.delete(name, actor)
    typer.echo(f"{name}: deleted")


def _switch(name: str, to: bool, config: Path, by: str | None, as_json: bool) -> None:
    actor = who(by)
    with reached(config) as there:
        _tell(there.subscriptions.switch(name, to, actor), as_json)


def _channel(there: Reached, name: str) -> Channel:
    """Made for a trial. Raises KeyError, and ValueError as make_channel does."""
    entries = {entry.name: entry for entry in there.settings.channels}
    materials = TrialMaterials(there.base_url, there.place)
    return make_channel(entries[name], materials, there.settings.delivery.allow_targets)


def _tell(listed: Listed, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_document(listed)))
    else:
        tell_table(HEADINGS, [_row(listed)])


def _document(listed: Listed) -> dict[str, Any]:
    told = {name: getattr(listed, name) for name in Listed.__dataclass_fields__}
    return {**told, "subscription": listed.subscription.model_dump(mode="json")}


def _row(listed: Listed) -> tuple[str, ...]:
    one = listed.subscription
    about = [*one.cameras, *(f"line {line}" for line in one.lines), *(f"tag {tag}" for tag in one.tags), *one.kinds]
    return (
        one.name,
        _origin(listed),
        _state(listed),
        ", ".join(one.to),
        ", ".join(about) or "everything",
        one.from_severity,
        ", ".join(one.tell),
        _how_often(one),
        "-" if one.escalate is None else f"{one.escalate.to} after {one.escalate.after_s:g} s",
    )


def _origin(listed: Listed) -> str:
    return "configuration" if listed.origin == "configuration" else "API or a command"


def _state(listed: Listed) -> str:
    state = "on" if listed.on else "off"
    return state if listed.switched_by is None else f"{state}, by {listed.switched_by}"


def _how_often(one: Subscription) -> str:
    how = one.how_often
    if how.group_s is not None:
        return f"grouped over {how.group_s:g} s"
    if how.digest is None:
        return "at once"
    return f"digest at {', '.join(how.digest.at)}" if how.digest.at else f"digest every {how.digest.every_s:g} s"


def _result_row(result: Tried) -> tuple[str, ...]:
    return (result.channel, result.outcome, f"{result.took_s:.1f} s", result.detail or "-")
