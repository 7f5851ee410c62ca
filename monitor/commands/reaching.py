"""What commands reach while the service runs or is down: the configuration, Redis and the evidence."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import redis
import typer

from monitor.adapters import key_prefix, redis_client
from monitor.alerting.evidence import EvidenceStore
from monitor.alerting.outbox import AlertUnknown, Outbox
from monitor.channel_settings import BUILT_IN
from monitor.commands.failing import FAILED, USAGE, fail
from monitor.delivery.book import SubscriptionBook, SubscriptionRefused, SubscriptionUnknown
from monitor.delivery.dead_letters import DeadLetters
from monitor.delivery.escalating import EscalationRefused
from monitor.delivery.materials import Place
from monitor.delivery.queue import DeliveryQueue
from monitor.delivery.replaying import ReplayRefused
from monitor.evidence_wiring import evidence_store
from monitor.judging.baseline.store import BaselineStore
from monitor.line_rules import remembered
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
    """The parts of the service that need no service to run. place: where a camera stands, by the configuration."""

    config: Path
    settings: Settings
    outbox: Outbox
    evidence: EvidenceStore
    store: BaselineStore
    orders: Orders
    marks: Marks
    subscriptions: SubscriptionBook
    dead_letters: DeadLetters
    queue: DeliveryQueue
    place: Callable[[str], Place]

    @property
    def base_url(self) -> str:
        """How others reach the page."""
        return self.settings.http.base_url

    @property
    def channels(self) -> frozenset[str]:
        """The names of all channels that are configured, those of sections of their own among them."""
        settings = self.settings
        built_in = {name for name in BUILT_IN if getattr(settings, {"kafka": "publish"}.get(name, name)) is not None}
        return frozenset(channel.name for channel in settings.channels) | built_in


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
        evidence = evidence_store(settings)
        store = BaselineStore(client, settings.redis.prefix, settings.redis.shards)
        orders = Orders(client, prefix, settings.maintenance, settings.products)
        marks = Marks(
            client,
            prefix,
            outbox,
            store,
            evidence,
            base_url=settings.http.base_url,
            keep_s=settings.evidence.keep_days * 86_400,
        )
        names = frozenset(channel.name for channel in settings.channels)
        book = SubscriptionBook(client, prefix, lambda: settings.subscriptions, lambda: names)
        dead_letters, queue = DeadLetters(client, prefix), DeliveryQueue(client, prefix)
        client.ping()
        orders.refresh()
        place = _placing(settings)
        yield Reached(config, settings, outbox, evidence, store, orders, marks, book, dead_letters, queue, place)
    except redis.RedisError as error:
        fail(
            f"{line_of(config, 'redis', 'url')}: Redis at {redact(url)} does not answer "
            f"({redact_text(str(error), url) or type(error).__name__}): see that it runs there, or correct the address",
            FAILED,
        )
    except AlertUnknown as error:
        fail(f"no alert {error.args[0]} is kept; `linewatch alerts list` shows those that are", FAILED)
    except SubscriptionUnknown as error:
        fail(f"no subscription {error.args[0]}; `linewatch subscriptions list` shows those there are", FAILED)
    except (OrderRefused, SubscriptionRefused, EscalationRefused, ReplayRefused) as error:
        fail(str(error), FAILED)


def _placing(settings: Settings) -> Callable[[str], Place]:
    rules_of = remembered(settings.cameras)

    def place(camera: str) -> Place:
        rules = rules_of(camera)
        return Place(rules.line, rules.tags)

    return place


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
