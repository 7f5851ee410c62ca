"""`linewatch dispatch`: deliver alerts, in a process of its own."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Annotated

import structlog
import typer
from prometheus_client import start_http_server

from monitor.alerting.bucket import BotoMissing
from monitor.commands.failing import FAILED, USAGE, fail
from monitor.config_check import check_hours
from monitor.delivering import ChannelError
from monitor.delivery_figures import DeliveryFigures, told_to
from monitor.delivery_wiring import Wired, wired_alone
from monitor.reload import changed_keys, refuse_fixed
from monitor.service import FLUSH_S
from monitor.serving.board import Board
from monitor.serving.metrics import Metrics
from monitor.settings import Settings
from monitor.settings_file import ConfigError, line_of, load_settings

log = structlog.get_logger(__name__)

WIRED = ("redis", "delivery", "publish", "grafana", "http", "evidence")
"""Sections that cannot change while it runs."""

EXAMPLE = "Example: linewatch dispatch config.yaml --metrics-port 8091"


def dispatch(
    config: Annotated[Path, typer.Argument(help="The configuration of the service, YAML.")],
    metrics_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Serve /metrics there.  [default: 0, nowhere]")
    ] = 0,
    metrics_host: Annotated[str, typer.Option(help="And on this address.")] = "127.0.0.1",
) -> None:
    """Deliver what workers write into the outbox, beside them or in their place (`delivery.here: false`).

    Any number may run; each channel is served by one at a time, and when that one dies, by another within seconds.
    SIGHUP has it take over changed channels and subscriptions.
    """
    asked = _Asked()
    settings = _settings(config)
    metrics = Metrics()
    try:
        wired = wired_alone(lambda: settings, settings.http.base_url, told_to(metrics))
    except BotoMissing as error:
        fail(f"{line_of(config, 'evidence', 's3')}: {str(error).removeprefix('evidence.s3: ')}", USAGE)
    except ChannelError as error:
        fail(f"{line_of(config, *error.key)}: {error}", USAGE)
    if metrics_port:
        try:
            start_http_server(metrics_port, addr=metrics_host, registry=metrics.registry)
        except OSError as error:
            fail(f"--metrics-port {metrics_port}: cannot listen there: {error.strerror}", FAILED)
    figures = DeliveryFigures(
        wired.delivering.router,
        wired.queue,
        wired.dead_letters,
        lambda: wired.delivering.channel_kinds,
        metrics,
        Board(),
    )
    wired.delivering.start()
    log.info("dispatching", channels=sorted(wired.delivering.channel_kinds))
    while not asked.to_end.wait(1.0):
        if asked.to_reload.is_set():
            asked.to_reload.clear()
            settings = _reloaded(config, settings, wired)
        try:
            figures()
        except Exception:  # what cannot be counted must not end what delivers
            log.exception("figures_failed")
    log.info("stopping")
    wired.delivering.stop(FLUSH_S)


class _Asked:
    """What signals ask for."""

    def __init__(self) -> None:
        self.to_end, self.to_reload = threading.Event(), threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._end)
        signal.signal(signal.SIGHUP, self._reload)

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self.to_end.set()

    def _reload(self, _number: int, _frame: FrameType | None) -> None:
        self.to_reload.set()


def _settings(config: Path) -> Settings:
    try:
        settings = load_settings(config)
        check_hours(settings, config)
    except ConfigError as error:
        fail(str(error), USAGE)
    return settings


def _reloaded(config: Path, settings: Settings, wired: Wired) -> Settings:
    """The changed configuration, or the one that serves where that is wrong."""
    try:
        changed = load_settings(config)
        refuse_fixed(changed_keys(settings, changed), config, WIRED)
        check_hours(changed, config)
        wired.delivering.prepare(changed)()
    except ValueError as error:
        where = f"{line_of(config, *error.key)}: " if isinstance(error, ChannelError) else ""
        log.error("configuration_refused", error=f"{where}{error}", remedy="mend the file and send SIGHUP again")
        return settings
    log.info("configuration_taken", channels=sorted(wired.delivering.channel_kinds))
    return changed
