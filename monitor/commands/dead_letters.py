"""`linewatch dead-letters`: messages that could not be delivered, from a terminal, also while the service is down."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer

from monitor.commands.failing import FAILED, USAGE, fail
from monitor.commands.reaching import CONFIG, AsJson, By, Config, Reached, printable, reached, tell_table, who
from monitor.commands.times import shown_ms
from monitor.delivery.dead_letters import DeadLetter
from monitor.delivery.replaying import replay as replay_letters

app = typer.Typer(
    help="Messages that could not be delivered; works also while the service is down.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
HEADINGS = ("id", "given up", "kind", "cameras", "events", "outcome", "tries", "why")
MOST_LISTED = 10_000
WIDEST_ERROR = 100

Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="As `linewatch dead-letters list` shows them.")
]
OfChannel = Annotated[str | None, typer.Option("--channel", help="Of this channel only.")]
All = Annotated[bool, typer.Option("--all", help="Those of every channel.")]


@app.command("list", epilog="Example: linewatch dead-letters list --channel mail")
def list_letters(
    config: Config = CONFIG,
    channel: OfChannel = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST_LISTED, help="So many at most, the newest.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Dead letters, newest first."""
    with reached(config) as there:
        found = there.dead_letters.list(channel, 0, limit)
        counts = there.dead_letters.count()
    if as_json:
        typer.echo(json.dumps([_document(letter) for letter in found]))
        return
    if not found:
        typer.echo("no dead letters" if channel is None else f"no dead letters of channel {channel}", err=True)
        return
    tell_table(HEADINGS, [_row(letter) for letter in found])
    there_are = sum(counts.values()) if channel is None else counts.get(channel, 0)
    if there_are > len(found):
        typer.echo(f"{there_are - len(found)} older ones are not shown; --limit shows more", err=True)


@app.command(epilog="Example: linewatch dead-letters show mail:3b0f2f0e5bb44a4cb1a5d3c8ef5a0b1c")
def show(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="As `linewatch dead-letters list` shows it.")],
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """One dead letter, with the events in it."""
    with reached(config) as there:
        letter = there.dead_letters.get(letter_id)
    if letter is None:
        fail(f"no dead letter {letter_id}; `linewatch dead-letters list` shows those there are", FAILED)
    if as_json:
        typer.echo(json.dumps(_document(letter)))
        return
    delivery = letter.delivery
    for name, text in (
        ("id", letter.id),
        ("channel", letter.channel),
        ("given up", shown_ms(letter.at_ms)),
        ("outcome", f"{letter.outcome} after {letter.tries} tries"),
        ("why", letter.error),
        *(
            ()
            if delivery is None
            else (
                ("kind", delivery.kind.value),
                ("queued", shown_ms(delivery.queued_ms)),
                ("replayed", f"{delivery.replayed} times"),
                ("subscriptions", ", ".join(delivery.subscriptions) or "-"),
                *(("event", _event_words(event)) for event in delivery.events),
            )
        ),
        *((("text", letter.text),) if delivery is None else ()),
    ):
        typer.echo(f"{name + ':':<15}{printable(text)}")


@app.command(epilog="Example: linewatch dead-letters replay --channel mail")
def replay(
    ids: Ids = None,
    config: Config = CONFIG,
    channel: OfChannel = None,
    every: All = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Send them again: these, those of a channel, or all. Each keeps its id, so that who has it already can tell."""
    actor = who(by)
    with reached(config) as there:
        _check_meant(there, ids, channel, every)
        count = replay_letters(there.dead_letters, there.channels, ids or None, channel, actor)
    _tell(count, "replayed", "on their way again, delivered by the service as soon as it runs", ids, as_json)


@app.command(epilog="Example: linewatch dead-letters discard --channel mail --yes")
def discard(
    ids: Ids = None,
    config: Config = CONFIG,
    channel: OfChannel = None,
    every: All = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Throw them away for good: these, those of a channel, or all."""
    actor = who(by)
    with reached(config) as there:
        _check_meant(there, ids, channel, every)
        if not yes:
            if not sys.stdin.isatty():
                fail("discard throws messages away: say --yes", USAGE)
            counts = there.dead_letters.count()
            many = len(ids) if ids else sum(counts.values()) if channel is None else counts.get(channel, 0)
            typer.confirm(f"Throw {many} dead letters away?", abort=True, err=True)
        count = there.dead_letters.discard(ids or None, channel, actor)
    _tell(count, "discarded", "thrown away", ids, as_json)


def _check_meant(there: Reached, ids: list[str] | None, channel: str | None, every: bool) -> None:
    """Ends the command where it is not said which are meant, or where there are none such."""
    if sum((bool(ids), channel is not None, every)) != 1:
        fail("say which: their ids, --channel NAME, or --all", USAGE)
    if channel is not None and channel not in there.dead_letters.count():
        fail(f"there are no dead letters of channel {channel}", FAILED)
    for letter_id in ids or ():
        if there.dead_letters.get(letter_id) is None:
            fail(f"no dead letter {letter_id}; `linewatch dead-letters list` shows those there are", FAILED)


def _tell(count: int, key: str, words: str, ids: list[str] | None, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({key: count}))
        return
    typer.echo(f"{count} {words}")
    if ids and count < len(set(ids)):
        typer.echo(f"note: {len(set(ids)) - count} were gone meanwhile", err=True)


def _document(letter: DeadLetter) -> dict[str, Any]:
    return asdict(letter)


def _row(letter: DeadLetter) -> tuple[str, ...]:
    events = () if letter.delivery is None else letter.delivery.events
    cameras = list(dict.fromkeys(str(event.get("subject", "?")) for event in events))
    error = letter.error if len(letter.error) <= WIDEST_ERROR else f"{letter.error[: WIDEST_ERROR - 1]}…"
    return (
        letter.id,
        shown_ms(letter.at_ms),
        "-" if letter.delivery is None else letter.delivery.kind.value,
        ", ".join(cameras[:3]) + (f" and {len(cameras) - 3} more" if len(cameras) > 3 else "") or "-",
        str(len(events)),
        letter.outcome,
        str(letter.tries),
        error,
    )


def _event_words(event: dict[str, Any]) -> str:
    return f"{event.get('time')} {event.get('type')} {event.get('subject')} ({event.get('id')})"
