"""`linewatch ingest`: cameras at the edge to Kafka, until they end or a signal comes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import structlog
import typer

from monitor.commands.failing import FAILED, USAGE, fail
from monitor.commands.train import interrupted
from monitor.ingest.compose import compose_ingest, serve_metrics
from monitor.ingest.ledger import summary, unaccounted
from monitor.ingest.settings import IngestSettings
from monitor.named_files import missing_files
from monitor.settings_file import ConfigError, line_of, load_tree
from streams.kafka_security import KafkaSecurityError
from streams.spool_file import SpoolError

log = structlog.get_logger(__name__)

EXAMPLE = "Example: linewatch ingest ingest.yaml   (docs/ingest.md tells how, docs/ingest-configuration.md every key)"


def ingest(config: Annotated[Path, typer.Argument(help="The configuration of the ingest, YAML.")]) -> None:
    """Send the pictures of RTSP and USB cameras and of files to Kafka, with a buffer on disk for outages."""
    try:
        settings = load_tree(config, IngestSettings)
        check_files(settings, config)
    except ConfigError as error:
        fail(str(error), USAGE)
    try:
        composed = compose_ingest(settings)
    except SpoolError as error:
        fail(f"{line_of(config, 'buffer', 'dir')}: {error}", USAGE)
    except KafkaSecurityError as error:
        fail(f"{line_of(config, 'kafka', 'security')}: {error}", USAGE)
    try:
        stop_serving = serve_metrics(settings, composed)
    except OSError as error:
        assert settings.metrics is not None
        fail(
            f"{line_of(config, 'metrics', 'port')}: cannot listen on {settings.metrics.host}:{settings.metrics.port}: "
            f"{error.strerror}",
            USAGE,
        )
    began_s = time.monotonic()
    with interrupted() as stop:
        log.info("ingesting", sources=len(settings.sources), to=settings.kafka.bootstrap_servers)
        composed.run(stop)
    stop_serving()
    accounts, buffered = composed.ledger.accounts(), composed.buffered
    typer.echo(summary(accounts, buffered, time.monotonic() - began_s))
    if unaccounted(accounts, buffered):
        raise typer.Exit(FAILED)


def check_files(settings: IngestSettings, config: Path) -> None:
    """Raises ConfigError for files that are named and not there, where nobody waits for them."""
    if faults := missing_files(settings.sources, config):
        raise ConfigError("\n".join(faults))
