"""`linewatch alerts`: alerts and shelves, from a terminal, also while the service is down."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from monitor.alerting.alert import Alert
from monitor.commands.failing import FAILED, USAGE, fail
from monitor.commands.reaching import CONFIG, AsJson, By, Config, Reached, printable, reached, tell_table, who
from monitor.commands.times import moment_ns, shown, shown_ms, span_s
from monitor.delivery.escalating import escalate as escalate_one
from monitor.orders.orders import SCHEDULE
from monitor.orders.schedule import Schedule
from streams.codec import CodecError, decode
from streams.frame import Frame

app = typer.Typer(
    help="Alerts, marks and shelves; works also while the service is down.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
HEADINGS = ("id", "started", "camera", "condition", "severity", "state", "peak", "limit", "marks")
MOST_LISTED = 10_000

AlertId = Annotated[str, typer.Argument(metavar="ALERT", help="The id, as `linewatch alerts list` shows it.")]
Camera = Annotated[str, typer.Argument(help="The camera's id.")]
OneCamera = Annotated[str | None, typer.Option(help="Of this camera only.")]


@app.command("list", epilog="Example: linewatch alerts list --camera line-3 --state firing")
def list_alerts(
    config: Config = CONFIG,
    camera: OneCamera = None,
    state: Annotated[Literal["firing", "resolved"] | None, typer.Option(help="In this state only.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST_LISTED, help="So many at most, the newest.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Alerts, newest first."""
    with reached(config) as there:
        found = there.outbox.newest(offset=0, limit=limit if state is None else MOST_LISTED, camera=camera)
    if state is not None:
        found = [alert for alert in found if (alert.ended_at is None) == (state == "firing")][:limit]
    if as_json:
        typer.echo(json.dumps([alert.model_dump(mode="json") for alert in found]))
    elif found:
        tell_table(HEADINGS, [_row(alert) for alert in found])
    else:
        typer.echo("no alerts", err=True)


@app.command(epilog="Example: linewatch alerts show 5f0c2a9be1d47786")
def show(alert: AlertId, config: Config = CONFIG, as_json: AsJson = False) -> None:
    """One alert, with where its pictures are."""
    with reached(config) as there:
        found = there.outbox.get(alert)
        pictures = {kind: there.evidence.find(alert, kind) for kind in ("evidence", "heatmap")}
    if as_json:
        files = {kind: None if path is None else str(path) for kind, path in pictures.items()}
        typer.echo(json.dumps({**found.model_dump(mode="json"), "files": files}))
        return
    frame = found.frame
    on_s3 = there.settings.evidence.s3 is not None
    nowhere = "not in the folder (any more); on S3, if it is kept" if on_s3 else "not kept (any more)"
    lines = [
        ("id", found.alert_id),
        ("camera", found.camera),
        ("condition", found.condition),
        ("severity", found.severity.value),
        ("started", shown(found.started_at)),
        ("ended", shown(found.ended_at) if found.ended_at is not None else "not yet"),
        ("peak score", f"{found.peak_score:.6g}"),
        ("limit", f"{found.threshold:.6g}"),
        ("model", found.model or "-"),
        ("frame", "-" if frame is None else f"{frame.origin}, captured {shown(frame.captured_at)}"),
        ("acknowledged", _mark(found.acknowledged_at, found.acknowledged_by)),
        ("false alarm", _mark(found.false_alarm_at, found.false_alarm_by)),
        ("escalated", f"{_mark(found.escalated_at, found.escalated_by)}{_to(found)}"),
        *(("held back", f"{count} at {camera}") for camera, count in (found.held_back or {}).items()),
        *((kind, nowhere if path is None else str(path)) for kind, path in pictures.items()),
    ]
    for name, text in lines:
        typer.echo(f"{name + ':':<14}{printable(text)}")


@app.command(epilog="Example: linewatch alerts acknowledge 5f0c2a9be1d47786 --by Ada")
def acknowledge(alert: AlertId, config: Config = CONFIG, by: By = None, as_json: AsJson = False) -> None:
    """Say that somebody has seen it. Again changes nothing."""
    with reached(config) as there:
        _tell(there.outbox.acknowledge(alert, who(by)), as_json)


@app.command(epilog="Example: linewatch alerts escalate 5f0c2a9be1d47786 --to shift-lead")
def escalate(
    alert: AlertId,
    config: Config = CONFIG,
    to: Annotated[
        str | None, typer.Option(help="A subscription.  [default: to whom those that are told of it escalate]")
    ] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Call in others. Again changes nothing. They are told by a service that delivers, as soon as one runs."""
    name = who(by)
    with reached(config) as there:
        _tell(escalate_one(there.outbox, there.subscriptions, there.place, alert, name, to), as_json)


@app.command("false-alarm", epilog="Example: linewatch alerts false-alarm 5f0c2a9be1d47786 --by Ada")
def false_alarm(alert: AlertId, config: Config = CONFIG, by: By = None, as_json: AsJson = False) -> None:
    """Say that nothing was wrong: the frames of that time leave the baseline. Again changes nothing."""
    with reached(config) as there:
        _tell(there.marks.false_alarm(alert, who(by)), as_json)


@app.command("withdraw-mark", epilog="Example: linewatch alerts withdraw-mark 5f0c2a9be1d47786")
def withdraw_mark(alert: AlertId, config: Config = CONFIG, by: By = None, as_json: AsJson = False) -> None:
    """Say that marking it as a false alarm, or as missed, was a mistake. What was missed is listed no more."""
    with reached(config) as there:
        _tell(there.marks.withdraw(alert, who(by)), as_json)


@app.command(epilog="Example: linewatch alerts missed line-3 --at 10:15:30 --picture part.jpg --by Ada")
def missed(
    camera: Camera,
    config: Config = CONFIG,
    at: Annotated[
        str | None,
        typer.Option(help="When it was seen: 2026-05-31T10:15:00 or 10:15, this machine's clock.  [default: now]"),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0, max=3600, help="Frames within so many seconds around leave the baseline.")
    ] = 5.0,
    picture: Annotated[
        Path | None,
        typer.Option(help="A picture that shows it, by this camera. Without one there is none to train on."),
    ] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Say that there was a defect that raised no alert."""
    at_ns = time.time_ns() // 1_000_000 * 1_000_000 if at is None else moment_ns(at)
    name = who(by)
    with reached(config) as there:
        _note_unknown(there, camera)
        frame = None if picture is None else _frame(picture, camera, at_ns, there.settings.limits.max_pixels)
        try:
            alert = there.marks.missed(camera, at_ns, name, seconds, frame=frame)
        except OSError as error:
            fail(
                f"nothing was marked: the picture cannot be kept below {there.settings.evidence.dir} "
                f"({error.strerror or error}); make room there, or give this account the right to write",
                FAILED,
            )
    if frame is None:
        typer.echo("note: no --picture was given, so there is nothing to train or evaluate on", err=True)
    _tell(alert, as_json)


@app.command(epilog='Example: linewatch alerts shelve line-3 --for 2h --why "lamp is being changed"')
def shelve(
    camera: Camera,
    why: Annotated[str, typer.Option(help="For the next shift.")],
    span: Annotated[str, typer.Option("--for", help="How long: 30m, 8h, 7d; a week at most.")],
    config: Config = CONFIG,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Call nobody for this camera for so long. Again extends or shortens."""
    until_ms = round((time.time() + span_s(span)) * 1000)
    name = who(by)
    with reached(config) as there:
        _note_unknown(there, camera)
        shelf = there.orders.shelve(camera, until_ms, name, why)
    typer.echo(shelf.model_dump_json() if as_json else f"{camera}: shelved until {shown_ms(shelf.until_ms)}")


@app.command(epilog="Example: linewatch alerts unshelve line-3")
def unshelve(camera: Camera, config: Config = CONFIG, by: By = None) -> None:
    """End a shelf now."""
    name = who(by)
    with reached(config) as there:
        there.orders.unshelve(camera, name)
    typer.echo(f"{camera}: no longer shelved")


@app.command(epilog="Example: linewatch alerts shelved")
def shelved(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """What is shelved now, by hand and by the maintenance of the configuration."""
    with reached(config) as there:
        by_hand = there.orders.shelves()
        planned = Schedule(there.settings.maintenance).now(time.time_ns())
    rows = [(s.camera, s.from_ms, s.until_ms, s.by, s.why) for s in by_hand]
    for entry, hours in planned:
        from_ms, until_ms = hours.from_ns // 1_000_000, hours.until_ns // 1_000_000
        rows += [(pattern, from_ms, until_ms, SCHEDULE, entry.why) for pattern in entry.cameras]
    if as_json:
        names = ("camera", "from_ms", "until_ms", "by", "why")
        typer.echo(json.dumps([dict(zip(names, row, strict=True)) for row in rows]))
    elif rows:
        tell_table(
            ("camera", "from", "until", "by", "why"),
            [(camera, shown_ms(since), shown_ms(until), name, why) for camera, since, until, name, why in rows],
        )
    else:
        typer.echo("nothing is shelved", err=True)


def _frame(picture: Path, camera: str, at_ns: int, max_pixels: int) -> Frame:
    try:
        payload = picture.read_bytes()
        decode(payload, max_pixels)
    except OSError as error:
        fail(f"--picture {picture}: cannot be read: {error.strerror}", USAGE)
    except CodecError as error:
        fail(f"--picture {picture}: {error}; expected JPEG or PNG", USAGE)
    return Frame(camera, 0, at_ns, f"{picture.name}#0", payload=payload)


def _note_unknown(there: Reached, camera: str) -> None:
    """A misspelt camera would look as if the order held; one that nothing is known of may be to come."""
    known = {key.camera for key in there.store.list()}
    if camera not in known:
        some = ", ".join(sorted(known)[:8])
        typer.echo(f"note: no frame of camera {camera} is known" + (f"; known: {some}" if some else ""), err=True)


def _tell(alert: Alert, as_json: bool) -> None:
    if as_json:
        typer.echo(alert.model_dump_json())
    else:
        tell_table(HEADINGS, [_row(alert)])


def _row(alert: Alert) -> tuple[str, ...]:
    marks = []
    if alert.acknowledged_at is not None:
        marks.append(f"acknowledged by {alert.acknowledged_by}")
    if alert.false_alarm_at is not None:
        marks.append(f"false alarm, says {alert.false_alarm_by}")
    if alert.escalated_at is not None:
        marks.append(f"escalated{_to(alert)} by {alert.escalated_by}")
    return (
        alert.alert_id,
        shown(alert.started_at),
        alert.camera,
        alert.condition,
        alert.severity.value,
        "firing" if alert.ended_at is None else "resolved",
        f"{alert.peak_score:.4g}",
        f"{alert.threshold:.4g}",
        "; ".join(marks) or "-",
    )


def _mark(at_ns: int | None, by: str | None) -> str:
    return "no" if at_ns is None else f"{shown(at_ns)} by {by}"


def _to(alert: Alert) -> str:
    return "" if alert.escalated_to is None else f" to {alert.escalated_to}"
