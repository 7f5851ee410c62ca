"""`linewatch run`: the monitor, until its sources end or a signal comes."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Annotated

import structlog
import typer

from models.checkpoint import CheckpointError
from monitor.commands.failing import USAGE, fail
from monitor.commands.named_files import missing_files
from monitor.compose import Service, compose
from monitor.settings import Settings
from monitor.settings_file import ConfigError, line_of, load_settings
from monitor.summary import summary

log = structlog.get_logger(__name__)

EXAMPLE = "Example: linewatch run config.yaml   (docs/configuration.md tells every key)"


def run(config: Annotated[Path, typer.Argument(help="The configuration, YAML.")]) -> None:
    """Watch the cameras of a configuration until they end or SIGINT or SIGTERM comes."""
    try:
        settings = load_settings(config)
        check_files(settings, config)
    except ConfigError as error:
        fail(str(error), USAGE)
    try:
        service = compose(settings)
    except (CheckpointError, ValueError) as error:
        fail(f"{line_of(config, 'model', 'checkpoint')}: {error}", USAGE)
    except OSError as error:
        fail(
            f"{line_of(config, 'http', 'port')}: cannot listen on {settings.http.host}:{settings.http.port}: "
            f"{error.strerror}",
            USAGE,
        )
    log.info("watching", page=service.server.url, sources=len(settings.sources))
    if not watch(service):
        raise typer.Exit(1)


def check_files(settings: Settings, config: Path) -> None:
    """Files that a configuration names and that are not there, a folder that cannot be made. Raises ConfigError."""
    faults = []
    try:
        settings.evidence.dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        faults.append(f"{line_of(config, 'evidence', 'dir')}: the folder cannot be made: {error}")
    if not settings.model.checkpoint.is_file():
        faults.append(
            f"{line_of(config, 'model', 'checkpoint')}: no file {settings.model.checkpoint}; "
            "`linewatch train` makes one"
        )
    faults += missing_files(settings.sources, config)
    if faults:
        raise ConfigError("\n".join(faults))


def watch(service: Service) -> bool:
    """Run a service to its end, stopping in order on SIGINT and SIGTERM, and print the summary.

    Returns whether every frame is accounted for and every alert was written.
    """
    began_s = time.monotonic()
    with signals_stop(service):
        service.run()
    alerts = {camera: service.alert_count(camera) for camera in service.ledger.accounts()}
    held_back = {camera: service.held_back(camera) for camera in alerts}
    typer.echo(summary(service.ledger.accounts(), alerts, time.monotonic() - began_s, held_back))
    return service.ledger.balances() and service.pipeline.unwritten == 0


class signals_stop:
    """Within this block SIGINT and SIGTERM stop the service in order. Only the main thread can set handlers."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._before: dict[int, object] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._stop)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _stop(self, number: int, _: FrameType | None) -> None:
        log.info("stopping", signal=signal.Signals(number).name)
        self._service.stop()
