"""`linewatch dispatch`: deliver alerts, in a process of its own."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated

import structlog
import typer
from prometheus_client import start_http_server

from monitor.adapters import key_prefix, redis_client
from monitor.alerting.outbox import Outbox
from monitor.commands.failing import FAILED, USAGE, fail
from monitor.delivery_wiring import Wired, wire
from monitor.evidence_wiring import evidence_store
from monitor.line_rules import remembered
from monitor.service import FLUSH_S
from monitor.serving.board import Board
from monitor.serving.metrics import Metrics
from monitor.settings import Settings
from monitor.settings_file import ConfigError, load_settings

log = structlog.get_logger(__name__)

EXAMPLE = "Example: linewatch dispatch config.yaml --metrics-port 8091"


def dispatch(
    config: Annotated[Path, typer.Argument(help="The configuration of the service, YAML.")],
    metrics_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Serve /metrics there, on 127.0.0.1.  [default: 0, nowhere]")
    ] = 0,
) -> None:
    """Deliver what workers write into the outbox, beside them or in their place (`delivery.here: false`).

    Any number may run; each channel is served by one at a time, and when that one dies, by another within seconds.
    """
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        wired, metrics = _composed(load_settings(config))
    except ConfigError as error:
        fail(str(error), USAGE)
    except ValueError as error:
        fail(f"{config}: channels: {error}", USAGE)
    if metrics_port:
        try:
            start_http_server(metrics_port, addr="127.0.0.1", registry=metrics.registry)
        except OSError as error:
            fail(f"--metrics-port {metrics_port}: cannot listen there: {error.strerror}", FAILED)
    wired.delivering.start()
    log.info("dispatching", channels=sorted(wired.delivering.channel_kinds))
    while not ended.wait(1.0):
        wired.figures()
    log.info("stopping")
    wired.delivering.stop(FLUSH_S)


def _composed(settings: Settings) -> tuple[Wired, Metrics]:
    client, prefix, metrics = redis_client(settings), key_prefix(settings), Metrics()
    wired = wire(
        settings,
        True,
        lambda: settings,
        remembered(settings.cameras),
        client=client,
        prefix=prefix,
        outbox=Outbox(client, prefix),
        evidence=evidence_store(settings),
        clips=None,
        metrics=metrics,
        board=Board(),
        base_url=settings.http.base_url,
        delivered=lambda channel, outcome: metrics.deliveries.labels(channel, outcome).inc(),
    )
    return wired, metrics
