"""`linewatch baselines`: the life cycle of baselines, and products, from a terminal, also while the service is down."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from monitor.commands.failing import FAILED, USAGE, fail
from monitor.commands.one_baseline import HEADINGS, confirm, document_of, draw, one, row, tell
from monitor.commands.reaching import CONFIG, AsJson, By, Config, printable, reached, tell_table, who
from monitor.commands.times import shown_ms
from monitor.judging.baseline.port import BaselineKey
from monitor.orders.baselines import freeze as freeze_one
from monitor.orders.baselines import named
from monitor.orders.baselines import thaw as thaw_one
from monitor.orders.orders import Orders

app = typer.Typer(
    help="Baselines and products of cameras; works also while the service is down.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
BINS = 20
BELONGS = ("camera", "model", "product")

Camera = Annotated[str, typer.Argument(help="The camera's id.")]
Product = Annotated[
    str | None, typer.Option("--product", help='Of which product, where there are several; "" for none.')
]
Model = Annotated[str | None, typer.Option("--model", help="Of which model: its id, or how that begins.")]


@app.command("list", epilog="Example: linewatch baselines list")
def list_baselines(
    config: Config = CONFIG,
    camera: Annotated[str | None, typer.Option(help="Of this camera only.")] = None,
    as_json: AsJson = False,
) -> None:
    """Every baseline that is kept, with how far it is."""
    with reached(config) as there:
        lives = [there.store.life(key) for key in there.store.list() if camera in (None, key.camera)]
    if as_json:
        typer.echo(json.dumps([document_of(life) for life in lives]))
    elif lives:
        tell_table(HEADINGS, [row(life) for life in lives])
    else:
        typer.echo("no baselines", err=True)


@app.command(epilog="Example: linewatch baselines show line-3 --product lids")
def show(
    camera: Camera, config: Config = CONFIG, product: Product = None, model: Model = None, as_json: AsJson = False
) -> None:
    """One baseline, with how its scores are spread."""
    with reached(config) as there:
        key = one(there, camera, product, model)
        life, spread = there.store.life(key), there.store.distribution(key, BINS)
    if as_json:
        typer.echo(json.dumps({**document_of(life), "distribution": asdict(spread) if spread.counts else None}))
        return
    kept = life.kept
    for name, text in (
        ("camera", life.key.camera),
        ("product", life.key.product or "-"),
        ("model", life.key.model),
        ("phase", life.phase.value + (", frozen" if life.frozen else "")),
        ("frames", f"{life.count} ({life.needed} make it ready)"),
        ("refused", f"{life.refused} ({life.relearn_after} are the new normal)"),
        ("learning since", shown_ms(life.began_ms)),
        ("ready since", shown_ms(life.ready_ms)),
        ("newest frame", shown_ms(life.newest_ms)),
        ("learnt anew", f"{life.relearnt} times, last {shown_ms(life.relearnt_ms)}" if life.relearnt else "never"),
        ("epoch", str(life.epoch)),
        ("range kept", "-" if kept is None else f"{kept['least']:.6g} to {kept['greatest']:.6g}"),
    ):
        typer.echo(f"{name + ':':<16}{printable(text)}")
    draw(spread)


@app.command(epilog="Example: linewatch baselines reset line-3 --yes")
def reset(
    camera: Camera,
    config: Config = CONFIG,
    product: Product = None,
    model: Model = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Throw away what was learnt, for good, and begin again with the next frames."""
    name = who(by)
    with reached(config) as there:
        key = one(there, camera, product, model)
        if not yes:
            confirm(there.store.life(key))
        there.store.reset(key, name)
        tell(there, key, as_json)


@app.command(epilog="Example: linewatch baselines freeze line-3")
def freeze(
    camera: Camera,
    config: Config = CONFIG,
    product: Product = None,
    model: Model = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """It neither learns nor forgets from now on. Again changes nothing."""
    name = who(by)
    with reached(config) as there:
        key = one(there, camera, product, model)
        freeze_one(there.store, key, name)
        tell(there, key, as_json)


@app.command(epilog="Example: linewatch baselines thaw line-3")
def thaw(
    camera: Camera,
    config: Config = CONFIG,
    product: Product = None,
    model: Model = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """It learns again. Again changes nothing."""
    name = who(by)
    with reached(config) as there:
        key = one(there, camera, product, model)
        thaw_one(there.store, key, name)
        tell(there, key, as_json)


@app.command("export", epilog="Example: linewatch baselines export line-3 --out line-3.json")
def export_baseline(
    camera: Camera,
    config: Config = CONFIG,
    product: Product = None,
    model: Model = None,
    out: Annotated[Path | None, typer.Option(help="A new file.  [default: standard output]")] = None,
) -> None:
    """The whole baseline as a JSON document, to be kept or taken to another line."""
    with reached(config) as there:
        key = one(there, camera, product, model)
        try:
            text = json.dumps(there.store.export(key), allow_nan=False)
        except KeyError:  # it expired a moment ago
            fail(f"there is no baseline of {named(key)} any more", FAILED)
    if out is None:
        typer.echo(text)
        return
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text + "\n")
    except FileExistsError:
        fail(f"--out {out}: is there already; name a new file", USAGE)
    except OSError as error:
        fail(f"--out {out}: cannot be written: {error.strerror}", FAILED)
    typer.echo(f"{out}: {named(key)}", err=True)


@app.command("import", epilog="Example: linewatch baselines import line-3.json --camera line-4")
def import_baseline(
    file: Annotated[Path, typer.Argument(help="What `linewatch baselines export` wrote.")],
    config: Config = CONFIG,
    camera: Annotated[str | None, typer.Option(help="For this camera.  [default: the document's]")] = None,
    product: Annotated[
        str | None, typer.Option(help='For this product, "" for none.  [default: the document\'s]')
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The model that watches that camera.  [default: the document's]")
    ] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Put an exported baseline in the place of what is there. It must be of the same model."""
    name = who(by)
    document = _read(file)
    given = zip(BELONGS, (camera, model, product), strict=True)
    key = BaselineKey(*(str(document.get(part, "")) if own is None else own for part, own in given))
    if not key.camera or not key.model:
        fail(f"{file}: names no camera and model, so it is no exported baseline", USAGE)
    with reached(config) as there:
        try:
            there.store.load(key, document, name)
        except ValueError as error:
            fail(f"{file}: {error}", USAGE)
        tell(there, key, as_json)


@app.command(
    "product", epilog="Example: linewatch baselines product line-3 lids   (or --schedule to return to the plan)"
)
def set_product(
    camera: Camera,
    product: Annotated[str | None, typer.Argument(help="What it sees from now on; without one, tell.")] = None,
    config: Config = CONFIG,
    schedule: Annotated[bool, typer.Option("--schedule", help="Return to the plan of the configuration.")] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Tell or set what a camera sees. Frames that name their product themselves go before that."""
    if product is not None and schedule:
        fail("give a product or --schedule, not both", USAGE)
    name = who(by)
    with reached(config) as there:
        if product is not None or schedule:
            there.orders.set_product(camera, product, name)
        if product is not None:  # what its frames say is known to the service alone
            typer.echo("note: frames that name their product themselves go before what is set by hand", err=True)
        _tell_product(there.orders, camera, as_json)


def _tell_product(orders: Orders, camera: str, as_json: bool) -> None:
    now = orders.product(camera, time.time_ns())
    hand = orders.by_hand(camera)
    if as_json:
        set_by = None if hand is None else hand.model_dump()
        typer.echo(json.dumps({"camera": camera, "product": now, "by_hand": set_by}))
        return
    how = "by the plan" if hand is None else f"set by {hand.by} at {shown_ms(hand.from_ms)}"
    typer.echo(printable(f"{camera}: {now} ({how})" if now else f"{camera}: no product"))


def _read(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        fail(f"{file}: cannot be read: {error.strerror}", USAGE)
    except (ValueError, RecursionError):
        fail(f"{file}: is no JSON; expected what `linewatch baselines export` wrote", USAGE)
    if not isinstance(document, dict):
        fail(f"{file}: expected what `linewatch baselines export` wrote, a JSON object", USAGE)
    return document
