"""`linewatch run`: the monitor, until its sources end or a signal comes."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Annotated, Self

import structlog
import typer

from models.checkpoint import CheckpointError
from monitor.alerting.bucket import BotoMissing
from monitor.commands.failing import USAGE, fail
from monitor.compose import compose
from monitor.config_check import check_files, check_hours
from monitor.delivering import ChannelError
from monitor.scoring.region import RegionError
from monitor.service import Service
from monitor.settings_file import ConfigError, line_of, load_settings
from monitor.summary import summary

log = structlog.get_logger(__name__)

EXAMPLE = (
    "Example: linewatch run config.yaml   (docs/configuration.md tells every key). "
    "SIGHUP, or POST /api/reload, takes a changed file over while it runs."
)


def run(config: Annotated[Path, typer.Argument(help="The configuration, YAML.")]) -> None:
    """Watch the cameras of a configuration until they end or SIGINT or SIGTERM comes."""
    with SignalsHeard() as signals:  # a SIGHUP that nobody hears ends a process, also while its model loads
        service = _composed(config)
        log.info("watching", page=service.server.url, sources=len(service.settings.sources))
        if not watch(service, signals):
            raise typer.Exit(1)


def _composed(config: Path) -> Service:
    try:
        settings = load_settings(config)
        check_files(settings, config)
        check_hours(settings, config)
    except ConfigError as error:
        fail(str(error), USAGE)
    try:
        return compose(settings, config)
    except RegionError as error:
        fail(f"{line_of(config, 'cameras')}: {error}", USAGE)
    except ChannelError as error:
        fail(f"{line_of(config, *error.key)}: {error}", USAGE)
    except BotoMissing as error:
        fail(f"{line_of(config, 'evidence', 's3')}: {str(error).removeprefix('evidence.s3: ')}", USAGE)
    except (CheckpointError, ValueError) as error:
        fail(f"{line_of(config, 'model', 'checkpoint')}: {error}", USAGE)
    except OSError as error:
        fail(
            f"{line_of(config, 'http', 'port')}: cannot listen on {settings.http.host}:{settings.http.port}: "
            f"{error.strerror}",
            USAGE,
        )


def watch(service: Service, signals: SignalsHeard) -> bool:
    """Run a service to its end, stopping in order on SIGINT and SIGTERM, and print the summary.

    Returns whether every frame is accounted for and every alert was written.
    """
    began_s = time.monotonic()
    signals.serve(service)
    service.run()
    alerts = {camera: service.alert_count(camera) for camera in service.ledger.accounts()}
    held_back = {camera: service.held_back(camera) for camera in alerts}
    typer.echo(summary(service.ledger.accounts(), alerts, time.monotonic() - began_s, held_back))
    return service.ledger.balances() and service.pipeline.unwritten == 0


class SignalsHeard:
    """Within this block SIGINT and SIGTERM stop the service in order, and SIGHUP has it read its configuration again.
    What comes before there is a service that runs is remembered. Only the main thread can set handlers."""

    def __init__(self) -> None:
        self._service: Service | None = None
        self._running = self._stop_asked = self._reload_asked = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._stop)
            self._before[signal.SIGHUP] = signal.signal(signal.SIGHUP, self._reload)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def serve(self, service: Service) -> None:
        """From now on this one, which is about to run; what was asked for until now is done."""
        self._service = service
        # By the pipeline, so that sources are not exchanged before they have been started.
        service.pipeline.between_batches(self._begin)
        if self._stop_asked:
            service.stop()

    def _begin(self) -> None:
        self._running = True
        if self._reload_asked:
            self._start_reload()

    def _stop(self, number: int, _: FrameType | None) -> None:
        log.info("stopping", signal=signal.Signals(number).name)
        self._stop_asked = True
        if self._service is not None:
            self._service.stop()

    def _reload(self, number: int, _: FrameType | None) -> None:
        self._reload_asked = True  # before the question: whoever sets `_running` in between asks for this
        if self._running:
            self._start_reload()

    def _start_reload(self) -> None:
        # Not here: a handler runs in between two steps of the main thread, which may hold a lock that this needs.
        self._reload_asked = False
        threading.Thread(target=self._reload_now, name="reload", daemon=True).start()

    def _reload_now(self) -> None:
        assert self._service is not None
        with contextlib.suppress(ConfigError):  # told in the log, on the page and in a metric
            self._service.reloader.reload()
