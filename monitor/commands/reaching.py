"""What commands reach while the service runs or is down: the configuration, Redis and the evidence."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import redis
import typer

from monitor.adapters import key_prefix, redis_client
from monitor.alerting.evidence import EvidenceStore
from monitor.alerting.outbox import AlertUnknown, Outbox
from monitor.commands.failing import FAILED, USAGE, fail
from monitor.judging.baseline.store import BaselineStore
from monitor.orders.marks import Marks
from monitor.orders.orders import MAX_BY, Orders
from monitor.orders.shelf import OrderRefused
from monitor.settings import Settings
from monitor.settings_file import ConfigError, line_of, load_settings
from monitor.summary import table
from streams.redact import redact, redact_text

Config = Annotated[Path, typer.Option("--config", help="The configuration of the service, YAML.")]
By = Annotated[str | None, typer.Option("--by", help="Who acts.  [default: the name of this account]")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
CONFIG = Path("config.yaml")


@dataclass(frozen=True, slots=True)
class Reached:
    """The parts of the service that need no service to run."""

    config: Path
    settings: Settings
    outbox: Outbox
    evidence: EvidenceStore
    store: BaselineStore
    orders: Orders
    marks: Marks


@contextmanager
def reached(config: Path) -> Iterator[Reached]:
    """Everything that a command asks. Ends the command, with the reason and the remedy, where the configuration is
    wrong, Redis does not answer, no such alert is kept, or an order makes no sense."""
    try:
        settings = load_settings(config)
    except ConfigError as error:
        fail(str(error), USAGE)
    url = settings.redis.url.get_secret_value()
    try:
        client, prefix = redis_client(settings), key_prefix(settings)
        outbox = Outbox(client, prefix)
        evidence = EvidenceStore(settings.evidence.dir, settings.evidence.keep_days)
        store = BaselineStore(client, settings.redis.prefix, settings.redis.shards)
        orders = Orders(client, prefix, settings.maintenance, settings.products)
        marks = Marks(
            client,
            prefix,
            outbox,
            store,
            evidence,
            base_url=settings.http.public_url or f"http://{settings.http.host}:{settings.http.port}",
            keep_s=settings.evidence.keep_days * 86_400,
        )
        client.ping()
        orders.refresh()
        yield Reached(config, settings, outbox, evidence, store, orders, marks)
    except redis.RedisError as error:
        fail(
            f"{line_of(config, 'redis', 'url')}: Redis at {redact(url)} does not answer "
            f"({redact_text(str(error), url) or type(error).__name__}): see that it runs there, or correct the address",
            FAILED,
        )
    except AlertUnknown as error:
        fail(f"no alert {error.args[0]} is kept; `linewatch alerts list` shows those that are", FAILED)
    except OrderRefused as error:
        fail(str(error), FAILED)


def who(by: str | None) -> str:
    """The name to act under. Ends the command where it is none."""
    if by is None:
        try:
            by = getpass.getuser()
        except (OSError, KeyError):  # an account without a name, as in some containers
            by = "operator"
    by = by.strip()
    if not by or len(by) > MAX_BY or not by.isprintable():
        fail(f"--by: expected 1 to {MAX_BY} printable characters, found {by[:40]!r}", USAGE)
    return by


def tell_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on standard output."""
    for line in table(headings, [[printable(cell) for cell in row] for row in rows]):
        typer.echo(line)


def printable(text: str, keep: str = "") -> str:
    """Names come from outside: none may move the cursor of a terminal. `keep`: what may stay all the same."""
    return "".join(c if c.isprintable() or c in keep else "?" for c in text)
